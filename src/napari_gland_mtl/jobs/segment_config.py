"""The settings of a segmentation, apart from the code that runs it.

A form, a command line and a script need them long before torch, which takes seconds to load.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ..inference.decoding import DecodingConfig
from ..slides.pixel_size import LARGEST_MPP, SMALLEST_MPP


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
        description="Average over the four flips of every tile: better, four times the work.",
    )
    decoding: DecodingConfig = Field(
        default_factory=DecodingConfig, description="How probabilities become glands."
    )
