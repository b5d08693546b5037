"""Layers of a segmentation as napari's layer data, without napari.

Used where a file becomes layers and layers become a file. A layer's metadata says what it is
(``role``), which image it belongs to, and all that labels and features cannot hold; the
``fingerprint`` of the labels tells later whether they were edited by hand.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..regions import RegionHierarchy
from ..segmentation import GlandTable, Segmentation
from .ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from .summary import segmentation_from, summary_of
from .uncertainty_map import UNCERTAINTY

LayerData = tuple[Any, dict[str, Any], str]
REGIONS_OPACITY = 0.45
# Filled, as files have them: the stain and the regions below must show through.
GLANDS_OPACITY = 0.4
CLEAR = (0.0, 0.0, 0.0, 0.0)
UNCERTAINTY_STYLE: dict[str, Any] = {
    "colormap": "magma",
    "contrast_limits": (0.0, 1.0),
    "blending": "additive",  # what is certain, or was not analysed, adds nothing
    "opacity": 0.6,
    "visible": False,
}
"""Of a layer that shows the uncertainty."""
_PROBABILITY = "_probability"
_LAST = ("label", "y_um", "x_um")
_BACKGROUND_ALPHA = 0.2


def placement(mpp: float | None) -> dict[str, Any]:
    """Layer attributes that put pixels of `mpp` um in place; none where it is unknown."""
    return {} if mpp is None else {"scale": (mpp, mpp), "units": ("um", "um")}


def layers_from_segmentation(
    segmentation: Segmentation, name: str, fingerprints: Mapping[str, int] | None = None
) -> list[LayerData]:
    """Region and gland labels of a whole image as label layers, its uncertainty as an image.

    Parameters
    ----------
    segmentation : Segmentation
    name : str
        The image's; the layers are called ``"<name> regions"``, ``"<name> uncertainty"`` and
        ``"<name> glands"``.
    fingerprints : dict of str to int, optional
        `fingerprint` of the label images by their role, for whoever has computed them.

    Returns
    -------
    list of tuple
        (labels, attributes, ``"labels"``), regions first; between them, where it is known,
        (map, attributes, ``"image"``) of the uncertainty, hidden. The glands' features are the
        table, with the label values in the column ``index``, where napari looks for them.
    """
    summary, known = summary_of(segmentation), fingerprints or {}
    style = {"colormap": region_colors(segmentation.hierarchy), "opacity": REGIONS_OPACITY}
    gland_style = {
        "features": gland_features(segmentation.table),
        "opacity": GLANDS_OPACITY,
    }
    uncertainty = segmentation.uncertainty
    return [
        _layer(REGIONS, segmentation.regions, name, summary, style, known.get(REGIONS)),
        *([] if uncertainty is None else [_uncertainty_layer(uncertainty, name, summary)]),
        _layer(GLANDS, segmentation.glands, name, summary, gland_style, known.get(GLANDS)),
    ]


def is_uncertainty(attributes: Mapping[str, Any]) -> bool:
    """Whether a layer is the uncertainty of a segmentation."""
    record = (attributes.get("metadata") or {}).get(ATTRIBUTE)
    return isinstance(record, Mapping) and record.get("role") == UNCERTAINTY


def segmentation_from_layers(layers: Sequence[LayerData]) -> Segmentation:
    """The inverse of `layers_from_segmentation`, with what was painted on the layers since.

    Rows of glands that were erased are left out of the table; if labels were edited, the
    topology violations are counted anew and the provenance says so. The other rows are not
    measured again here: `jobs.corrections` does that.

    Parameters
    ----------
    layers : sequence of tuple
        Regions and glands, and the uncertainty if it is to be kept, in any order; others are
        ignored.

    Raises
    ------
    InvalidInputError
        If one of the two is missing, or they do not belong together, or the uncertainty holds
        what can be none.
    """
    found = {role: layer for layer in layers if (role := role_of(layer[1])) is not None}
    if set(found) != {REGIONS, GLANDS}:
        raise InvalidInputError(
            "A segmentation consists of its regions layer and its glands layer. Select both."
        )
    regions = np.asarray(found[REGIONS][0]).astype(np.uint8, copy=False)
    glands = np.asarray(found[GLANDS][0]).astype(np.int32, copy=False)
    record = found[REGIONS][1]["metadata"][ATTRIBUTE]
    table = _present(gland_table(found[GLANDS][1].get("features")), glands)
    summary = dict(record.get("summary", {}))
    if any(was_edited(layer[0], layer[1]) for layer in found.values()):
        summary |= _recounted(summary, regions, glands)
    uncertain = [layer for layer in layers if is_uncertainty(layer[1])]
    uncertainty = _uncertainty_of(uncertain[0]) if uncertain else None
    return segmentation_from(summary, regions, glands, table, uncertainty)


def _uncertainty_of(layer: LayerData) -> npt.NDArray[np.float32]:
    """The map of a layer; another image may have been put in its place."""
    pixels, name = np.asarray(layer[0]), layer[1].get("name", UNCERTAINTY)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InvalidInputError(
            f"The layer “{name}” holds {pixels.dtype} and no uncertainty, which is a real number "
            "from 0 to 1. Leave it out, or segment the image again."
        )
    known = pixels[~np.isnan(pixels)]
    if known.size and (known.min() < 0 or known.max() > 1):
        raise InvalidInputError(
            f"The layer “{name}” has values from {known.min():g} to {known.max():g}. An "
            "uncertainty lies between 0 and 1, and is NaN where nothing was analysed. Leave the "
            "layer out, or segment the image again."
        )
    return pixels.astype(np.float32, copy=False)


def role_of(attributes: Mapping[str, Any]) -> str | None:
    """``"regions"`` or ``"glands"`` for a layer of a segmentation, else None."""
    record = (attributes.get("metadata") or {}).get(ATTRIBUTE)
    role = record.get("role") if isinstance(record, Mapping) else None
    return role if role in (REGIONS, GLANDS) else None


def was_edited(labels: Any, attributes: Mapping[str, Any]) -> bool:
    """Whether the labels of a layer of a segmentation are others than when it was made."""
    if role_of(attributes) is None:
        return False
    recorded = attributes["metadata"][ATTRIBUTE].get("fingerprint")
    return bool(recorded != fingerprint(np.asarray(labels)))


def window_of(attributes: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """(y0, x0, y1, x1) of a layer of a segmentation in its image, in the image's pixels."""
    y0, x0, y1, x1 = attributes["metadata"][ATTRIBUTE].get("window") or (0, 0, 0, 0)
    return int(y0), int(x0), int(y1), int(x1)


