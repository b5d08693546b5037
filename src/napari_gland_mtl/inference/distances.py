"""Distances to the outside of objects where they are wanted, without a distance transform.

Erosion by a disk asks at every pixel only whether the outside is near; the thickness of
epithelium needs the distance at few pixels. Both follow from the distance within a column,
which takes a handful of additions of small numbers, and from a look along the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.integer[Any]]
    Mask = npt.NDArray[np.bool_]
    Index = npt.NDArray[np.int64]
    Values = npt.NDArray[np.float64]


def erode(mask: Mask, radius: float) -> Mask:
    """Pixels of a mask whose distance to the nearest pixel outside is larger than a radius.

    What lies beyond the image is not outside. Equal to a threshold on the Euclidean distance
    transform, ten times faster.

    Parameters
    ----------
    mask : ndarray of bool, (Y, X)
    radius : float
        In pixels.
    """
    heights = _disk_heights(radius)
    reach = len(heights)
    dtype = np.uint8 if 2 * reach <= np.iinfo(np.uint8).max else np.uint16
    depth = np.where(mask, dtype(reach), dtype(0))
    _spread_along_columns(depth, reach)
    eroded = mask.copy()
    for offset, height in enumerate(heights[: mask.shape[1]]):
        clear = depth > dtype(height)
        eroded[:, offset:] &= clear[:, : clear.shape[1] - offset]
        eroded[:, : clear.shape[1] - offset] &= clear[:, offset:]
    return eroded


def outside_distances(labels: Labels, y: Index, x: Index) -> Values:
    """Euclidean distance from single pixels to the nearest pixel with another label.

    Parameters
    ----------
    labels : ndarray of int, (Y, X)
    y, x : ndarray of int, (n,)
        The pixels that are asked about.

    Returns
    -------
    ndarray of float64, (n,)
        In pixels, at least 1; infinite where no pixel of the image has another label.
    """
    width = labels.shape[1]
    depths, numbers = _column_depths(labels).ravel(), labels.ravel()
    row = y.astype(np.int64) * width
    own = numbers[row + x]
    result = depths[row + x].astype(np.int64) ** 2
    nearest, asked = result, np.arange(len(y))
    for offset in range(1, width):
        active = nearest > offset**2
        if not active.all():
            result[asked] = nearest
            nearest, asked, row, x, own = (
                values[active] for values in (nearest, asked, row, x, own)
            )
            if asked.size == 0:
                break
        for column in (np.maximum(x - offset, 0), np.minimum(x + offset, width - 1)):
            place = row + column
            rise = depths[place].astype(np.int64)
            rise[numbers[place] != own] = 0
            np.minimum(nearest, rise**2 + offset**2, out=nearest)
    result[asked] = nearest
    return np.where(result < _FAR**2, np.sqrt(result), np.inf)


_FAR = 2**15 - 1
"""A distance within a column that stands for "none"; twice as much must fit into uint16."""


def _column_depths(labels: Labels) -> npt.NDArray[np.uint16]:
    """Distance to the nearest pixel of the same column with another label, `_FAR` if none."""
    depth = np.full(labels.shape, _FAR, dtype=np.uint16)
    change = labels[1:] != labels[:-1]
    depth[1:][change] = 1
    depth[:-1][change] = 1
    _spread_along_columns(depth, min(len(labels), _FAR))
    return depth


def _spread_along_columns(depth: npt.NDArray[Any], reach: int) -> None:
    """Lower each value to the least ``value + distance`` of its column, in place.

    Looks `reach` pixels far at least, in steps of 1, 2, 4 ...
    """
    step = 1
    while step < reach:
        moved = depth + depth.dtype.type(step)
        np.minimum(depth[step:], moved[:-step], out=depth[step:])
        np.minimum(depth[:-step], moved[step:], out=depth[:-step])
        step *= 2


def _disk_heights(radius: float) -> list[int]:
    """Largest whole y with ``hypot(x, y) <= radius``, for x = 0, 1 .. up to the radius."""
    steps = np.arange(int(radius) + 1)
    inside = steps[:, None] ** 2 + steps**2 <= radius**2
    return [int(height) for height in inside.sum(axis=1) - 1]
