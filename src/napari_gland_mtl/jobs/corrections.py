"""The segmentation that two layers show after the user has painted on them.

Shape and size follow the corrected labels. A gland's class probability comes from the network
and is kept for the glands that are still there; glands drawn by hand have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..export.layers import LayerData, segmentation_from_layers, was_edited, window_of
from ..segmentation import GlandTable, Segmentation


def segmentation_as_shown(layers: Sequence[LayerData]) -> Segmentation:
    """The segmentation of a regions and a glands layer, measured again if they were edited.

    Parameters
    ----------
    layers : sequence of tuple
        Layer data, one of each role, in any order; others are ignored.

    Raises
    ------
    InvalidInputError
        If one of the two is missing, or they do not belong together.
    """
    segmentation = segmentation_from_layers(layers)
    edited = [layer for layer in layers if was_edited(layer[0], layer[1])]
    if not edited:
        return segmentation
    return _remeasured(segmentation, window_of(edited[0][1])[:2])


def _remeasured(segmentation: Segmentation, origin: tuple[int, int]) -> Segmentation:
    """The same segmentation with the table measured on its labels as they are now."""
    from ..inference.measurements import measure_glands

    table = measure_glands(
        segmentation.regions,
        segmentation.glands,
        segmentation.mpp,
        hierarchy=segmentation.hierarchy,
        classes=tuple(segmentation.class_probabilities),
        origin=origin,
        uncertainty=segmentation.uncertainty,
    )
    return replace(segmentation, table=_with_class_probabilities(table, segmentation.table))


def _with_class_probabilities(table: GlandTable, before: GlandTable) -> GlandTable:
    """`table` with the probability columns of `before`, matched by label; NaN for new glands."""
    merged = dict(table)
    labels = np.asarray(table.get("label", ()))
    known = {int(label): row for row, label in enumerate(before.get("label", ()))}
    rows = [known.get(int(label)) for label in labels]
    for name, column in before.items():
        if name.endswith("_probability"):
            values = [np.nan if row is None else float(column[row]) for row in rows]
            merged[name] = np.asarray(values, dtype=float)
    return merged
