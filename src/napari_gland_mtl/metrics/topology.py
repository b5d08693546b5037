"""Find where a labelling does not respect the topology of a tissue.

1. Every pixel of a region inside the gland region (lumen) lies in a gland.
2. No pixel of a contained region touches (4-neighbour) a pixel outside its parent.
3. Each gland instance is one 8-connected piece without holes.

Where the analysed area ends, at the image border or at pixels of code 0, nothing is said.
The rules read everything from the hierarchy, so they hold for any forest of regions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..segmentation import TopologyViolations
from .components import (
    check_same_shape,
    compact_labels,
    hole_labels,
    instances_from_mask,
    objects_with_holes,
    pieces_as_runs,
    secondary_pieces,
)
from .runs import Runs, boxes_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from .components import Box, Labels, Mask

Rule = Literal["outside_parent", "touches_outside", "extra_pieces", "holes"]


@dataclass(frozen=True)
class Violation:
    """One connected place that breaks one rule.

    Attributes
    ----------
    rule : str
        The field of `TopologyViolations` that counts it.
    y0, x0, y1, x1 : int
        Bounding box in pixels, the ends excluded.
    pixels : int
        Size of the place: the clump, the pixels in contact, the piece, the hole.
    gland : int
        Label of the gland concerned, 0 if there is none.
    """

    rule: Rule
    y0: int
    x0: int
    y1: int
    x1: int
    pixels: int
    gland: int = 0


def count_violations(
    regions: Labels,
    glands: Labels | None = None,
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> TopologyViolations:
    """Count the places that break each rule; see `find_violations`.

    Examples
    --------
    A lumen pixel at the edge of its gland touches the stroma above it:

    >>> labels = np.ones((5, 5), dtype=np.uint8)
    >>> labels[1:4, 1:4] = 2
    >>> labels[1, 2] = 3
    >>> count_violations(labels).touches_outside
    1
    """
    counts = dict.fromkeys(("outside_parent", "touches_outside", "extra_pieces", "holes"), 0)
    for violation in find_violations(regions, glands, hierarchy):
        counts[violation.rule] += 1
    return TopologyViolations(**counts)


def find_violations(
    regions: Labels,
    glands: Labels | None = None,
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> list[Violation]:
    """Find every connected place that breaks a rule.

    Parameters
    ----------
    regions : ndarray of int, (Y, X)
        Codes of `hierarchy`; 0 where nothing was analysed or annotated.
    glands : ndarray of int, (Y, X), optional
        Gland instances. Only their pixels of a gland code count, so that stroma inside an
        instance is a hole. Without it, instances are the 8-connected components of the
        gland codes.
    hierarchy : RegionHierarchy

    Returns
    -------
    list of Violation
        By rule, then in the order of the first pixel. A clump that lies in no gland
        (because no instance covers it, or because its gland has no pixel of the gland
        region itself) is listed once, under rule 1, and not again for what it touches.

    Raises
    ------
    InvalidInputError
        If the arrays are no label images of `hierarchy` or differ in shape.
    """
    hierarchy.check_labels(regions)
    names: npt.NDArray[np.int64] | None = None
    if glands is None:
        instances = instances_from_mask(any_of(regions, hierarchy.gland_codes))
    else:
        check_same_shape(regions, glands, "The region labels and the gland labels")
        inside = any_of(regions, hierarchy.gland_codes)
        instances, names = compact_labels(np.where(inside, glands, 0))
    if regions.size == 0:
        return []
    stray = stray_contained(regions, instances, hierarchy)
    touching = np.zeros(regions.shape, dtype=bool)
    for container in containers(hierarchy):
        touching |= escapes(regions, container, hierarchy)
    found = _places("outside_parent", stray, instances)
    found += _places("touches_outside", touching & ~stray, instances)
    unknown = regions == NOT_ANNOTATED
    if names is None:  # instances are connected pieces by construction
        return found + _holes(objects_with_holes(instances), instances, unknown)
    pieces, owner, area = pieces_as_runs(instances)
    found += _extra_pieces(pieces, owner, area)
    found += _holes(objects_with_holes(instances, owner), instances, unknown)
    return [_renamed(violation, int(names[violation.gland])) for violation in found]


def containers(hierarchy: RegionHierarchy) -> list[int]:
    """Codes of the regions that contain others, from the roots down."""
    depth = hierarchy.assignments.sum(axis=1)
    descendants = hierarchy.assignments.sum(axis=0) - 1
    codes = [int(code) + 1 for code in np.argsort(depth, kind="stable")]
    return [code for code in codes if descendants[code - 1] > 0]


def escapes(regions: Labels, container: int, hierarchy: RegionHierarchy) -> Mask:
    """Rule 2 for one container: its contents where they touch annotated pixels outside it.

    Parameters
    ----------
    regions : ndarray of int, (Y, X)
    container : int
        Code of the containing region.
    hierarchy : RegionHierarchy

    Returns
    -------
    ndarray of bool, (Y, X)
    """
    belongs = np.flatnonzero(hierarchy.assignments[:, container - 1]) + 1
    contents = any_of(regions, (int(code) for code in belongs if code != container))
    outside = ~(contents | (regions == container) | (regions == NOT_ANNOTATED))
    mask: Mask = contents & beside(outside)
    return mask


def any_of(regions: Labels, codes: Iterable[int]) -> Mask:
    """Pixels with one of the codes; for few codes much faster than a look-up table."""
    mask = np.zeros(regions.shape, dtype=bool)
    for code in codes:
        mask |= regions == code
    return mask


def beside(mask: Mask) -> Mask:
    """Pixels with a 4-neighbour in `mask`."""
    result = np.zeros_like(mask)
    result[1:] |= mask[:-1]
    result[:-1] |= mask[1:]
    result[:, 1:] |= mask[:, :-1]
    result[:, :-1] |= mask[:, 1:]
    return result


def stray_contained(
    regions: Labels, instances: npt.NDArray[np.int32], hierarchy: RegionHierarchy
) -> Mask:
    """Rule 1: contents of the gland region without an instance or in one made of them alone.

    Parameters
    ----------
    regions : ndarray of int, (Y, X)
    instances : ndarray of int32, (Y, X)
        Numbered 1 .. n, 0 outside the gland codes.
    hierarchy : RegionHierarchy

    Returns
    -------
    ndarray of bool, (Y, X)
    """
    own = regions == hierarchy.code(hierarchy.gland)
    is_complete = np.zeros(int(instances.max(initial=0)) + 1, dtype=bool)
    is_complete[instances[::4][own[::4]]] = True  # enough for all but small ones
    is_complete[0] = True
    if not is_complete.all():
        is_complete[instances[own]] = True
    is_complete[0] = False
    mask = any_of(regions, hierarchy.gland_codes)
    mask &= ~own
    if not is_complete[1:].all() or (mask & (instances == 0)).any():
        mask &= ~is_complete[instances]
    else:
        mask[...] = False
    return mask


def _places(rule: Rule, mask: Mask, instances: npt.NDArray[np.int32]) -> list[Violation]:
    """The 8-connected components of `mask`, each with the highest gland number in it."""
    from scipy import ndimage

    if not mask.any():
        return []
    places = instances_from_mask(mask)
    area = np.bincount(places.ravel())
    gland = np.zeros(len(area), dtype=np.int64)
    np.maximum.at(gland, places[mask], instances[mask])
    return [
        _violation(rule, box, int(area[number]), int(gland[number]))
        for number, box in enumerate(ndimage.find_objects(places), 1)
    ]


def _extra_pieces(
    pieces: Runs, owner: npt.NDArray[np.int64], area: npt.NDArray[np.int64]
) -> list[Violation]:
    """All but the biggest piece of every gland."""
    extra = secondary_pieces(owner, area)
    return [
        _violation("extra_pieces", box, int(area[number]), int(owner[number]))
        for number, box in boxes_of(pieces, extra)
    ]


def _holes(
    suspects: list[tuple[int, Box]], instances: npt.NDArray[np.int32], unknown: Mask
) -> list[Violation]:
    from scipy import ndimage

    found: list[Violation] = []
    for number, box in suspects:
        holes, _ = hole_labels(instances[box] == number, unknown[box])
        area = np.bincount(holes.ravel())
        for n, (rows, columns) in enumerate(ndimage.find_objects(holes), 1):
            place = (
                slice(box[0].start + rows.start, box[0].start + rows.stop),
                slice(box[1].start + columns.start, box[1].start + columns.stop),
            )
            found.append(_violation("holes", place, int(area[n]), number))
    return found


def _violation(rule: Rule, box: Box, pixels: int, gland: int) -> Violation:
    rows, columns = box
    return Violation(rule, rows.start, columns.start, rows.stop, columns.stop, pixels, gland)


def _renamed(found: Violation, gland: int) -> Violation:
    return Violation(found.rule, found.y0, found.x0, found.y1, found.x1, found.pixels, gland)
