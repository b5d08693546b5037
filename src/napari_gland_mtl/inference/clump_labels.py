"""Label and measure the clumps in one window of a slide as if they were all there is.

The window is a little larger than the clumps; other clumps in it count as background. What
comes out is what decoding and measuring the whole slide would give there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.runs import Runs, encode
from ..metrics.topology import any_of, containers, count_violations
from ..regions import NOT_ANNOTATED
from ..segmentation import GlandTable, TopologyViolations
from .canvas import pack
from .decoding import finish_glands
from .measurements import mean_activations, measure_glands
from .repair import outside_code, withdraw_contents
from .separation import drop_small, separate_glands
from .slide_probabilities import Planes, ProbabilitySource, Recipe, read_planes
from .tiling import Window
from .uncertainty import entropy, rim_px

if TYPE_CHECKING:
    import numpy.typing as npt

    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]
    Mask = npt.NDArray[np.bool_]
    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Labels and measures of some clumps.

    Attributes
    ----------
    runs : Runs
        Their pixels; values as `canvas.pack` makes them, with numbers 1 .. n.
    table : dict of str to ndarray
        One row per gland.
    activations : ndarray of float64, (K,)
        Class activations summed over the pixels of all glands.
    violations : TopologyViolations
        In the labels: none.
    cut : int
        How many of the glands are only a part of what would be one gland.
    """

    runs: Runs
    table: GlandTable
    activations: Values
    violations: TopologyViolations
    cut: int = 0


def window_around(box: Window, shape: tuple[int, int], recipe: Recipe) -> Window:
    """The window in which clumps in a box can be decoded, on the grid of the class map."""
    margin = recipe.reach + 1
    y0, x0, y1, x1 = box
    wider = Window(y0 - margin, x0 - margin, y1 + margin, x1 + margin)
    return wider.clipped(*shape).aligned(recipe.stride).clipped(*shape)


def decode_members(planes: Planes, members: Mask, recipe: Recipe) -> tuple[Regions, Instances]:
    """Regions and glands of the clumps that `members` covers, all other clumps left out."""
    hierarchy, config, mpp = recipe.hierarchy, recipe.config, recipe.mpp
    glands = separate_glands(planes.certainty, mpp, config, members & planes.solid)
    return finish_glands(planes.raw, glands, planes.probabilities, hierarchy, mpp, config)


def label_group(
    source: ProbabilitySource, box: Window, members: Runs, recipe: Recipe
) -> Labelled | None:
    """Label complete clumps.

    Parameters
    ----------
    source : ProbabilitySource
    box : Window
        Around the clumps.
    members : Runs
        Their pixels, those of their holes and of all that lies in these, in order.
    recipe : Recipe

    Returns
    -------
    Labelled or None
        None if they leave no mark.
    """
    window = window_around(box, source.shape, recipe)
    planes = read_planes(source, window, recipe)
    inside = mask_of(members, window)
    regions, glands = decode_members(planes, inside, recipe)
    return finish_labels(source, window, regions, glands, inside, recipe)


def mask_of(runs: Runs, window: Window) -> Mask:
    """The pixels of runs that lie in a window, as a mask of it."""
    ones = runs.shifted(-window.y0, -window.x0).with_values(np.ones(runs.size))
    mask: Mask = ones.paint(window.shape, np.bool_)
    return mask


def finish_labels(
    source: ProbabilitySource,
    window: Window,
    regions: Regions,
    glands: Instances,
    painted: Mask,
    recipe: Recipe,
    is_cut: Mask | None = None,
) -> Labelled | None:
    """Leave glands on glass out, measure the rest, and keep what is painted as runs.

    Parameters
    ----------
    source, window
    regions, glands : ndarray, (h, w)
        Labels of the window, glands 1 .. n.
    painted : ndarray of bool, (h, w)
        Which pixels of the window these labels are for.
    recipe : Recipe
    is_cut : ndarray of bool, (h, w), optional
        Pixels of glands whose outline is not their own.
    """
    if recipe.tissue is not None:
        regions, glands = _on_tissue(regions, glands, recipe.tissue(window), recipe)
    number = int(glands.max(initial=0))
    if number == 0 and recipe.is_plain:
        return None
    class_map = None
    if recipe.classes:
        class_map = source.class_map(window.aligned(recipe.stride).coarsened(recipe.stride))
    uncertainty, corner = _uncertainty_around(source, window, recipe)
    table = measure_glands(
        regions,
        glands,
        recipe.mpp,
        class_map,
        recipe.hierarchy,
        recipe.classes,
        recipe.stride,
        (window.y0, window.x0),
        uncertainty,
        corner,
    )
    cut = np.zeros(number, dtype=bool)
    if is_cut is not None:
        cut = np.bincount(glands[is_cut], minlength=number + 1)[1:] > 0
        table["touches_border"] |= cut
    # A gland that was given up leaves its mark: the background took the place of what was there.
    shown = np.where(glands > 0 if recipe.is_plain else painted, regions, 0)
    runs = encode(pack(shown, glands))
    return Labelled(
        runs.where(runs.value > 0).shifted(window.y0, window.x0),
        table,
        _summed_activations(encode(glands > 0), class_map, recipe),
        _violations(regions, glands, recipe),
        int(cut.sum()),
    )


def _uncertainty_around(
    source: ProbabilitySource, window: Window, recipe: Recipe
) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
    """Uncertainty of a window and of the rim around it, and where the window begins in it.

    A gland's rim may reach beyond the window; what it holds must not depend on that.
    """
    rim = rim_px(recipe.mpp)
    y0, x0, y1, x1 = window
    wider = Window(y0 - rim, x0 - rim, y1 + rim, x1 + rim).clipped(*source.shape)
    return entropy(source.read(wider)), (y0 - wider.y0, x0 - wider.x0)


def _violations(regions: Regions, glands: Instances, recipe: Recipe) -> TopologyViolations:
    """Gland codes without an instance stand for glands of other windows, and are not judged."""
    elsewhere = any_of(regions, recipe.hierarchy.gland_codes) & (glands == 0)
    if elsewhere.any():
        regions = np.where(elsewhere, np.uint8(NOT_ANNOTATED), regions)
    return count_violations(regions, glands, recipe.hierarchy)


def _on_tissue(
    regions: Regions, glands: Instances, tissue: Mask, recipe: Recipe
) -> tuple[Regions, Instances]:
    """Only the glands that lie on tissue with half of their area at least."""
    area = np.bincount(glands.ravel(), minlength=1)
    on_glass = np.bincount(glands[~tissue], minlength=len(area)) * 2 > area
    on_glass[0] = False
    if not on_glass.any():
        return regions, glands
    gone = on_glass[glands]
    regions[gone] = outside_code(recipe.hierarchy)
    glands = drop_small(np.where(gone, 0, glands), 1)
    inside = set(recipe.hierarchy.gland_codes)
    for container in containers(recipe.hierarchy):
        if container not in inside:
            withdraw_contents(regions, container, recipe.hierarchy)
    return regions, glands


def _summed_activations(
    runs: Runs, class_map: npt.NDArray[np.float32] | None, recipe: Recipe
) -> Values:
    if class_map is None:
        return np.zeros(0)
    glands = runs.where(runs.value > 0)
    if glands.size == 0:
        return np.zeros(len(class_map))
    total: Values = mean_activations(glands, 1, class_map, recipe.stride)[0] * glands.length.sum()
    return total
