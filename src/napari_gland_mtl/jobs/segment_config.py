"""The settings of a segmentation, apart from the code that runs it.

A form, a command line and a script need them long before torch, which takes seconds to load.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..inference.decoding import DecodingConfig
from ..slides.pixel_size import LARGEST_MPP, SMALLEST_MPP
from ..slides.tissue import TissueConfig

FIELD_LIMIT_PX = 16 * 2**20
"""Px of the full resolution up to which an image is a field of view, and above it a slide.

A field is labelled in memory, on its own grid, and is written with its labels; that takes 80
bytes per px. A slide is labelled on disk, at the network's um/px, and is not copied.
"""

LATER_SETTINGS: dict[str, Any] = {"quarter_turns": False, "dropout_samples": 0}
"""Settings that results of earlier versions do not name, and what those were made with."""


class SegmentConfig(BaseModel):
    """Everything that decides how an image is segmented."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="glas", min_length=1, description="Name of a model, its file or its run folder."
    )
    mpp: float | None = Field(
        default=None,
        ge=SMALLEST_MPP,
        le=LARGEST_MPP,
        description="Pixel size of the image in um; by default what the file says.",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where the network runs: auto, cpu, cuda or mps.",
    )
    tile_size: int = Field(
        default=512,
        ge=64,
        le=8192,
        multiple_of=16,
        description="Side of a tile in px of the network; smaller needs less memory.",
    )
    batch_size: int = Field(
        default=4, ge=1, le=256, description="Tiles at once on a GPU; the CPU takes one by one."
    )
    flips: bool = Field(
        default=True,
        description="Average the four flips of every tile: a little better, four times the work.",
    )
    quarter_turns: bool = Field(
        default=False,
        description="Also average over quarter turns: eight views instead of four.",
    )
    dropout_samples: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Passes of each view with dropout on, for networks trained with dropout; "
        "0 for none. With class dropout alone, only classes change.",
    )
    decoding: DecodingConfig = Field(
        default_factory=DecodingConfig, description="How probabilities become glands."
    )

    @property
    def passes(self) -> int:
        """How often the network looks at each tile."""
        views = (4 if self.flips else 1) if not self.quarter_turns else (8 if self.flips else 4)
        return views * max(1, self.dropout_samples)


class SlideConfig(SegmentConfig):
    """Everything that decides how a whole slide is segmented."""

    tile_size: int = Field(
        default=1024,
        ge=512,
        le=8192,
        multiple_of=512,
        description="Side of a tile in px of the network; smaller needs less memory.",
    )
    tissue: TissueConfig | None = Field(
        default_factory=TissueConfig,
        description="How tissue is told from glass; none to segment every tile.",
    )
    engine: Literal["auto", "torch", "openvino"] = Field(
        default="auto",
        description="What runs the network: auto takes OpenVINO on a CPU where it is installed.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Numbers the network computes with; auto is safe and fast."
    )
    readers: int = Field(
        default=2, ge=1, le=64, description="Threads that read and decode the slide ahead."
    )
    keep_probabilities: bool = Field(
        default=False,
        description="Keep the network's output beside the labels, so that other settings of the "
        "separation can be tried without running the network again.",
    )
