"""OME-Zarr images (NGFF 0.4 on zarr 2, 0.5 on zarr 3) and plain zarr arrays as slides.

The axes may come in any order, with channels (red, green, blue) or without; further axes must
have length 1. zarr is imported when a file is opened, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UnsupportedImageError
from .file_errors import naming_file
from .pixel_size import UNKNOWN_PIXEL_SIZE, PixelSize, from_lengths, um_per_unit
from .rgb import RGB, check_full_range, eight_bits, rgb_from_samples
from .tiled import TiledSlide

if TYPE_CHECKING:
    import zarr

_SERIES_LAYOUT = "bioformats2raw.layout"
_CHANNELS = (1, 3, 4)


class ZarrSlide(TiledSlide):
    """Zarr arrays, one for each level, whose axes are named.

    Parameters
    ----------
    arrays : sequence of zarr.Array
        The largest first.
    axes : sequence of str
        ``"y"``, ``"x"``, perhaps ``"c"``, and others of length 1.
    **properties
        As for `Slide`.

    Raises
    ------
    UnsupportedImageError
        If it is a stack, fluorescence or of real numbers.
    """

    def __init__(self, arrays: Sequence[Any], axes: Sequence[str], **properties: Any) -> None:
        self._axes = list(axes)
        self._arrays = list(arrays)
        with naming_file(properties["path"]):
            self._check()
        super().__init__(shapes=[self._size(array) for array in arrays], **properties)
        if self._arrays[0].dtype == np.uint16:
            self._probe_range()

    def _size(self, array: Any) -> tuple[int, int]:
        return array.shape[self._axes.index("y")], array.shape[self._axes.index("x")]

    def _check(self) -> None:
        for array in self._arrays:
            sizes = dict(zip(self._axes, array.shape, strict=True))
            if array.dtype not in (np.bool_, np.uint8, np.uint16):
                raise UnsupportedImageError(
                    f"has values of type {array.dtype}, not 8 or 16 bits. Save it as 8-bit RGB."
                )
            if 0 in array.shape:
                raise UnsupportedImageError("has no pixels. Export it again.")
            if sizes.get("c", 1) not in _CHANNELS:
                raise UnsupportedImageError(
                    f"has {sizes['c']} channels; a stained section has three, red, green "
                    "and blue. Save it as RGB."
                )
            for axis in set(self._axes) - set("cyx"):
                if sizes[axis] > 1:
                    raise UnsupportedImageError(
                        f"is a stack of {sizes[axis]} images along {axis}. Save the "
                        "plane to segment as an image."
                    )

    def tile_shape(self, level: int) -> tuple[int, int]:
        """Of the chunks."""
        array = self._arrays[level]
        y, x = self._axes.index("y"), self._axes.index("x")
        return array.chunks[y], array.chunks[x]

    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        height, width = self.tile_shape(level)
        window = {
            "y": slice(row * height, (row + 1) * height),
            "x": slice(column * width, (column + 1) * width),
            "c": slice(None),
        }
        with naming_file(self.path):
            samples = self._samples(level, window)
        return np.ascontiguousarray(
            rgb_from_samples(eight_bits(samples, 8 * samples.dtype.itemsize))
        )

    def _samples(self, level: int, window: Mapping[str, slice]) -> Any:
        """Samples as (Y, X, C) of a window; axes that the window does not name are 0."""
        array = self._arrays[level]
        block = np.asarray(array[tuple(window.get(axis, 0) for axis in self._axes)])
        kept = [axis for axis in self._axes if axis in window]
        if "c" not in kept:
            block, kept = block[..., np.newaxis], [*kept, "c"]
        return np.transpose(block, [kept.index(axis) for axis in "yxc"])

    def _probe_range(self) -> None:
        level = len(self._arrays) - 1
        height, width = self.tile_shape(level)
        window = {"y": slice(0, height), "x": slice(0, width), "c": slice(None)}
        with naming_file(self.path):
            check_full_range(int(self._samples(level, window).max()))


def open_zarr(path: Path, name: str) -> ZarrSlide:
    """Open an OME-Zarr image or a plain zarr array.

    Parameters
    ----------
    path : Path
        The folder.
    name : str

    Raises
    ------
    UnreadableImageError
        If its metadata or arrays are missing or damaged.
    UnsupportedImageError
        If it is a plate, a label image, a stack or fluorescence.
    """
    import zarr

    with naming_file(path):
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return _plain(node, path, name)
        group, metadata = image_group(node, path)
        multiscale = metadata["multiscales"][0]
        return ZarrSlide(
            [zarr_array(group, item["path"]) for item in multiscale["datasets"]],
            axis_names(multiscale),
            name=name,
            path=path,
            format="OME-Zarr",
            pixel_size=_pixel_size(multiscale),
        )


def _plain(array: Any, path: Path, name: str) -> ZarrSlide:
    """An array without a word about what it is: (Y, X), (Y, X, C), or (C, Y, X)."""
    shape = tuple(array.shape)
    if len(shape) == 2:
        axes = "yx"
    elif len(shape) == 3 and shape[2] in _CHANNELS:
        axes = "yxc"
    elif len(shape) == 3 and shape[0] in _CHANNELS:
        axes = "cyx"
    else:
        raise UnsupportedImageError(
            f"is a bare zarr array of shape {shape}, which is no image (Y, X) in grey or colour. "
            "Save it as OME-Zarr."
        )
    note = (
        "A plain zarr array says nothing about itself: its axes were taken to be "
        f"({', '.join(axes.upper())}), and its pixel size is unknown."
    )
    return ZarrSlide(
        [array], axes, name=name, path=path, format="zarr", pixel_size=PixelSize(None, note)
    )


def image_group(node: zarr.Group, path: Path) -> tuple[zarr.Group, Mapping[str, Any]]:
    """The group that has the multiscale image, with its NGFF metadata.

    Parameters
    ----------
    node : zarr.Group
        Of the whole folder.
    path : Path
        For the error.

    Raises
    ------
    UnsupportedImageError
        If there is no single image of tissue in it.
    """
    metadata = ngff_metadata(node)
    if _SERIES_LAYOUT in metadata:
        series = sorted(name for name, _ in node.groups() if name.isdecimal())
        if len(series) != 1:
            raise UnsupportedImageError(
                f"holds {len(series)} images. Open one of them, e.g. {path / '0'}."
            )
        node = zarr_group(node, series[0])
        metadata = ngff_metadata(node)
    if "image-label" in metadata:
        raise UnsupportedImageError("holds labels and no image of tissue.")
    if "multiscales" not in metadata:
        kind = "a plate" if "plate" in metadata else "a zarr folder without an OME-Zarr image"
        raise UnsupportedImageError(f"is {kind}. Open the folder of one of its images.")
    return node, metadata


def ngff_metadata(group: zarr.Group) -> Mapping[str, Any]:
    """The NGFF metadata: below "ome" from version 0.5 on, at the top before."""
    attributes: dict[str, Any] = dict(group.attrs)
    inner = attributes.get("ome", attributes)
    return inner if isinstance(inner, Mapping) else {}


def zarr_group(group: zarr.Group, name: str) -> zarr.Group:
    """A group in a group; ValueError if it is none."""
    import zarr

    node = group[name]
    if not isinstance(node, zarr.Group):
        raise ValueError(f"{name} is not a group")
    return node


def zarr_array(group: zarr.Group, name: str) -> Any:
    """An array in a group; ValueError if it is none."""
    import zarr

    node = group[name]
    if not isinstance(node, zarr.Array):
        raise ValueError(f"{name} is not an array")
    return node


def axis_names(multiscale: Mapping[str, Any]) -> list[str]:
    """The names of the axes, y and x among them."""
    # Version 0.3 had plain names where later versions have objects.
    axes = [axis if isinstance(axis, str) else axis["name"] for axis in multiscale["axes"]]
    if not {"y", "x"} <= set(axes):
        raise ValueError(f"its axes are {axes}")
    return axes


def _pixel_size(multiscale: Mapping[str, Any]) -> PixelSize:
    axes = multiscale["axes"]
    scale = np.ones(len(axes))
    for transformations in (
        multiscale["datasets"][0].get("coordinateTransformations", ()),
        multiscale.get("coordinateTransformations", ()),
    ):
        scale = scale * _scale(transformations, len(axes))
    sizes = {}
    for axis, factor in zip(axes, scale, strict=True):
        unit = um_per_unit(axis.get("unit")) if isinstance(axis, Mapping) else None
        if unit is not None:
            sizes[axis["name"]] = float(factor) * unit
    if not {"y", "x"} <= set(sizes):
        return UNKNOWN_PIXEL_SIZE
    return from_lengths(sizes["y"], sizes["x"], "The OME-Zarr metadata")


def _scale(transformations: Sequence[Mapping[str, Any]], axes: int) -> Any:
    for transformation in transformations:
        if transformation.get("type") == "scale" and "scale" in transformation:
            return np.asarray(transformation["scale"], dtype=float)
    return np.ones(axes)
