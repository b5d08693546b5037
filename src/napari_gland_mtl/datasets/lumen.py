"""Derive the lumen from the stain, where only whole glands are annotated.

GlaS and most gland data sets outline whole glands; the method needs lumen and epithelium
apart. The lumen, in the paper's sense, is the pale centre inside the ring of nuclei, mucin of
the goblet cells included. So: darkness (optical density) is smoothed over about a nucleus,
split in two within each gland by Otsu's threshold, and what is pale, lies away from the
gland's rim, is large enough and clearly paler than the rest (solid malignant glands have no
lumen) is lumen. A rim of epithelium is kept whatever the stain says,
so the result obeys the topology rules by construction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from ..errors import InvalidInputError
from ..regions import GLAND_REGIONS
from .masks import disk, seams


class LumenConfig(BaseModel):
    """Lengths and thresholds of :func:`derive_regions`, in micrometres."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smoothing_um: float = Field(default=2.5, gt=0, description="Blur before thresholding.")
    rim_um: float = Field(default=6.0, gt=0, description="Least thickness of epithelium.")
    opening_um: float = Field(default=3.0, ge=0, description="Narrower pale gaps are cells.")
    closing_um: float = Field(default=5.0, ge=0, description="Narrower dark gaps are debris.")
    min_area_um2: float = Field(default=150.0, ge=0, description="Smaller pale spots are cells.")
    max_darkness: float = Field(
        default=0.64,
        gt=0,
        le=1,
        description="Mean optical density of a lumen over that of the gland's dark part, at most.",
    )
    bias: float = Field(
        default=0.0, ge=-1, le=1, description="Raise to call more of a gland lumen."
    )


def optical_density(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean optical density of the three channels, -log10((v + 1) / 256), shape (Y, X)."""
    table = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)
    density: npt.NDArray[np.float32] = table[image[..., :3]].mean(axis=-1)
    return density


def _otsu(values: npt.NDArray[np.float32]) -> float:
    """Threshold with the largest variance between the two sides (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    mean_below = np.cumsum(counts * middles)[:-1] / np.maximum(below, 1)
    total = float((counts * middles).sum())
    mean_above = (total - np.cumsum(counts * middles)[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (mean_below - mean_above) ** 2)])


def _without_small(mask: npt.NDArray[np.bool_], least: float) -> npt.NDArray[np.bool_]:
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    large: npt.NDArray[np.bool_] = (sizes >= max(least, 1))[pieces]
    return large


def _without_dark(
    mask: npt.NDArray[np.bool_], darkness: npt.NDArray[np.float32], most: float
) -> npt.NDArray[np.bool_]:
    """Drop the pieces whose mean is above `most`: paler cytoplasm of a solid gland, no lumen."""
    pieces, count = ndimage.label(mask)
    means = ndimage.mean(darkness, pieces, np.arange(count + 1))
    pale = np.asarray(means) <= most
    pale[0] = False
    kept: npt.NDArray[np.bool_] = pale[pieces]
    return kept


def _lumen_of_gland(
    darkness: npt.NDArray[np.float32],
    gland: npt.NDArray[np.bool_],
    depth: npt.NDArray[np.float32],
    mpp: float,
    config: LumenConfig,
) -> npt.NDArray[np.bool_]:
    """Pale centre of one gland, all arrays cut to its bounding box."""
    values = darkness[gland]
    threshold = _otsu(values)
    threshold += config.bias * float(values.std())
    core = gland & (depth > config.rim_um)
    pale = gland & (darkness < threshold)
    if config.opening_um / mpp >= 1:
        pale = ndimage.binary_opening(pale, disk(config.opening_um / mpp))
    if config.closing_um / mpp >= 1:
        reach = int(config.closing_um / mpp) + 1
        padded = np.pad(pale & core, reach)
        closed = ndimage.binary_closing(padded, disk(config.closing_um / mpp))
        pale = closed[reach:-reach, reach:-reach] | (pale & core)
    pale = _without_small(pale & core, config.min_area_um2 / mpp**2)
    dark = float(values[values >= threshold].mean())
    pale = _without_dark(pale, darkness, config.max_darkness * dark)
    filled: npt.NDArray[np.bool_] = ndimage.binary_fill_holes(pale) & core
    return filled


def derive_regions(
    image: npt.NDArray[np.uint8],
    glands: npt.NDArray[np.integer],
    mpp: float,
    config: LumenConfig | None = None,
) -> npt.NDArray[np.uint8]:
    """Split whole glands into epithelium and lumen.

    Parameters
    ----------
    image : ndarray of uint8, (Y, X, 3)
        Stained image, RGB.
    glands : ndarray of integers, (Y, X)
        Gland instances 1 .. n, 0 elsewhere.
    mpp : float
        Micrometres per pixel, > 0.
    config : LumenConfig, optional

    Returns
    -------
    ndarray of uint8, (Y, X)
        Codes of ``GLAND_REGIONS``: stroma outside the glands, epithelium and lumen inside.
        Holes in glands are filled.

    Raises
    ------
    InvalidInputError
        If the sizes of image and mask differ or `mpp` is not positive.
    """
    if image.shape[:2] != glands.shape:
        raise InvalidInputError(
            f"Image and gland mask differ in size: {image.shape[:2]} and {glands.shape}."
        )
    if not mpp > 0:
        raise InvalidInputError(f"The pixel size must be above 0 um, got {mpp}.")
    config = config or LumenConfig()
    darkness = ndimage.gaussian_filter(optical_density(image), config.smoothing_um / mpp)
    regions = np.full(glands.shape, GLAND_REGIONS.code("stroma"), dtype=np.uint8)
    solid = np.zeros(glands.shape, dtype=np.int32)
    boxes = ndimage.find_objects(glands.astype(np.int32))
    for label, box in enumerate(boxes, 1):
        if box is not None:
            own = glands[box] == label
            # Another gland inside the hole stays itself.
            free = own | (glands[box] == 0)
            solid[box][ndimage.binary_fill_holes(own) & free] = label
    # Each of two touching glands has its own rim, or lumens would meet where they touch. The
    # image's own border is no rim: a gland cut by it may show its lumen there.
    padded = np.pad((solid > 0) & ~seams(solid), 1, mode="edge")
    depth = ndimage.distance_transform_edt(padded, sampling=mpp)[1:-1, 1:-1]
    regions[solid > 0] = GLAND_REGIONS.code("epithelium")
    # The rim is at least one pixel however coarse the image.
    least_rim = config.model_copy(update={"rim_um": max(config.rim_um, 1.01 * mpp)})
    for label, box in enumerate(boxes, 1):
        if box is not None:
            gland = solid[box] == label
            if gland.any():
                lumen = _lumen_of_gland(darkness[box], gland, depth[box], mpp, least_rim)
                regions[box][lumen] = GLAND_REGIONS.code("lumen")
    return regions
