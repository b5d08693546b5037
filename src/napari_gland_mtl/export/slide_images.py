"""The images in a slide's store: labels, maps and the slide itself in small, as OME-Zarr.

All have the slide's corner and their own um/px; their metadata put them over the slide. They
are there from the beginning, empty, so that a viewer can show them while they are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..storage.ngff import (
    NGFF_VERSION,
    instance_labels,
    map_channel,
    multiscale,
    region_labels,
    rgb_channels,
    tissue_labels,
)
from .downsampling import INSTANCES, MEAN, MEAN_OF_KNOWN, Downsampling, region_levels
from .ome_zarr import GLANDS, REGIONS
from .pyramid import PyramidWriter, blocks
from .slide_layout import StoreLayout, Window, check_window
from .uncertainty_map import FOLDER, UNCERTAINTY

if TYPE_CHECKING:
    import zarr

TISSUE = "tissue"
MAPS = "maps"
BESIDE = f"{MAPS}/0_{UNCERTAINTY}"
"""Where the uncertainty lies if the map of a class has its place: no class has the number 0."""
BLOCK = 1024
"""Side of the blocks that labels and maps are written in, and of the chunks of their level 0:
a block is a file, written and read faster than as a shard of smaller chunks."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")

RGB = npt.NDArray[np.uint8]
Tissue = tuple[npt.NDArray[np.bool_], float]
"""Mask (y, x) and level-0 pixels per pixel of it."""


class SlideImages:
    """Labels and maps of a slide's store; written by one process.

    Parameters
    ----------
    root : zarr.Group
    layout : StoreLayout
    create : bool
        Whether to make the arrays.

    Attributes
    ----------
    regions, glands : PyramidWriter
    maps : dict of str to PyramidWriter
        For each class but the first.
    uncertainty : PyramidWriter or None
        None in a store of an earlier version; see `add_uncertainty`.
    """

    def __init__(self, root: zarr.Group, layout: StoreLayout, create: bool = False) -> None:
        self._root = root
        self._layout = layout
        folders = map_folders(layout.classes)
        self._place = FOLDER
        if not create and UNCERTAINTY in folders and folders[UNCERTAINTY] not in root:
            # Versions without maps of uncertainty had no better place for a class of that name.
            folders[UNCERTAINTY], self._place = FOLDER, BESIDE

        def pyramid(
            folder: str, size: tuple[int, int], dtype: str, method: Downsampling, fill: float = 0
        ) -> PyramidWriter:
            group: Any = root.create_group(folder) if create else root[folder]
            return PyramidWriter(
                group, *size, dtype, method, block=BLOCK, chunk=BLOCK, fill=fill, create=create
            )

        method = region_levels(layout.hierarchy)
        self.regions = pyramid(f"labels/{REGIONS}", layout.shape, "uint8", method)
        self.glands = pyramid(f"labels/{GLANDS}", layout.shape, "int32", INSTANCES)
        self.maps = {
            name: pyramid(folder, layout.coarse_shape, "float32", MEAN_OF_KNOWN, np.nan)
            for name, folder in folders.items()
        }
        self.uncertainty: PyramidWriter | None = None
        if create:
            self.add_uncertainty()
        elif self._place in root and "ome" in root[self._place].attrs:
            self.uncertainty = self._uncertainty(root[self._place], create=False)

    def add_uncertainty(self) -> None:
        """Make the map of uncertainty, unless it is there."""
        if self.uncertainty is None:
            # A process that was killed here has left a part of it: it is described last.
            group = self._root.create_group(self._place, overwrite=True)
            self.uncertainty = self._uncertainty(group, create=True)
            _describe_map(self._root, self._place, UNCERTAINTY, self.uncertainty, self._layout)

    def _uncertainty(self, group: Any, create: bool) -> PyramidWriter:
        """It is written with the labels: a block of them gives a few cells."""
        layout = self._layout
        return PyramidWriter(
            group,
            *layout.coarse_shape,
            "float32",
            MEAN_OF_KNOWN,
            block=BLOCK // layout.stride,
            fill=np.nan,
            create=create,
        )

    def levels(self, folder: str = "") -> list[Any]:
        """The arrays of an image, level 0 first; LookupError if there is none."""
        group: Any = self._root[folder] if folder else self._root
        datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
        return [group[dataset["path"]] for dataset in datasets]


