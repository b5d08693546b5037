"""One annotated area: a window of a slide at the model's um/px, with what was drawn on it.

Labels that are painted must have one scale, and the network learns at one scale only; so an
area has pixels of its own, laid exactly over the slide's by its window. The image is part of
it: the slide may move away, and training still has what was annotated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..errors import InvalidInputError
from ..regions import GLAND_REGIONS, NOT_ANNOTATED
from ..slides.resampling import resample_window, resampled_size, source_window
from ..slides.slide import Slide, pixel_size

Way = Literal["glands", "regions"]
"""Whether whole glands are outlined, or regions are painted."""

Part = Literal["auto", "training", "validation"]

MOST_PIXELS = 8192 * 8192
"""More than this cannot be edited or saved at once on a small machine."""

_LEVEL_TOLERANCE = 1.01  # scanners write 0.4991 for 0.5


class AreaInfo(BaseModel):
    """What is known of an area besides its pixels.

    Attributes
    ----------
    name : str
        Shown to users; unique in its project.
    slide : str
        Name of the slide. Areas of one slide stay on one side of a split.
    slide_path : str
        Where the slide lay; empty for an array without a file.
    slide_mpp : float
        Micrometres per pixel of the slide's full resolution.
    slide_shape : (int, int)
        Height and width of the full resolution.
    window : (int, int, int, int)
        ``(y0, x0, y1, x1)`` in pixels of the full resolution.
    mpp : float
        Micrometres per pixel of image and labels.
    way : {"glands", "regions"}
    complete : bool
        Every gland in the area is outlined: the rest is stroma.
    class_name : str
        ``"benign"``, ``"malignant"`` or the like; empty where unknown.
    patient : str
        Empty where unknown; the slide then stands for the patient.
    part : {"auto", "training", "validation"}
    lumen_bias : float
        -1 to 1, the ``bias`` of `LumenConfig`: higher calls more of a gland lumen.
    lumen_accepted : bool
        The region labels hold the lumen; else it is derived from the stain.
    model : str
        Name of the model whose prediction the annotation began as.
    created, modified : str
        ISO 8601, UTC; set when the area is stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    slide: str
    slide_path: str = ""
    slide_mpp: float = Field(gt=0, allow_inf_nan=False)
    slide_shape: tuple[int, int]
    window: tuple[int, int, int, int]
    mpp: float = Field(gt=0, allow_inf_nan=False)
    way: Way = "glands"
    complete: bool = False
    class_name: str = ""
    patient: str = ""
    part: Part = "auto"
    lumen_bias: float = Field(default=0.0, ge=-1, le=1)
    lumen_accepted: bool = False
    model: str = ""
    created: str = ""
    modified: str = ""

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        y0, x0, y1, x1 = window
        if not (0 <= y0 < y1 and 0 <= x0 < x1):
            raise InvalidInputError(
                f"The window of an area goes from its upper left to its lower right corner; this "
                f"one is y {y0} to {y1}, x {x0} to {x1}."
            )
        return window

    @property
    def translation_um(self) -> tuple[float, float]:
        """Where the centre of the first pixel lies; 0 is the centre of the slide's first one."""
        inside = (self.mpp - self.slide_mpp) / 2
        return (
            self.window[0] * self.slide_mpp + inside,
            self.window[1] * self.slide_mpp + inside,
        )


@dataclass(frozen=True)
class Area:
    """An annotated area.

    Attributes
    ----------
    info : AreaInfo
    image : ndarray of uint8, (Y, X, 3)
        At ``info.mpp``.
    glands : ndarray of int32, (Y, X)
        Gland instances, 0 where there is none.
    regions : ndarray of uint8, (Y, X)
        Codes of ``GLAND_REGIONS``, 0 where not annotated.

    Raises
    ------
    InvalidInputError
        If shapes or types do not fit.
    """

    info: AreaInfo
    image: npt.NDArray[np.uint8]
    glands: npt.NDArray[np.int32]
    regions: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        shape = self.image.shape[:2]
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InvalidInputError(
                f"The image of an area is uint8 of shape (Y, X, 3); this one is "
                f"{self.image.dtype} of shape {self.image.shape}."
            )
        for name, labels, kind in (
            ("gland", self.glands, np.dtype(np.int32)),
            ("region", self.regions, np.dtype(np.uint8)),
        ):
            if labels.shape != shape or labels.dtype != kind:
                raise InvalidInputError(
                    f"The {name} labels of {self.info.name!r} must be {kind} of shape {shape}, "
                    f"as the image; they are {labels.dtype} of shape {labels.shape}."
                )

    def check_values(self) -> None:
        """Raise InvalidInputError unless the labels hold what they may. Reads every pixel."""
        GLAND_REGIONS.check_labels(self.regions)
        if self.glands.size and int(self.glands.min()) < 0:
            raise InvalidInputError(
                f"The gland labels of {self.info.name!r} must not be negative; the lowest is "
                f"{int(self.glands.min())}."
            )

    @property
    def annotated(self) -> npt.NDArray[np.bool_]:
        """Pixels of which something was said; all of them where every gland is outlined."""
        painted: npt.NDArray[np.bool_] = self.regions != NOT_ANNOTATED
        if self.info.way == "glands":
            painted |= (self.glands > 0) | self.info.complete
        return painted


