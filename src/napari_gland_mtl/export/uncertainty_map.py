"""The uncertainty of a field of view on disk: an image of bytes beside the labels.

It lies in ``maps/uncertainty`` as an OME-Zarr image of its own, on the pixels of the labels. A
byte is ``round(255 u)``: the map is to be looked at, and as real numbers it would take more room
than the image. Where the regions are 0 nothing was analysed, and the bytes there say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..storage.ngff import NGFF_VERSION, map_channel, multiscale
from .downsampling import MEAN_OF_PLANE
from .pyramid import PyramidWriter, blocks
from .store import cut, read_array

if TYPE_CHECKING:
    import zarr

UNCERTAINTY = "uncertainty"
FOLDER = f"maps/{UNCERTAINTY}"
STEPS = 255
"""A byte is the uncertainty times this, rounded."""

Map = npt.NDArray[np.float32]


def write_uncertainty(
    root: zarr.Group,
    uncertainty: Map,
    mpp: float,
    size: tuple[int, int],
    offset: tuple[int, int] = (0, 0),
) -> None:
    """Write the map of an image, or of a part of it.

    Parameters
    ----------
    root : zarr.Group
        Of the store.
    uncertainty : ndarray of float32, (Y, X)
        0 .. 1; NaN where nothing was analysed.
    mpp : float
        Micrometres per pixel.
    size : tuple of int
        (height, width) of the image.
    offset : tuple of int
        (y, x) of `uncertainty` in the image.
    """
    group = root.create_group(FOLDER)
    writer = PyramidWriter(group, *size, np.uint8, MEAN_OF_PLANE)
    for y, x, height, width in blocks(*size):
        block = cut(uncertainty, y - offset[0], x - offset[1], height, width)
        whole = np.rint(np.nan_to_num(block) * STEPS).astype(np.uint8)
        if whole.any():
            writer.write(y, x, whole)
    entry = multiscale(UNCERTAINTY, "yx", writer.factors, mpp, writer.method.name)
    group.attrs["ome"] = {
        "version": NGFF_VERSION,
        "multiscales": [entry],
        "omero": map_channel(UNCERTAINTY, STEPS),
    }
    group.attrs["unit"] = 1 / STEPS


def read_uncertainty(root: zarr.Group, regions: npt.NDArray[np.uint8]) -> Map | None:
    """What `write_uncertainty` wrote, to half a step; None in results of earlier versions.

    Parameters
    ----------
    root : zarr.Group
        Of the store.
    regions : ndarray of uint8, (Y, X)
        Its regions; where they are 0 the map is NaN.
    """
    if FOLDER not in root:
        return None
    stored = read_array(root, f"{FOLDER}/0").astype(np.float32) / np.float32(STEPS)
    stored[regions == 0] = np.nan
    found: Map = stored
    return found
