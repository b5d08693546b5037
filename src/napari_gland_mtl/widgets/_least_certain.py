"""The gland that a model is least certain of, among those that nobody has annotated yet.

What a result says of its glands becomes a place on the slide and an area around it: large enough
to be learned from, moved rather than cut at the edge of the image, and beside other areas
(`_area_window`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import GlandMTLError, InvalidInputError
from ..export.layers import gland_table
from ..export.ome_zarr import ATTRIBUTE, GLANDS
from ..export.slide_layers import SLIDE_GLANDS
from ..export.uncertainty_map import UNCERTAINTY
from ..segmentation import GlandTable
from . import _layers, _slide_layers
from ._area_window import inside, window_beside
from ._image_source import Window
from ._layer_data import record_of

SIDE_PX = 256
"""Least side of an area, in px of the model: a patch that it learns from, and what lies around."""
GLANDS_WIDE = 2.0
"""How many times the diameter of its gland an area is wide at least."""
GLAND_ROOM = 1.5
"""How many radii of its gland an area reaches around the centre at least: few glands are round."""
NO_UNCERTAINTY = (
    "This result does not say how certain the model is: it was made by an earlier version. Segment "
    "the image again to learn it."
)
NO_RESULT = (
    "“{image}” has no result yet, so nobody knows which gland is the least certain. Segment it "
    "first: Plugins > Gland segmentation > Segment glands."
)


@dataclass(frozen=True)
class ResultTable:
    """Where the glands of a result are listed.

    Attributes
    ----------
    mpp : float
        Um per px of its labels.
    model : str
        That made it; empty if it does not say.
    table : dict of str to ndarray or None
        One row per gland; None if it is to be read from `path`.
    path : Path or None
        The store of a slide's result.
    """

    mpp: float
    model: str = ""
    table: GlandTable | None = None
    path: Path | None = None

    def read(self) -> GlandTable:
        """The table; of a slide from disk.

        Raises
        ------
        InvalidInputError
            If it does not say how certain the model is.
        """
        table = self.table
        if table is None and self.path is not None:
            from ..export.slide_store import SlideStore

            table = SlideStore.open(self.path).read_table()
        table = table or {}
        if len(table.get("label", ())) and UNCERTAINTY not in table:
            raise InvalidInputError(NO_UNCERTAINTY)
        return table


@dataclass(frozen=True)
class UncertainGland:
    """A gland, and how many there are besides.

    Attributes
    ----------
    label : int
    uncertainty : float
        0 to 1.
    window : tuple of int
        The area around it, in px of the slide.
    left : int
        Glands that lie in no area even then.
    """

    label: int
    uncertainty: float
    window: Window
    left: int


def field_table(viewer: Any, image: Any) -> ResultTable | None:
    """The glands of the result of a field; None if the image has none."""
    layer = _layers.result_layers(viewer, image).get(GLANDS)
    record = None if layer is None else record_of({"metadata": layer.metadata})
    if layer is None or record is None:
        return None
    model = str((record.summary.get("provenance") or {}).get("model", ""))
    return ResultTable(float(record.summary["mpp"]), model, gland_table(layer.features))


def slide_table(viewer: Any, image: Any) -> ResultTable | None:
    """The glands of the result of a slide; None if the image has none that is finished."""
    shown = _slide_layers.shown_slide(viewer, image)
    if shown is None:
        return None
    layer = _slide_layers.slide_layers(viewer, image)[(SLIDE_GLANDS, None)]
    mpp = float(layer.metadata[ATTRIBUTE]["mpp"])
    return ResultTable(mpp, _model_of(shown.path), None, shown.path)


def result_table(viewer: Any, image: Any) -> ResultTable:
    """The glands of the result that is shown on an image, of a field before that of a slide.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    found = field_table(viewer, image) or slide_table(viewer, image)
    if found is None:
        raise InvalidInputError(NO_RESULT.format(image=image.name))
    return found


def least_certain(
    table: GlandTable,
    mpp: float,
    slide_mpp: float,
    model_mpp: float,
    shape: tuple[int, int],
    annotated: Iterable[Window],
) -> UncertainGland | None:
    """The least certain gland whose centre lies in no annotated area; None if none is left.

    Parameters
    ----------
    table : dict of str to ndarray
        With ``label``, ``y_um``, ``x_um``, ``area_um2``, ``uncertainty``.
    mpp, slide_mpp, model_mpp : float
        Um per px of the labels, of the slide, and of the area.
    shape : tuple of int
        (height, width) of the slide in px.
    annotated : iterable of tuple of int
        Windows of areas, in px of the slide.
    """
    if not len(table.get("label", ())):
        return None
    uncertainty = np.asarray(table[UNCERTAINTY], float)
    # The centre of the labels' first pixel is (0, 0); the corner of the slide's is.
    centres = np.stack([table["y_um"], table["x_um"]], axis=1) / mpp + 0.5
    centres *= mpp / slide_mpp
    free = ~np.isnan(uncertainty)
    known = list(annotated)
    for window in known:
        free &= ~inside(centres, window)
    if not free.any():
        return None
    row = int(np.argmax(np.where(free, uncertainty, -1.0)))
    diameter_um = 2 * math.sqrt(float(table["area_um2"][row]) / math.pi)
    side = max(SIDE_PX * model_mpp, GLANDS_WIDE * diameter_um) / slide_mpp
    room = GLAND_ROOM * diameter_um / 2 / slide_mpp
    centre = float(centres[row, 0]), float(centres[row, 1])
    window = window_beside(centre, math.ceil(side), room, shape, known)
    left = int(np.count_nonzero(free & ~inside(centres, window)))
    return UncertainGland(int(table["label"][row]), float(uncertainty[row]), window, left)


def _model_of(store: Path) -> str:
    from ..export.slide_state import read_state

    try:
        return str(read_state(store)["record"].get("model", ""))
    except (GlandMTLError, OSError, LookupError, AttributeError):  # said when it is read
        return ""
