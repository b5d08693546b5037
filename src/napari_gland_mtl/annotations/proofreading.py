"""Look over an annotation: where it breaks the topology, and what mends itself.

What is not annotated is unknown and breaks no rule. Where whole glands are outlined, though, a
gland ends where its outline ends, so lumen at its edge and holes in it are mistakes. `mend`
does only what needs no guess; the rest stays as it was drawn and is listed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..metrics.components import (
    compact_labels,
    connected_pieces,
    hole_labels,
    instances_from_mask,
    objects_with_holes,
)
from ..metrics.topology import Violation, escapes, find_violations, stray_contained
from ..regions import GLAND_REGIONS, NOT_ANNOTATED
from .area import Area, Way

SPECK_PX = 20
"""Smaller pieces are slips of the brush; as in data sets made elsewhere (``datasets.masks``)."""

HOLE_UM2 = 150.0
"""Smaller holes are slips: the smallest lumen that is looked for has this size."""

_STROMA, _EPITHELIUM, _LUMEN = (
    GLAND_REGIONS.code(name) for name in ("stroma", "epithelium", "lumen")
)

Glands = npt.NDArray[np.int32]
Regions = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Mended:
    """A mended annotation.

    Attributes
    ----------
    glands : ndarray of int32, (Y, X)
    regions : ndarray of uint8, (Y, X)
    mended : int
        Places that were changed.
    left : int
        Violations that need a decision; `violations` lists them.
    """

    glands: Glands
    regions: Regions
    mended: int
    left: int


def violations(area: Area) -> list[Violation]:
    """Every place of an annotation that breaks a rule.

    Parameters
    ----------
    area : Area

    Returns
    -------
    list of Violation
        Boxes in pixels of the area.
    """
    return _violations(area.glands, area.regions, area.info.way, area.info.lumen_accepted)


def mend_area(area: Area) -> Mended:
    """`mend` with what the area says of itself."""
    info = area.info
    return mend(area.glands, area.regions, info.mpp, info.way, info.lumen_accepted)


def mend(
    glands: Glands,
    regions: Regions,
    mpp: float = 1.0,
    way: Way = "glands",
    lumen_accepted: bool = True,
) -> Mended:
    """Mend what needs no guess; what is valid comes back as it was.

    1. Pieces of a gland under 20 px go, and so do whole glands that small, and lumen that small
       outside of any gland.
    2. Holes under 150 um2 are filled, and holes of any size that are all lumen.
    3. Lumen that touches stroma becomes epithelium, one pixel deep.

    Parameters
    ----------
    glands : ndarray of int32, (Y, X)
        Left alone where regions are painted.
    regions : ndarray of uint8, (Y, X)
        Lumen and epithelium in it count only once they are accepted.
    mpp : float
        Micrometres per pixel.
    way : {"glands", "regions"}
    lumen_accepted : bool

    Returns
    -------
    Mended
        New arrays. Mending twice is mending once, and there are never more violations than
        before.
    """
    glands, regions = glands.copy(), regions.copy()
    largest_hole = HOLE_UM2 / mpp**2
    if way == "regions":
        mended = _mend_regions(regions, largest_hole)
    else:
        mended = _mend_glands(glands, regions, largest_hole, lumen_accepted)
    left = len(_violations(glands, regions, way, lumen_accepted))
    return Mended(glands, regions, mended, left)


def _violations(
    glands: Glands, regions: Regions, way: Way, lumen_accepted: bool
) -> list[Violation]:
    if way == "regions":
        return find_violations(regions)
    return find_violations(_outlined(glands, regions, lumen_accepted), glands)


def _outlined(glands: Glands, regions: Regions, lumen_accepted: bool) -> Regions:
    """Regions as outlines of whole glands tell them: inside gland, outside stroma."""
    known = np.where(glands > 0, _EPITHELIUM, _STROMA).astype(np.uint8)
    if lumen_accepted:
        known[regions == _LUMEN] = _LUMEN
    return known


# ------------------------------------------------------------------ whole glands


def _mend_glands(
    glands: Glands, regions: Regions, largest_hole: float, lumen_accepted: bool
) -> int:
    compact, names = compact_labels(glands)
    gone, count = _specks(compact)
    compact[gone] = 0
    lumen = (regions == _LUMEN) & lumen_accepted
    filled, holes = _fill_glands(compact, lumen, largest_hole)
    glands[...] = names[compact]
    count += holes
    if lumen_accepted:
        regions[gone & (compact == 0) & GLAND_REGIONS.is_gland(regions)] = NOT_ANNOTATED
        regions[filled & ~lumen] = _EPITHELIUM
        count += _drop_spilt_lumen(compact, regions)
        count += _line_lumen(_outlined(glands, regions, True), compact, regions)
    return count


def _specks(compact: Glands) -> tuple[npt.NDArray[np.bool_], int]:
    """Pieces that are too small, and their number; the biggest of a gland is one of them, too."""
    pieces, _, area = connected_pieces(compact)
    is_speck = area < SPECK_PX
    is_speck[0] = False
    return is_speck[pieces], int(np.count_nonzero(is_speck))


def _fill_glands(
    compact: Glands, lumen: npt.NDArray[np.bool_], largest_hole: float
) -> tuple[npt.NDArray[np.bool_], int]:
    """Fill holes in place; one that holds another gland stays, for either may be meant."""
    filled, count = np.zeros(compact.shape, dtype=bool), 0
    _, owner, _ = connected_pieces(compact)
    for number, box in objects_with_holes(compact, owner):
        holes, found = hole_labels(compact[box] == number, np.zeros_like(filled[box]))
        for hole in range(1, found + 1):
            inside = holes == hole
            small = np.count_nonzero(inside) < largest_hole
            if not compact[box][inside].any() and (small or lumen[box][inside].all()):
                compact[box][inside] = number
                filled[box] |= inside
                count += 1
    return filled, count


def _drop_spilt_lumen(compact: Glands, regions: Regions) -> int:
    """Lumen that was painted a little over the edge of its gland."""
    spilt = instances_from_mask((regions == _LUMEN) & (compact == 0))
    small = np.bincount(spilt.ravel()) < SPECK_PX
    small[0] = False
    regions[small[spilt]] = NOT_ANNOTATED
    return int(np.count_nonzero(small))


# ------------------------------------------------------------------ painted regions


def _mend_regions(regions: Regions, largest_hole: float) -> int:
    count = _drop_painted_specks(regions)
    count += _fill_regions(regions, largest_hole)
    instances = instances_from_mask(GLAND_REGIONS.is_gland(regions))
    return count + _line_lumen(regions, instances, regions)


def _drop_painted_specks(regions: Regions) -> int:
    """A speck becomes stroma where stroma is all around it, else nobody knows what it is."""
    pieces = instances_from_mask(GLAND_REGIONS.is_gland(regions))
    area = np.bincount(pieces.ravel())
    specks = np.flatnonzero((area > 0) & (area < SPECK_PX))
    specks = specks[specks > 0]
    boxes = ndimage.find_objects(pieces) if specks.size else []
    for number in specks:
        rows, columns = boxes[number - 1]
        box = (
            slice(max(rows.start - 1, 0), rows.stop + 1),
            slice(max(columns.start - 1, 0), columns.stop + 1),
        )
        inside = pieces[box] == number
        around = ndimage.binary_dilation(inside) & ~inside
        is_stroma = bool((regions[box][around] == _STROMA).all())
        regions[box][inside] = _STROMA if is_stroma else NOT_ANNOTATED
    return len(specks)


def _fill_regions(regions: Regions, largest_hole: float) -> int:
    instances = instances_from_mask(GLAND_REGIONS.is_gland(regions))
    unknown = regions == NOT_ANNOTATED
    count = 0
    for number, box in objects_with_holes(instances):
        holes, found = hole_labels(instances[box] == number, unknown[box])
        for hole in range(1, found + 1):
            inside = holes == hole
            small = np.count_nonzero(inside) < largest_hole
            if small and not instances[box][inside].any():
                regions[box][inside] = _EPITHELIUM
                count += 1
    return count


def _line_lumen(known: Regions, instances: npt.NDArray[np.int32], regions: Regions) -> int:
    """Give lumen that touches stroma a border of epithelium, in `regions`.

    Lumen that lies in no gland stays: whether it is one is not for us to say.
    """
    stray = stray_contained(known, instances, GLAND_REGIONS)
    contact = escapes(known, _EPITHELIUM, GLAND_REGIONS) & ~stray
    if not contact.any():
        return 0
    regions[contact] = _EPITHELIUM
    return int(instances_from_mask(contact).max())