def area_from_slide(
    slide: Slide, window: tuple[int, int, int, int], mpp: float, name: str, **info: Any
) -> Area:
    """Read a window of a slide as an area on which nothing is annotated yet.

    Parameters
    ----------
    slide : Slide
        With a known pixel size.
    window : (int, int, int, int)
        ``(y0, x0, y1, x1)`` in pixels of the full resolution. What lies beyond the slide is cut
        off; each side may grow to the next pixel of the level that is read, so that the area
        lies exactly in place.
    mpp : float
        Micrometres per pixel wanted: those of the model.
    name : str
    **info
        Further fields of `AreaInfo`.

    Returns
    -------
    Area
        Its last row and column may reach over the window by less than one pixel.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is unknown.
    InvalidInputError
        If the window does not lie on the slide, or is too large to be edited.
    UnreadableImageError
        If the slide is damaged there.
    """
    slide_mpp = pixel_size(slide)
    scale = mpp / slide_mpp
    full = slide.levels[0]
    clipped = _clipped(window, (full.height, full.width), slide.name)
    _check_size(clipped, scale)
    index = _level_for(slide, scale)
    level = slide.levels[index]
    down = level.downsamples
    y0, x0 = (math.floor(clipped[k] / down[k]) for k in (0, 1))
    y1 = min(math.ceil(clipped[2] / down[0]), level.height)
    x1 = min(math.ceil(clipped[3] / down[1]), level.width)
    y0, x0 = min(y0, y1 - 1), min(x0, x1 - 1)
    pixels = slide.read_region(index, y0, x0, y1 - y0, x1 - x0)
    image = _resampled(pixels, (scale / down[0], scale / down[1]))
    described = AreaInfo(
        name=name,
        slide=slide.name,
        slide_path=str(slide.path or ""),
        slide_mpp=slide_mpp,
        slide_shape=(full.height, full.width),
        window=(
            round(y0 * down[0]),
            round(x0 * down[1]),
            min(round(y1 * down[0]), full.height),
            min(round(x1 * down[1]), full.width),
        ),
        mpp=mpp,
        **info,
    )
    shape = image.shape[:2]
    return Area(described, image, np.zeros(shape, np.int32), np.zeros(shape, np.uint8))


def _clipped(
    window: tuple[int, int, int, int], size: tuple[int, int], name: str
) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = window
    inside = max(y0, 0), max(x0, 0), min(y1, size[0]), min(x1, size[1])
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise InvalidInputError(
            f"The area (y {y0} to {y1}, x {x0} to {x1}) does not lie on {name}, which is "
            f"{size[0]} x {size[1]} px (height x width). Draw it on the slide."
        )
    return inside


def _resampled(pixels: npt.NDArray[np.uint8], scales: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """The window on its own, so that its corner is the corner of the area's first pixel."""
    size = pixels.shape[0], pixels.shape[1]
    rows, columns = (resampled_size(n, scale) for n, scale in zip(size, scales, strict=True))
    y0, y1 = source_window(0, rows, size[0], scales[0])
    x0, x1 = source_window(0, columns, size[1], scales[1])
    image = resample_window(pixels[y0:y1, x0:x1], scales, size, (0, 0, rows, columns))
    return np.ascontiguousarray(image, dtype=np.uint8)


def _check_size(window: tuple[int, int, int, int], scale: float) -> None:
    height, width = (window[2] - window[0]) / scale, (window[3] - window[1]) / scale
    if height * width > MOST_PIXELS:
        raise InvalidInputError(
            f"An area of {height:.0f} x {width:.0f} px is too large to be edited. Take several "
            "smaller ones, of 1000 to 2000 px each side."
        )


def _level_for(slide: Slide, scale: float) -> int:
    """The coarsest level that is still fine enough."""
    fine = [
        index
        for index, level in enumerate(slide.levels)
        if level.downsample <= max(scale, 1.0) * _LEVEL_TOLERANCE
    ]
    return max(fine, key=lambda index: slide.levels[index].downsample)
