"""Make a labelling respect the topology rules of `metrics.topology`, changing little.

Annotations and raw predictions break the rules in small places: lumen that reaches the edge
of its gland, a hole, a stray piece, a gland inside another. Each step below mends one kind
without spoiling what the steps before it did, and does nothing where nothing is wrong, so a
valid labelling comes back as it was and repairing twice is repairing once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..metrics.components import (
    check_instances,
    check_same_shape,
    compact_labels,
    connected_pieces,
    hole_labels,
    instances_from_mask,
    objects_with_holes,
    secondary_pieces,
)
from ..metrics.topology import containers, escapes, stray_contained
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Labels, Mask

    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]


def repair(
    regions: Labels,
    glands: Labels | None = None,
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> tuple[Regions, Instances]:
    """Return labels that break no topology rule and instances that cover the glands exactly.

    1. Contents of a region around the glands that touch its outside become that region.
    2. Each gland pixel gets an instance (its neighbour's, or a new one where there is none),
       other pixels lose theirs; pieces of an instance beyond the biggest become instances.
    3. Instances without a pixel of the gland region itself (lumen alone) go to the background.
    4. Holes are filled with the gland region; a gland in or through a hole joins its owner.
    5. Contents that touch the outside of their region (lumen beside stroma) become the region.

    Parameters
    ----------
    regions : ndarray of int, (Y, X)
        Codes of `hierarchy`. Pixels of code 0 (not analysed, not annotated) stay 0.
    glands : ndarray of int, (Y, X), optional
        Gland instances; without them the 8-connected components of the gland codes.
    hierarchy : RegionHierarchy

    Returns
    -------
    regions : ndarray of uint8, (Y, X)
    glands : ndarray of int32, (Y, X)
        Numbers are kept; new instances get the numbers after the highest.

    Raises
    ------
    InvalidInputError
        If the arrays are no label images of `hierarchy` or differ in shape.
    """
    hierarchy.check_labels(regions)
    fixed = regions.astype(np.uint8)
    inside_gland = set(hierarchy.gland_codes)
    for container in containers(hierarchy):
        if container not in inside_gland:
            withdraw_contents(fixed, container, hierarchy)
    instances, names = _complete_instances(glands, hierarchy.is_gland(fixed))
    stray = stray_contained(fixed, instances, hierarchy)
    fixed[stray] = outside_code(hierarchy)
    instances[stray] = 0
    fixed[close_glands(instances, fixed == NOT_ANNOTATED)] = hierarchy.code(hierarchy.gland)
    for container in containers(hierarchy):
        withdraw_contents(fixed, container, hierarchy)
    return fixed, names[instances]


def outside_code(hierarchy: RegionHierarchy) -> int:
    """Code of a pixel that is taken out of a gland.

    The background of the hierarchy, or the gland's parent if the background lies outside
    that: a pixel never leaves more than the gland.
    """
    assignments = hierarchy.assignments
    gland = hierarchy.code(hierarchy.gland) - 1
    around = assignments[gland].copy()
    around[gland] = False
    background = hierarchy.code(hierarchy.background)
    if np.all(assignments[background - 1][around]):
        return background
    depth = assignments.sum(axis=1)
    return int(np.argmax(np.where(around, depth, 0))) + 1


def separate_pieces(instances: Instances) -> None:
    """Give each piece beyond an instance's biggest a number of its own, in place."""
    pieces, owner, area = connected_pieces(instances)
    extra = secondary_pieces(owner, area)
    if extra.size:
        numbers = owner.astype(np.int32)
        numbers[extra] = owner.max() + 1 + np.arange(extra.size)
        instances[...] = numbers[pieces]


def close_glands(instances: Instances, unknown: Mask) -> Mask:
    """Fill the holes of all instances in place; what a hole holds joins the gland around it.

    Parameters
    ----------
    instances : ndarray of int32, (Y, X)
        Connected instances 1 .. n.
    unknown : ndarray of bool, (Y, X)
        Pixels that were not analysed; a component with one of them is no hole.

    Returns
    -------
    ndarray of bool, (Y, X)
        The pixels that belonged to no instance and do now.

    Notes
    -----
    A gland that merely reaches into a hole, through the corner between two pixels of the
    gland around it, joins that gland with all its pixels: the union is connected, and cutting
    it could only make new pieces. Each such merger removes an instance, so the loop ends.
    """
    filled = np.zeros(instances.shape, dtype=bool)
    merged = True
    while merged:
        joins = np.arange(int(instances.max(initial=0)) + 1, dtype=np.int32)
        for number, box in objects_with_holes(instances):
            if joins[number] == number:
                _fill(instances[box], number, unknown[box], filled[box], joins)
        merged = bool(np.any(joins != np.arange(len(joins))))
        if merged:
            instances[...] = joins[instances]
    return filled


def _fill(instances: Instances, number: int, unknown: Mask, filled: Mask, joins: Instances) -> None:
    """Fill one gland in views of its box; note in `joins` which others become part of it."""
    current = joins[instances]
    holes = hole_labels(current == number, unknown)[0] > 0
    for other in np.unique(current[holes]):
        if other:
            joins[joins == other] = number
    new = holes & (instances == 0)
    instances[new] = number
    filled |= new


def withdraw_contents(regions: Regions, container: int, hierarchy: RegionHierarchy) -> None:
    """Turn contents of a region that touch its outside into the region itself, in place.

    From the roots down one pass is enough: the extent of a region does not change when its
    contents become it, and what lies deeper is looked at later.
    """
    regions[escapes(regions, container, hierarchy)] = container


def _complete_instances(
    glands: Labels | None, mask: Mask
) -> tuple[Instances, npt.NDArray[np.int32]]:
    """Connected instances 1 .. n that cover `mask` exactly, and the label of each of them."""
    if glands is None:
        instances = instances_from_mask(mask)
        return instances, np.arange(int(instances.max(initial=0)) + 1, dtype=np.int32)
    check_same_shape(mask, glands, "The region labels and the gland labels")
    check_instances(glands)
    instances, names = compact_labels(np.where(mask, glands, 0))
    _label_rest(instances, mask)
    separate_pieces(instances)
    added = int(instances.max(initial=0)) + 1 - len(names)
    names = np.concatenate((names, names[-1] + 1 + np.arange(added)))
    if names[-1] > np.iinfo(np.int32).max:
        raise InvalidInputError(
            f"Gland labels must be below 2**31, found {names[-1]}. Renumber the glands from 1."
        )
    return instances, names.astype(np.int32)


def _label_rest(instances: Instances, mask: Mask) -> None:
    """Give pixels of `mask` without an instance that of their neighbours, or a new one."""
    from scipy import ndimage
    from skimage.segmentation import watershed

    rest = mask & (instances == 0)
    if not rest.any():
        return
    clumps = instances_from_mask(mask)
    boxes = ndimage.find_objects(clumps)
    highest = int(instances.max())
    for number in np.unique(clumps[rest]):
        box = boxes[number - 1]
        clump, part = clumps[box] == number, instances[box]
        seeds = np.where(clump, part, 0)
        if seeds.any():
            flat = np.zeros(clump.shape, dtype=np.uint8)
            part[clump] = watershed(flat, seeds, mask=clump, connectivity=2)[clump]
        else:
            highest += 1
            part[clump] = highest
