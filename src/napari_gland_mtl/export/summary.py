"""All of a segmentation but its label images and its table, as JSON: attributes, metadata.

What an export writes into the store's attributes is what a label layer carries as metadata, so
that a result is the same one after any number of saves and opens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..regions import RegionHierarchy
from ..segmentation import GlandTable, Segmentation, TopologyViolations


def summary_of(segmentation: Segmentation) -> dict[str, Any]:
    """What `segmentation_from` needs besides arrays; JSON-able.

    Raises
    ------
    InvalidInputError
        If the provenance holds what JSON cannot: arrays, objects, NaN.
    """
    summary = {
        "class_probabilities": {
            name: float(value) for name, value in segmentation.class_probabilities.items()
        },
        "mpp": float(segmentation.mpp),
        "hierarchy": segmentation.hierarchy.model_dump(mode="json"),
        "violations_raw": asdict(segmentation.violations_raw),
        "violations": asdict(segmentation.violations),
        "provenance": dict(segmentation.provenance),
        "complete": bool(segmentation.complete),
        # A layer's features lose the columns of a table without rows; these keep them.
        "table_columns": {
            name: np.asarray(column).dtype.str for name, column in segmentation.table.items()
        },
    }
    try:
        json.dumps(summary, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The provenance of a segmentation must consist of plain numbers and text: {error}."
        ) from error
    return summary


def segmentation_from(
    summary: Mapping[str, Any],
    regions: npt.NDArray[np.uint8],
    glands: npt.NDArray[np.int32],
    table: GlandTable,
    uncertainty: npt.NDArray[np.float32] | None = None,
) -> Segmentation:
    """The inverse of `summary_of`.

    Raises
    ------
    InvalidInputError
        If the summary is not one, or the label images do not fit it.
    """
    try:
        columns = summary.get("table_columns", {})
        segmentation = Segmentation(
            regions=regions,
            glands=glands,
            table=table or {name: np.empty(0, dtype) for name, dtype in columns.items()},
            class_probabilities=dict(summary["class_probabilities"]),
            mpp=float(summary["mpp"]),
            hierarchy=RegionHierarchy.model_validate(summary["hierarchy"]),
            violations_raw=TopologyViolations(**summary["violations_raw"]),
            violations=TopologyViolations(**summary["violations"]),
            provenance=dict(summary["provenance"]),
            complete=bool(summary["complete"]),
            uncertainty=uncertainty,
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            f"The description of the segmentation is incomplete: {error}. Segment the image again."
        ) from error
    segmentation.hierarchy.check_labels(regions)
    if regions.shape != glands.shape:
        raise InvalidInputError(
            f"The regions have shape {regions.shape} and the glands {glands.shape}: they are not "
            "of the same run."
        )
    if uncertainty is not None and uncertainty.shape != regions.shape:
        raise InvalidInputError(
            f"The uncertainty has shape {uncertainty.shape} and the regions {regions.shape}: they "
            "are not of the same run."
        )
    return segmentation
