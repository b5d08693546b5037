"""Where is tissue? Found at low resolution, so that the network runs on nothing else.

Missing a piece costs glands, taking some glass costs a second: every choice here errs on the
side of tissue. The strength of the stain is thresholded with hysteresis (pale fat counts where
it hangs together with stained tissue), felt pen and grey things are left out, holes are filled
because an open lumen is as white as glass, dust is dropped, and a margin is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ..errors import InvalidInputError
from .low_resolution import LowResolution, read_low_resolution
from .slide import Slide, pixel_size

Mask = npt.NDArray[np.bool_]

# The finest that is looked at; large slides are looked at twice as coarsely.
_FINE_UM, _COARSE_UM, _FINE_PIXELS = 8.0, 16.0, 4e6
# Pixels at the edge of ink are half ink (JPEG smears colours), and might pass for stain.
_PEN_RIM = 2.5


class TissueConfig(BaseModel):
    """What counts as tissue; lengths in micrometres.

    Parameters
    ----------
    threshold : float, optional
    min_area_um2 : float
    max_hole_um2 : float
    margin_um : float
    exclude_pen : bool
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float | None = Field(
        default=None,
        ge=0.001,
        le=1.0,
        description="Least strength of the stain: difference of optical density between colours, "
        "about 0.02 for pale fat and 0.3 for epithelium. Empty: chosen for each slide.",
    )
    min_area_um2: float = Field(
        default=20_000.0,
        ge=0.0,
        le=1e9,
        description="Smaller pieces (um2) are dropped: dust, detached cells.",
    )
    max_hole_um2: float = Field(
        default=250_000.0,
        ge=0.0,
        le=1e9,
        description="Smaller white holes (um2) are filled: a lumen is as white as glass.",
    )
    margin_um: float = Field(
        default=50.0,
        ge=0.0,
        le=2000.0,
        description="Width (um) added all around, so that no gland at the surface is cut.",
    )
    exclude_pen: bool = Field(default=True, description="Leave marks of felt pens out.")


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Where tissue is, at low resolution.

    Attributes
    ----------
    mask : ndarray of bool, (h, w)
    downsample : float
        Level-0 pixels per pixel of the mask: pixel i covers ``[i, i + 1) * downsample``. What
        lies beyond the last pixel is as that pixel.
    """

    mask: Mask
    downsample: float

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or 0 in self.mask.shape or self.mask.dtype != np.bool_:
            raise InvalidInputError(
                f"A tissue mask is a bool array (h, w) with pixels; this one is of type "
                f"{self.mask.dtype} and shape {self.mask.shape}."
            )
        if not (math.isfinite(self.downsample) and self.downsample > 0):
            raise InvalidInputError(
                f"A tissue mask has more than 0 slide pixels per pixel, not {self.downsample}."
            )

    @property
    def area_share(self) -> float:
        """Part of the slide that is tissue, 0 to 1."""
        return float(self.mask.mean())

    def area_um2(self, mpp: float) -> float:
        """Area of tissue, um2, at `mpp` um per level-0 pixel."""
        return float(np.count_nonzero(self.mask)) * (self.downsample * mpp) ** 2

    def any_in(self, y0: float, x0: float, y1: float, x1: float) -> bool:
        """Whether any tissue lies in a window, which is given in level-0 pixels.

        Never False for a window in which `window`, on whatever grid, has a pixel set.
        """
        if y1 <= y0 or x1 <= x0:
            return False
        rows, columns = (
            _covering(start, stop, self.downsample, size)
            for start, stop, size in zip((y0, x0), (y1, x1), self.mask.shape, strict=True)
        )
        return bool(self.mask[rows, columns].any())

    def window(self, y0: int, x0: int, y1: int, x1: int, scale: float) -> Mask:
        """The mask on another grid: each pixel takes the mask's pixel at its centre.

        Parameters
        ----------
        y0, x0, y1, x1 : int
            Window in pixels of that grid (y1 and x1 excluded).
        scale : float
            Level-0 pixels per pixel of that grid, which has the slide's origin.

        Returns
        -------
        ndarray of bool, (y1 - y0, x1 - x0)
        """
        if not scale > 0:
            raise InvalidInputError(f"The scale must be above 0, got {scale}.")
        rows, columns = (
            _nearest(start, stop, scale, self.downsample, size)
            for start, stop, size in zip((y0, x0), (y1, x1), self.mask.shape, strict=True)
        )
        part: Mask = self.mask[np.ix_(rows, columns)]
        return part


def find_tissue(
    slide: Slide, config: TissueConfig | None = None, mpp: float | None = None
) -> TissueMask:
    """Find the tissue of a slide or a field of view.

    Parameters
    ----------
    slide : Slide
        It is read at about 8 to 16 um/px; without a pyramid all of it is read, block by block.
    config : TissueConfig, optional
        The defaults if left out.
    mpp : float, optional
        Um per pixel of level 0, in place of what the slide says.

    Returns
    -------
    TissueMask
        Nothing is set where there is no tissue at all. Places that cannot be read are set, so
        that whoever runs on the mask meets the damage and reports it.

    Raises
    ------
    MissingPixelSizeError
        If the pixel size is not known.
    InvalidInputError
        If `mpp` is not possible.
    UnreadableImageError
        If nothing of the slide can be read.
    """
    mpp = pixel_size(slide, mpp)
    return tissue_in(picture_for_tissue(slide, mpp), mpp, config)


def picture_for_tissue(slide: Slide, mpp: float | None = None) -> LowResolution:
    """The slide at about 8 to 16 um/px, as `tissue_in` wants it.

    Parameters and errors are those of `find_tissue`.
    """
    mpp = pixel_size(slide, mpp)
    full = slide.levels[0]
    side_um = math.sqrt(full.height * full.width / _FINE_PIXELS) * mpp
    finest = min(max(side_um, _FINE_UM), _COARSE_UM) / mpp
    return read_low_resolution(slide, max(finest, 1.0), max(_COARSE_UM / mpp, 1.0))


def tissue_in(small: LowResolution, mpp: float, config: TissueConfig | None = None) -> TissueMask:
    """Find the tissue in a picture that was read before: quick enough for a slider.

    Parameters
    ----------
    small : LowResolution
        The slide at about 8 to 16 um/px.
    mpp : float
        Um per pixel of level 0.
    config : TissueConfig, optional

    Returns
    -------
    TissueMask
    """
    from .tissue_colour import glass_colour, stain_strength, surely_glass
    from .tissue_shape import drop_small, fill_holes, grow, pen_marks, stained

    config = config or TissueConfig()
    um = small.downsample * mpp
    glass = surely_glass(small.image)
    white = glass_colour(small.image, glass)
    strength = stain_strength(small.image, white)
    pen: Mask = np.zeros_like(glass)
    if config.exclude_pen:
        pen = pen_marks(small.image, white, um)
        strength[grow(pen, _PEN_RIM)] = 0
    mask = stained(strength, glass, config.threshold, um)
    mask = fill_holes(mask, config.max_hole_um2 / um**2)
    mask = drop_small(mask, config.min_area_um2 / um**2, um)
    mask = grow(mask, config.margin_um / um)
    return TissueMask((mask & ~pen) | ~small.readable, small.downsample)


def _covering(start: float, stop: float, downsample: float, size: int) -> slice:
    """Mask pixels that an interval of level-0 pixels meets, at least the nearest one."""
    first = min(max(math.floor(start / downsample), 0), size - 1)
    last = min(max(math.ceil(stop / downsample), first + 1), size)
    return slice(first, last)


def _nearest(
    start: int, stop: int, scale: float, downsample: float, size: int
) -> npt.NDArray[np.int64]:
    centres = (np.arange(start, stop) + 0.5) * scale
    nearest: npt.NDArray[np.int64] = np.floor(centres / downsample).astype(np.int64)
    return nearest.clip(0, size - 1)
