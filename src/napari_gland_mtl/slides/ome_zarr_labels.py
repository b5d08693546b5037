"""The label images that an OME-Zarr of any origin holds beside its image, read lazily.

This package's own results know more than labels and have readers of their own; this is for
what others have drawn or segmented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .file_errors import naming_file
from .ome_zarr import axis_names, image_group, ngff_metadata, zarr_array, zarr_group
from .pixel_size import um_per_unit


@dataclass(frozen=True)
class LabelPyramid:
    """One label image.

    Attributes
    ----------
    name : str
        Of its group.
    levels : tuple of dask.array.Array, each (Y, X) of whole numbers
        The largest first.
    scale : (float, float) or None
        Micrometres per pixel of level 0 along y and x; None where no length is given.
    translation : (float, float)
        Where the centre of the first pixel lies, in micrometres (in pixels without `scale`).
    colors : dict of int to (r, g, b, a)
        0 to 1, for labels that have one.
    """

    name: str
    levels: tuple[Any, ...]
    scale: tuple[float, float] | None
    translation: tuple[float, float]
    colors: dict[int, tuple[float, float, float, float]]


def label_pyramids(path: Path | str) -> list[LabelPyramid]:
    """The label images of an OME-Zarr.

    Parameters
    ----------
    path : path
        The folder of the image.

    Returns
    -------
    list of LabelPyramid
        Empty if there are none. Labels of real numbers and stacks are left out.

    Raises
    ------
    UnreadableImageError
        If their metadata or arrays are damaged.
    """
    import zarr

    path = Path(path)
    with naming_file(path):
        node = zarr.open(path, mode="r")
        if not isinstance(node, zarr.Group):
            return []
        group, _ = image_group(node, path)
        if "labels" not in group:
            return []
        labels = zarr_group(group, "labels")
        names = ngff_metadata(labels).get("labels", ())
        found = [_pyramid(zarr_group(labels, str(name)), str(name)) for name in names]
        return [pyramid for pyramid in found if pyramid is not None]


def _pyramid(group: Any, name: str) -> LabelPyramid | None:
    metadata = ngff_metadata(group)
    multiscale = metadata["multiscales"][0]
    axes = axis_names(multiscale)
    levels = [_plane(zarr_array(group, item["path"]), axes) for item in multiscale["datasets"]]
    if any(level is None for level in levels):
        return None
    scale, translation = _placement(multiscale, axes)
    return LabelPyramid(
        name, tuple(levels), scale, translation, _colors(metadata.get("image-label"))
    )


def _plane(array: Any, axes: list[str]) -> Any:
    """The array as (Y, X); None if it is a stack or holds no whole numbers."""
    import dask.array as da

    sizes = dict(zip(axes, array.shape, strict=True))
    stack = any(size > 1 for axis, size in sizes.items() if axis not in "yx")
    if stack or array.dtype.kind not in "uib":
        return None
    lazy: Any = da.from_array(array, chunks=array.chunks, inline_array=True)  # type: ignore[no-untyped-call]
    lazy = lazy[tuple(slice(None) if axis in "yx" else 0 for axis in axes)]
    return lazy if axes.index("y") < axes.index("x") else lazy.T


def _placement(
    multiscale: Mapping[str, Any], axes: list[str]
) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """Scale and translation of level 0 along y and x."""
    scale, shift = np.ones(len(axes)), np.zeros(len(axes))
    for step in (
        *multiscale["datasets"][0].get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ):
        if step.get("type") == "scale" and "scale" in step:
            factor = np.asarray(step["scale"], float)
            scale, shift = scale * factor, shift * factor
        elif step.get("type") == "translation" and "translation" in step:
            shift = shift + np.asarray(step["translation"], float)
    places = [axes.index(axis) for axis in "yx"]
    units = [_unit(multiscale["axes"][place]) for place in places]
    if None in units:
        return None, _pair(shift[place] / scale[place] for place in places)
    lengths = [
        (scale[p] * (u or 1.0), shift[p] * (u or 1.0)) for p, u in zip(places, units, strict=True)
    ]
    return _pair(length for length, _ in lengths), _pair(shifted for _, shifted in lengths)


def _pair(values: Any) -> tuple[float, float]:
    y, x = (float(value) for value in values)
    return y, x


def _unit(axis: Any) -> float | None:
    return um_per_unit(axis.get("unit")) if isinstance(axis, Mapping) else None


def _colors(label: Any) -> dict[int, tuple[float, float, float, float]]:
    if not isinstance(label, Mapping):
        return {}
    found = {}
    for entry in label.get("colors", ()):
        if isinstance(entry, Mapping) and len(entry.get("rgba", ())) == 4:
            red, green, blue, alpha = (float(value) / 255.0 for value in entry["rgba"])
            found[int(entry["label-value"])] = (red, green, blue, alpha)
    return found
