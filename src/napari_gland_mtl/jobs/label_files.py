"""Read a region label image, whatever kind of file it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..datasets.masks import read_mask
from ..errors import InvalidInputError, UnreadableImageError
from ..regions import GLAND_REGIONS, RegionHierarchy

LABEL_PLACES = ("labels/regions", "regions", "0")
"""Where the labels may be inside a zarr group, in the order of trying."""


class RegionLabels(NamedTuple):
    """A region label image with what goes with it.

    Attributes
    ----------
    regions : ndarray of int, (Y, X)
    glands : ndarray of int32, (Y, X), or None
        Gland instances, where the file has them.
    hierarchy : RegionHierarchy
        What the codes mean: as the file says, else stroma, epithelium, lumen.
    """

    regions: npt.NDArray[np.integer[Any]]
    glands: npt.NDArray[np.int32] | None
    hierarchy: RegionHierarchy


def read_region_labels(path: Path | str) -> RegionLabels:
    """Read region labels from TIFF, PNG, BMP, a zarr array, or an OME-Zarr.

    Raises
    ------
    UnreadableImageError
        If there is no such file, or no label image in it.
    InvalidInputError
        If it does not hold region codes.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableImageError(f"There is no file {path}. Check its name.")
    if path.is_dir():
        labels = _read_zarr(path)
    else:
        labels = RegionLabels(read_mask(path), None, GLAND_REGIONS)
    try:
        labels.hierarchy.check_labels(labels.regions)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is no region label image. {error}") from error
    return labels


def _read_zarr(path: Path) -> RegionLabels:
    from ..export.ome_zarr import is_segmentation, read_segmentation
    from ..export.slide_state import is_slide_store

    if is_segmentation(path) or is_slide_store(path):  # the latter is refused in words
        segmentation = read_segmentation(path)
        return RegionLabels(segmentation.regions, segmentation.glands, segmentation.hierarchy)
    return RegionLabels(_read_zarr_array(path), None, GLAND_REGIONS)


def _read_zarr_array(path: Path) -> npt.NDArray[np.integer[Any]]:
    """The array at `path`, or the first of the usual places inside the group there."""
    import zarr

    try:
        node: Any = zarr.open(str(path), mode="r")
        while isinstance(node, zarr.Group):
            place = next((name for name in LABEL_PLACES if name in node), None)
            if place is None:
                raise UnreadableImageError(
                    f"{path} holds no labels; looked for {', '.join(LABEL_PLACES)}."
                )
            node = node[place]
        labels: npt.NDArray[np.integer[Any]] = np.asarray(node[...])
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        if isinstance(error, UnreadableImageError):
            raise
        raise UnreadableImageError(
            f"{path} is a folder, and no zarr that can be read. Give a label image, or a zarr of "
            "one."
        ) from error
    while labels.ndim > 2 and labels.shape[0] == 1:
        labels = labels[0]
    return labels