def write_block(writer: PyramidWriter, window: Window, values: npt.NDArray[Any]) -> None:
    """Write a block to all levels; what reaches beyond the image is left out.

    Raises
    ------
    InvalidInputError
        If the block has not the size of the window, or the window does not lie on the lattice.
    """
    y0, x0, y1, x1 = (int(value) for value in window)
    if values.shape != (y1 - y0, x1 - x0):
        raise InvalidInputError(
            f"The window {(y0, x0, y1, x1)} does not have the size of the block {values.shape}."
        )
    height, width = writer.size
    y0, x0, y1, x1 = check_window((y0, x0, min(y1, height), min(x1, width)), writer.size)
    inside = values[: y1 - y0, : x1 - x0].astype(writer.arrays[0].dtype, copy=False)
    writer.write(y0, x0, inside)


def create_images(
    root: zarr.Group,
    layout: StoreLayout,
    overview: tuple[RGB, float] | None,
    tissue: Tissue | None,
) -> None:
    """Make all images of a new store with their metadata, and write those that are known.

    An image and its labels must have equally many levels in OME-Zarr; the largest decides.
    """
    labels = root.create_group("labels")
    names = [REGIONS, GLANDS, *([] if tissue is None else [TISSUE])]
    labels.attrs["ome"] = {"version": NGFF_VERSION, "labels": names}
    images = SlideImages(root, layout, create=True)
    _describe_labels(labels, REGIONS, images.regions, layout, region_labels(layout.hierarchy))
    _describe_labels(labels, GLANDS, images.glands, layout, instance_labels())
    for name, folder in map_folders(layout.classes).items():
        _describe_map(root, folder, name, images.maps[name], layout)
    if tissue is not None:
        _write_tissue(labels, layout, tissue, len(images.regions.factors))
    if overview is not None:
        _write_overview(root, layout, overview, len(images.regions.factors))


def map_folders(classes: tuple[str, ...]) -> dict[str, str]:
    """Where the map of each class but the first lies; names may hold what folders may not.

    Examples
    --------
    >>> map_folders(("benign", "malignant", "G1/G2"))
    {'malignant': 'maps/malignant', 'G1/G2': 'maps/2_G1_G2'}
    """
    folders = {}
    for index, name in enumerate(classes):
        safe = _UNSAFE.sub("_", name)
        free = safe == name and name != UNCERTAINTY
        folders[name] = f"{MAPS}/{name}" if free else f"{MAPS}/{index}_{safe}"
    return dict(list(folders.items())[1:])


def _describe_labels(
    labels: zarr.Group,
    name: str,
    writer: PyramidWriter,
    layout: StoreLayout,
    image_label: Mapping[str, Any],
    mpp: float | None = None,
) -> None:
    metadata = _multiscale(name, "yx", writer, layout, layout.mpp if mpp is None else mpp)
    _group(labels, name).attrs["ome"] = {**metadata, "image-label": dict(image_label)}


def _describe_map(
    root: zarr.Group, folder: str, name: str, writer: PyramidWriter, layout: StoreLayout
) -> None:
    metadata = _multiscale(name, "yx", writer, layout, layout.mpp * layout.stride)
    _group(root, folder).attrs["ome"] = {**metadata, "omero": map_channel(name)}


def _write_tissue(labels: zarr.Group, layout: StoreLayout, tissue: Tissue, levels: int) -> None:
    mask, downsample = tissue
    group = labels.create_group(TISSUE)
    writer = PyramidWriter(group, *_size(mask), "uint8", INSTANCES, levels=levels)
    _write(writer, mask.astype(np.uint8))
    mpp = layout.slide_mpp * downsample
    _describe_labels(labels, TISSUE, writer, layout, tissue_labels(), mpp)


def _write_overview(
    root: zarr.Group, layout: StoreLayout, overview: tuple[RGB, float], levels: int
) -> None:
    pixels, downsample = overview
    writer = PyramidWriter(root, *_size(pixels), "uint8", MEAN, channels=3, levels=levels)
    _write(writer, pixels)
    metadata = _multiscale("overview", "cyx", writer, layout, layout.slide_mpp * downsample)
    root.attrs["ome"] = {**metadata, "omero": rgb_channels()}


def _size(image: npt.NDArray[Any]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _write(writer: PyramidWriter, image: npt.NDArray[Any]) -> None:
    for y, x, height, width in blocks(*writer.size):
        writer.write(y, x, image[y : y + height, x : x + width])


def _multiscale(
    name: str, axes: str, writer: PyramidWriter, layout: StoreLayout, mpp: float
) -> dict[str, Any]:
    method = writer.method.name
    entry = multiscale(name, axes, writer.factors, mpp, method, layout.slide_mpp)
    return {"version": NGFF_VERSION, "multiscales": [entry]}


def _group(parent: zarr.Group, name: str) -> Any:
    return parent[name]
