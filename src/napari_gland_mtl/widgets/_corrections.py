"""What has to be measured again after the user has painted on a result.

Shape and size follow the corrected labels. A gland's class probability comes from the network
and is kept for the glands that are still there; glands drawn by hand have none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..segmentation import GlandTable, Segmentation


def remeasured(segmentation: Segmentation) -> Segmentation:
    """The same segmentation with the table measured on its labels as they are now."""
    from ..inference.measurements import measure_glands

    regions, glands = segmentation.regions, segmentation.glands
    table = measure_glands(
        regions,
        glands,
        segmentation.mpp,
        hierarchy=segmentation.hierarchy,
        classes=tuple(segmentation.class_probabilities),
    )
    return replace(segmentation, table=with_class_probabilities(table, segmentation.table))


def with_class_probabilities(table: GlandTable, before: GlandTable) -> GlandTable:
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
