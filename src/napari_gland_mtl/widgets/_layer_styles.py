"""How glands look: the colour of their outlines, its width, and the legend's entries.

Styles are data and nothing here changes a layer. Regions are thin washes of the colours that
the hierarchy names, with a faint background, as `export.layers` says. Glands are outlines over
them, coloured by the class each one looks like. All colours are of the Okabe-Ito set, which is
told apart in every common colour blindness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..regions import RegionHierarchy
from ..segmentation import CLASS_COLORS, GlandTable
from ..storage.ngff import TISSUE_COLOR

GLANDS_OPACITY = 1.0
TISSUE_OPACITY = 0.3
HEAT_MAP_OPACITY = 0.6
UNCERTAINTY_OPACITY = 0.8
UNCERTAINTY_COLOR = "#39ff14"
LISTED_LABELS = 2**16 - 1
"""The largest label that napari finds in a list of colours without numba."""
CLEAR = (0.0, 0.0, 0.0, 0.0)
UNKNOWN_CLASS_COLOR = "#ffffff"

ColorDict = dict[int | None, tuple[float, float, float, float]]


@dataclass(frozen=True)
class LegendEntry:
    """One line of the legend.

    Attributes
    ----------
    name : str
        What the colour stands for.
    color : str
        ``#rrggbb``.
    outline : bool
        True for a line around a gland, False for a filled area.
    """

    name: str
    color: str
    outline: bool = False


def rgba(color: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """``#rrggbb`` as four numbers in 0..1."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, alpha


def class_color(index: int) -> str:
    """The colour of the class at `index` in the model's order of classes."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def gland_classes(table: GlandTable, classes: Sequence[str]) -> npt.NDArray[np.intp]:
    """Index of the likeliest class of each gland of the table, -1 where it is not known.

    A table with one probability column for two classes means the other is the rest.
    """
    count = len(table.get("label", ()))
    columns = [table.get(f"{name}_probability") for name in classes]
    known = [column for column in columns if column is not None]
    if not known or not count:
        return np.full(count, -1, dtype=np.intp)
    rest = 1.0 - np.sum(known, axis=0)
    values = np.stack([rest if c is None else np.asarray(c, float) for c in columns])
    likeliest = np.argmax(np.nan_to_num(values), axis=0)
    return np.where(np.isnan(values).any(axis=0), -1, likeliest).astype(np.intp)


def gland_colors(table: GlandTable, classes: Sequence[str]) -> ColorDict:
    """Outline colour of each gland; glands drawn later by hand get the unknown class's."""
    colors: ColorDict = {None: rgba(UNKNOWN_CLASS_COLOR), 0: CLEAR}
    for label, index in zip(table.get("label", ()), gland_classes(table, classes), strict=True):
        colors[int(label)] = rgba(UNKNOWN_CLASS_COLOR if index < 0 else class_color(int(index)))
    return colors


def contour_width(shape: tuple[int, ...]) -> int:
    """Width of a gland's outline in px: visible while the whole image is in view.

    No wider: napari draws outlines on the processor, and the window waits in proportion.
    """
    return int(np.clip(round(max(shape) / 400), 2, 6))


def glands_style(table: GlandTable, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Layer attributes of the gland outlines; napari takes their width after creation only.

    Parameters
    ----------
    table : dict of str to ndarray
        One row per gland.
    summary : dict
        Of the segmentation, as in the layer's metadata; names the classes.
    """
    classes = tuple(summary.get("class_probabilities", ()))
    return {"colormap": gland_colors(table, classes), "opacity": GLANDS_OPACITY}


def slide_glands_style(table: GlandTable, classes: Sequence[str]) -> dict[str, Any]:
    """Layer attributes of a slide's gland outlines, whose table comes when it is done.

    Until then they are white; of more glands than napari can tell apart by a list of colours,
    each gets one of its own.

    Parameters
    ----------
    table : dict of str to ndarray
        One row per gland; empty while it is not known.
    classes : sequence of str
    """
    labels = table.get("label", ())
    if len(labels) and max(labels) > LISTED_LABELS:
        return {"opacity": GLANDS_OPACITY}
    return {"colormap": gland_colors(table, classes), "opacity": GLANDS_OPACITY}


def heat_map_style(index: int) -> dict[str, Any]:
    """Layer attributes of the map of a class's probability: its colour, clear where it is 0.

    Parameters
    ----------
    index : int
        Of the class in the model's order.
    """
    color = class_color(index)
    colors = np.array([rgba(color, 0.0), rgba(color)])
    # Light on white glass adds nothing: the map is laid over the stain instead.
    return {"colormap": colors, "blending": "translucent", "opacity": HEAT_MAP_OPACITY}


def uncertainty_style() -> dict[str, Any]:
    """Layer attributes of a map of uncertainty: clear where the network is sure, then bright green.

    It is the colour of no region and of no class, and is seen on pink as on purple and blue.
    """
    colors = np.array([rgba(UNCERTAINTY_COLOR, 0.0), rgba(UNCERTAINTY_COLOR)])
    return {
        # The name that napari gives makes its controls wider, and the canvas narrower.
        "colormap": {"name": "uncertainty", "colors": colors},
        "contrast_limits": (0.0, 1.0),
        "blending": "translucent",
        "opacity": UNCERTAINTY_OPACITY,
    }


def tissue_style() -> dict[str, Any]:
    """Layer attributes of a tissue mask."""
    colors: ColorDict = {None: CLEAR, 0: CLEAR, 1: rgba(TISSUE_COLOR)}
    return {"colormap": colors, "opacity": TISSUE_OPACITY}


def legend(
    hierarchy: RegionHierarchy, class_counts: Mapping[str, int | str], unknown: int = 0
) -> list[LegendEntry]:
    """Regions as areas, then classes as outlines with their number of glands."""
    entries = []
    for region in hierarchy.regions:
        faint = " (faint)" if region.name == hierarchy.background else ""
        entries.append(LegendEntry(f"{region.name}{faint}", region.color))
    for index, (name, count) in enumerate(class_counts.items()):
        entries.append(LegendEntry(f"gland that looks {name} ({count})", class_color(index), True))
    if unknown:
        name = f"gland of unknown class ({unknown})"
        entries.append(LegendEntry(name, UNKNOWN_CLASS_COLOR, True))
    return entries
