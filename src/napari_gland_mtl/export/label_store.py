"""One label layer as an OME-Zarr label image of its own, with its metadata and features.

For labels that are saved without their image: painted by hand, or one layer of a segmentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInputError, UnreadableImageError
from ..segmentation import GlandTable
from ..storage.atomic import new_folder
from .layers import LayerData, gland_features, gland_table, placement
from .ome_zarr import ATTRIBUTE
from .store import (
    check_replaceable,
    read_array,
    read_table,
    write_label_image,
    write_table_group,
)

_KIND = "label layer"


def write_label_layer(path: Path, layer: LayerData, overwrite: bool = False) -> None:
    """Write a labels layer.

    Parameters
    ----------
    path : Path
    layer : tuple
        (labels (Y, X), attributes, ``"labels"``) as napari gives it.
    overwrite : bool
        Whether an OME-Zarr that is there may be replaced.

    Raises
    ------
    InvalidInputError
        If the labels do not have two axes of whole numbers, or the metadata is not JSON.
    OutputExistsError, OutputNotWritableError
    """
    data, attributes, _ = layer
    labels = _labels(data)
    mpp = _mpp(attributes)
    record = {
        "kind": _KIND,
        "name": str(attributes.get("name", path.name)),
        "mpp": mpp,
        "record": _json(attributes.get("metadata", {}).get(ATTRIBUTE)),
    }
    table: GlandTable = gland_table(attributes.get("features"))
    check_replaceable(path, overwrite)
    with new_folder(path, overwrite=overwrite) as partial:
        import zarr

        root = zarr.create_group(partial, zarr_format=3)
        root.attrs[ATTRIBUTE] = record
        write_label_image(root, labels, mpp, image_label={})
        write_table_group(root, table)


def is_label_store(path: Path | str) -> bool:
    """Whether `path` is a folder that `write_label_layer` made. Reads one small file."""
    try:
        attributes = json.loads((Path(path) / "zarr.json").read_text("utf-8"))["attributes"]
        return bool(attributes[ATTRIBUTE].get("kind") == _KIND)
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return False


def read_label_layer(path: Path | str) -> LayerData:
    """Read what `write_label_layer` wrote.

    Raises
    ------
    UnreadableImageError
        If it is damaged.
    """
    import zarr

    try:
        root = zarr.open_group(path, mode="r")
        record: dict[str, Any] = dict(root.attrs)[ATTRIBUTE]  # type: ignore[assignment]
        labels = read_array(root, "0")
        table = read_table(root)
        attributes: dict[str, Any] = {"name": record["name"], **placement(record["mpp"])}
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UnreadableImageError(
            f"{path} is damaged or incomplete ({error}). Save the layer again."
        ) from error
    if record["record"]:
        attributes["metadata"] = {ATTRIBUTE: record["record"]}
    features = gland_features(table)
    if features:
        attributes["features"] = features
    return labels, attributes, "labels"


def _labels(data: Any) -> Any:
    labels = np.asarray(data[0] if isinstance(data, list | tuple) else data)
    if labels.ndim != 2 or labels.dtype.kind not in "uib" or 0 in labels.shape:
        raise InvalidInputError(
            f"Only label layers with two axes of whole numbers can be saved; this one has shape "
            f"{labels.shape} and type {labels.dtype}."
        )
    return labels.astype(np.uint8) if labels.dtype == np.bool_ else labels


def _mpp(attributes: dict[str, Any]) -> float | None:
    """Micrometres per pixel, where the layer's scale has a unit of length."""
    from ..slides.pixel_size import from_lengths, um_per_unit

    units = [um_per_unit(str(unit)) for unit in attributes.get("units") or ()]
    scale = [float(factor) for factor in attributes.get("scale") or ()]
    if len(units) != 2 or len(scale) != 2 or units[0] is None or units[1] is None:
        return None
    return from_lengths(scale[0] * units[0], scale[1] * units[1], "The layer").mpp


def _json(record: Any) -> Any:
    try:
        return json.loads(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The layer's metadata must consist of plain numbers and text: {error}."
        ) from error
