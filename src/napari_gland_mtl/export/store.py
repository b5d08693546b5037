"""The parts of the OME-Zarr stores that are written here: label images and tables.

A table is a group with one array per column, which keeps every type and value as it is and
which any zarr library can read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import OutputExistsError
from ..segmentation import GlandTable
from ..storage.atomic import refuse_existing
from ..storage.ngff import NGFF_VERSION, multiscale
from .downsampling import INSTANCES, Downsampling
from .pyramid import PyramidWriter, blocks

if TYPE_CHECKING:
    import zarr

TABLE = "tables/glands"
_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def check_replaceable(path: Path, overwrite: bool) -> None:
    """Raise OutputExistsError if there is something at `path` that must not be replaced."""
    refuse_existing(path, overwrite)
    is_zarr = path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)
    if path.exists() and not is_zarr:
        raise OutputExistsError(
            f"{path} is no OME-Zarr and will not be replaced by one. Choose another name."
        )


def write_label_image(
    group: zarr.Group,
    labels: npt.NDArray[Any],
    mpp: float | None,
    image_label: dict[str, Any],
    size: tuple[int, int] | None = None,
    offset: tuple[int, int] = (0, 0),
    method: Downsampling = INSTANCES,
) -> None:
    """Write a label image as a pyramid, with its metadata.

    Parameters
    ----------
    group : zarr.Group
    labels : ndarray of int, (Y, X)
    mpp : float or None
        Micrometres per pixel.
    image_label : dict
        The ``image-label`` metadata.
    size : tuple of int, optional
        (height, width) of the image; that of `labels` unless given.
    offset : tuple of int
        (y, x) of `labels` in the image.
    method : Downsampling
        How lower levels are made.
    """
    height, width = labels.shape if size is None else size
    writer = PyramidWriter(group, height, width, labels.dtype, method)
    for y, x, rows, columns in blocks(height, width):
        block = cut(labels, y - offset[0], x - offset[1], rows, columns)
        if block.any():
            writer.write(y, x, block)
    name = group.basename or "labels"
    group.attrs["ome"] = {
        "version": NGFF_VERSION,
        "multiscales": [multiscale(name, "yx", writer.factors, mpp, method.name)],
        "image-label": image_label,
    }


def read_array(group: zarr.Group, name: str) -> npt.NDArray[Any]:
    """A whole array of a group; ValueError if it is none."""
    import zarr

    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{name} is no array")
    return np.asarray(array[...])


def write_table_group(root: zarr.Group, table: GlandTable) -> None:
    """Write a table as a group with one array per column."""
    group = root.create_group(TABLE)
    group.attrs["columns"] = {name: np.asarray(column).dtype.str for name, column in table.items()}
    for name, column in table.items():
        stored = stored_text(np.asarray(column))
        group.create_array(name, data=stored, chunks=(max(1, min(len(stored), 2**16)),))


def stored_text(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column as it is stored: zarr 3 has a settled type for text of any length alone."""
    return values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values


def read_table(root: zarr.Group) -> GlandTable:
    """Read what `write_table_group` wrote, types included."""
    import zarr

    group = root[TABLE]
    if not isinstance(group, zarr.Group):
        raise ValueError(f"{TABLE} is no group")
    columns: dict[str, str] = dict(group.attrs)["columns"]  # type: ignore[assignment]
    return {name: read_array(group, name).astype(dtype) for name, dtype in columns.items()}


def cut(labels: npt.NDArray[Any], y: int, x: int, height: int, width: int) -> npt.NDArray[Any]:
    """A window of `labels` that may reach beyond it, with 0 there."""
    block = np.zeros((height, width), labels.dtype)
    y0, x0 = max(y, 0), max(x, 0)
    part = labels[y0 : max(y + height, 0), x0 : max(x + width, 0)]
    block[y0 - y : y0 - y + part.shape[0], x0 - x : x0 - x + part.shape[1]] = part
    return block