def fingerprint(labels: npt.NDArray[Any]) -> int:
    """Checksum of a label image and of its shape."""
    array = np.ascontiguousarray(labels, dtype=np.int32)
    return zlib.crc32(array.data, zlib.crc32(repr(array.shape).encode()))


def gland_features(table: GlandTable) -> dict[str, npt.NDArray[Any]]:
    """The table as features of a labels layer; empty for a table without rows.

    napari writes them all into one line that ends where the window does: what a gland looks like
    comes first, where it lies and its label, which the line begins with anyway, come last.
    """
    if not len(table.get("label", ())):
        return {}
    names = sorted(table, key=lambda name: (name in _LAST, not name.endswith(_PROBABILITY)))
    return {"index": np.asarray(table["label"]), **{name: table[name] for name in names}}


def gland_table(features: Any) -> GlandTable:
    """The inverse of `gland_features`, for columns in a dict or a data frame."""
    columns = {} if features is None else {str(name): _column(features[name]) for name in features}
    if "label" not in columns:
        return {}
    columns.pop("index", None)
    known = columns["label"].astype(float) > 0  # napari adds rows of NaN for other labels
    names = sorted(columns, key=lambda name: (name not in _LAST, name.endswith(_PROBABILITY)))
    names.sort(key=lambda name: name != "label")
    return {name: columns[name][known] for name in names}


def _column(values: Any) -> npt.NDArray[Any]:
    column = np.asarray(values)
    return column.astype(str) if column.dtype.kind == "O" else column


def _present(table: GlandTable, glands: npt.NDArray[np.int32]) -> GlandTable:
    """The rows whose gland is still there."""
    if not table:
        return table
    kept = np.isin(table["label"], np.unique(glands))
    return {name: column[kept] for name, column in table.items()}


def _recounted(
    summary: Mapping[str, Any], regions: npt.NDArray[np.uint8], glands: npt.NDArray[np.int32]
) -> dict[str, Any]:
    from dataclasses import asdict

    from ..metrics.topology import count_violations

    hierarchy = RegionHierarchy.model_validate(summary["hierarchy"])
    hierarchy.check_labels(regions)
    return {
        "violations": asdict(count_violations(regions, glands, hierarchy)),
        "provenance": {**summary["provenance"], "corrected_by_hand": True},
    }


def _layer(
    role: str,
    labels: npt.NDArray[Any],
    name: str,
    summary: Mapping[str, Any],
    style: Mapping[str, Any],
    known: int | None,
) -> LayerData:
    record = _record(role, labels, name, summary)
    checksum = fingerprint(labels) if known is None else known
    attributes = {
        "name": f"{name} {role}",
        "metadata": {ATTRIBUTE: {**record, "fingerprint": checksum}},
        **placement(float(summary["mpp"])),
        **style,
    }
    return labels, attributes, "labels"


def _uncertainty_layer(
    uncertainty: npt.NDArray[np.float32], name: str, summary: Mapping[str, Any]
) -> LayerData:
    attributes = {
        "name": f"{name} {UNCERTAINTY}",
        "metadata": {ATTRIBUTE: _record(UNCERTAINTY, uncertainty, name, summary)},
        **placement(float(summary["mpp"])),
        **UNCERTAINTY_STYLE,
    }
    return uncertainty, attributes, "image"


def _record(
    role: str, pixels: npt.NDArray[Any], name: str, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What a layer's metadata say of it."""
    return {
        "role": role,
        "image_id": "",
        "image_name": name,
        "window": (0, 0, *pixels.shape),
        "summary": dict(summary),
    }


def region_colors(hierarchy: RegionHierarchy) -> dict[int | None, tuple[float, ...]]:
    """Colour of each code as 0..1 RGBA; the background is faint, so that the stain shows."""
    colors: dict[int | None, tuple[float, ...]] = {None: CLEAR, 0: CLEAR}
    for code, region in enumerate(hierarchy.regions, 1):
        alpha = _BACKGROUND_ALPHA if region.name == hierarchy.background else 1.0
        colors[code] = (*(byte / 255 for byte in bytes.fromhex(region.color[1:])), alpha)
    return colors
