"""Perimeter and convex area of all objects of a label image in one pass.

The same numbers as scikit-image's ``regionprops`` gives, which looks at one object at a time
and at every pixel of its bounding box: of the order of a millisecond per gland, and a slide has
a hundred thousand of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.runs import Runs

    Instances = npt.NDArray[np.int32]
    Values = npt.NDArray[np.float64]
    Index = npt.NDArray[np.int64]

_STEP_LENGTHS = np.zeros((5, 5), dtype=np.intp)
"""Class of an outline pixel by its outline neighbours, diagonal and straight ones."""
for _diagonal, _straight in ((0, 2), (0, 3), (1, 2), (1, 3), (2, 2), (2, 3)):
    _STEP_LENGTHS[_diagonal, _straight] = 1
for _diagonal, _straight in ((2, 0), (3, 1)):
    _STEP_LENGTHS[_diagonal, _straight] = 2
for _diagonal, _straight in ((1, 1), (2, 1)):
    _STEP_LENGTHS[_diagonal, _straight] = 3


def perimeters(instances: Instances, number: int) -> Values:
    """Length of the outline through the centres of the border pixels.

    Parameters
    ----------
    instances : ndarray of int32, (Y, X)
        Objects 1 .. n; what lies beyond the image is outside of all.
    number : int
        n.

    Returns
    -------
    ndarray of float64, (n,)
        In pixels.

    Notes
    -----
    K. Benkrid and D. Crookes, "Design and FPGA implementation of a perimeter estimator" (2000),
    with the border of pixels that have a 4-neighbour outside, as in `skimage.measure.perimeter`.
    """
    padded = np.pad(instances, 1)
    inner = padded[1:-1, 1:-1]
    border = inner != padded[:-2, 1:-1]
    for neighbour in (padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        border |= inner != neighbour
    np.copyto(inner, 0, where=~border)
    width = padded.shape[1]
    flat = padded.ravel()
    place = np.flatnonzero(flat)
    own = flat[place]
    straight = sum((flat[place + step] == own).astype(np.int8) for step in (-width, -1, 1, width))
    diagonal = sum(
        (flat[place + step] == own).astype(np.int8)
        for step in (-width - 1, -width + 1, width - 1, width + 1)
    )
    kind = _STEP_LENGTHS[diagonal, straight]
    counts = np.bincount(own * 4 + kind, minlength=4 * (number + 1)).reshape(-1, 4)[1:]
    _, short, long, mixed = counts.T
    lengths: Values = short + math.sqrt(2) * long + (1 + math.sqrt(2)) / 2 * mixed
    return lengths


def convex_areas(runs: Runs, number: int) -> Index:
    """Pixels whose centre lies in or on the convex hull of an object's pixels.

    Each pixel counts as the diamond through the middles of its four sides, as in
    `skimage.morphology.convex_hull_image`. All numbers are whole, so that nothing is rounded.

    Parameters
    ----------
    runs : Runs
        Of the objects 1 .. n, all of which have pixels.
    number : int
        n.

    Returns
    -------
    ndarray of int64, (n,)
    """
    if number == 0:
        return np.zeros(0, dtype=np.int64)
    left = _hull_side(runs.value, runs.y, runs.start.astype(np.int64))
    right = _hull_side(runs.value, runs.y, 1 - runs.stop.astype(np.int64))
    top = np.full(number + 1, np.iinfo(np.int32).max, dtype=np.int64)
    bottom = np.zeros(number + 1, dtype=np.int64)
    np.minimum.at(top, runs.value, runs.y)
    np.maximum.at(bottom, runs.value, runs.y)
    heights = (bottom - top)[1:] + 1
    owner = np.repeat(np.arange(1, number + 1), heights)
    y = np.arange(len(owner)) - np.repeat(np.cumsum(heights) - heights, heights) + top[owner]
    widths = 1 - _first_inside(right, owner, y) - _first_inside(left, owner, y)
    return np.bincount(owner, widths, minlength=number + 1)[1:].astype(np.int64)


class _Side(NamedTuple):
    """Corners of the left sides of convex hulls, in half pixels, by object from top to bottom."""

    owner: Index
    y: Index
    x: Index


def _hull_side(owner: Instances, y: Instances, x: Index) -> _Side:
    """The left side of the hull of each object whose runs begin at `x`.

    A corner that does not stick out beyond the line between its neighbours is no corner of the
    hull; all such are removed at once until none is left.
    """
    owners, tops, lefts = owner.astype(np.int64), y.astype(np.int64), x
    points = np.concatenate(
        [
            np.stack([owners, 2 * tops, 2 * lefts - 1]),
            np.stack([owners, 2 * tops - 1, 2 * lefts]),
            np.stack([owners, 2 * tops + 1, 2 * lefts]),
        ],
        axis=1,
    )
    points = points[:, np.lexsort((points[2], points[1], points[0]))]
    repeated = (points[:2, 1:] == points[:2, :-1]).all(axis=0)
    points = points[:, np.concatenate(([True], ~repeated))]
    while True:
        owners, rows, columns = points
        before, here, after = slice(None, -2), slice(1, -1), slice(2, None)
        rise = (columns[here] - columns[before]) * (rows[after] - rows[before])
        chord = (columns[after] - columns[before]) * (rows[here] - rows[before])
        flat = (rise >= chord) & (owners[before] == owners[after])
        if not flat.any():
            return _Side(owners, rows, columns)
        points = points[:, np.concatenate(([True], ~flat, [True]))]


def _first_inside(side: _Side, owner: Index, y: Index) -> Index:
    """The first whole x on or right of a side of the hull, for rows of pixels."""
    base = int(side.y.min())
    span = int(side.y.max()) - base + 2
    keys = side.owner * span + (side.y - base)
    below = np.searchsorted(keys, owner * span + (2 * y - base), side="right")
    above = below - 1
    height = side.y[below] - side.y[above]
    ahead = side.x[above] * height + (side.x[below] - side.x[above]) * (2 * y - side.y[above])
    first: Index = -(-ahead // (2 * height))
    return first
