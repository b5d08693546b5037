"""What one annotated area says of each of its pixels.

An annotation is sparse: what nobody said anything about is 0 and counts nowhere. Where whole
glands are outlined, the lumen comes from the stain until it was accepted, and around each gland
a ring is taken for stroma, for an outline says where its gland ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..annotations.area import Area
from ..metrics.components import compact_labels, connected_pieces
from ..regions import GLAND_REGIONS, NOT_ANNOTATED
from .dataset import Annotation
from .lumen import LumenConfig, derive_regions
from .masks import SPECK_PIXELS

RING_UM = 5.0
"""Width of the stroma around an outlined gland: that of the seams taught between two."""

_STROMA = GLAND_REGIONS.code("stroma")


def annotation_of(area: Area) -> Annotation:
    """What an annotated area says, as training and measures take it.

    Parameters
    ----------
    area : Area

    Returns
    -------
    image : ndarray of uint8, (Y, X, 3)
    regions : ndarray of uint8, (Y, X)
        0 where nothing was said.
    instances : ndarray of int32, (Y, X), or None
        None where regions are painted. Holes in a gland belong to it.
    """
    if area.info.way == "regions":
        return area.image, area.regions.copy(), None
    instances, specks = _separate(area.glands)
    _fill_holes(instances, area.regions)
    derived = derive_regions(
        area.image, instances, area.info.mpp, LumenConfig(bias=area.info.lumen_bias)
    )
    inside = instances > 0
    if area.info.lumen_accepted:
        painted = inside & GLAND_REGIONS.is_gland(area.regions)
        derived[painted] = area.regions[painted]
    regions = np.where(inside, derived, _around(area, inside))
    regions[specks & ~inside] = NOT_ANNOTATED
    return area.image, regions.astype(np.uint8), instances


def _separate(
    glands: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Each connected piece as a gland of its own, and where pieces are slips of the brush."""
    pieces, _, area = connected_pieces(compact_labels(glands)[0])
    is_gland = area >= SPECK_PIXELS
    is_gland[0] = False
    numbers = np.where(is_gland, np.cumsum(is_gland), 0).astype(np.int32)
    return numbers[pieces], (pieces > 0) & ~is_gland[pieces]


def _fill_holes(instances: npt.NDArray[np.int32], regions: npt.NDArray[np.uint8]) -> None:
    """Fill glands in place, as tissue has them; stroma that was painted in a hole stays."""
    for label, box in enumerate(ndimage.find_objects(instances), 1):
        own = instances[box]
        free = (own == 0) & (regions[box] != _STROMA)
        own[ndimage.binary_fill_holes(own == label) & free] = label


def _around(area: Area, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """What is known of the pixels outside all glands."""
    if area.info.complete:
        return np.full(inside.shape, _STROMA, dtype=np.uint8)
    known = np.where(area.regions == _STROMA, _STROMA, NOT_ANNOTATED).astype(np.uint8)
    if inside.any():
        far = ndimage.distance_transform_edt(~inside, sampling=area.info.mpp)
        # At least the next pixel, however coarse the image.
        near = far <= max(RING_UM, 1.5 * area.info.mpp)
        known[near & (area.regions == NOT_ANNOTATED)] = _STROMA
    return known
