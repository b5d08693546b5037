"""Fewer points that look the same, and a mean of the last points.

A line of a hundred thousand points on a few hundred pixels is drawn many times over. Of each
column of pixels the first, the smallest, the largest and the last point are kept: the line then
covers the same pixels, and no extreme is lost.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def kept_points(
    x: Floats, y: Floats, columns: int, limits: tuple[float, float] | None = None
) -> npt.NDArray[np.intp]:
    """Indices of the points that draw the same line on `columns` columns of pixels.

    Parameters
    ----------
    x : ndarray, (n,)
        Ascending.
    y : ndarray, (n,)
        Finite.
    columns : int
    limits : tuple of float, optional
        The x of the first and of the last column's outer edge; by default those of the points.

    Returns
    -------
    ndarray of int
        Ascending; at most ``4 * columns`` of them, all if there are no more than that.
    """
    if len(x) <= 4 * columns:
        return np.arange(len(x))
    low, high = limits or (float(x[0]), float(x[-1]))
    width = (high - low) / columns or 1.0
    column = np.clip((x - low) / width, 0, columns - 1).astype(np.intp)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], len(x))
    return np.unique(
        np.concatenate(
            [
                starts,
                _first_equal(y, np.minimum.reduceat(y, starts), starts, ends),
                _first_equal(y, np.maximum.reduceat(y, starts), starts, ends),
                ends - 1,
            ]
        )
    )


def _first_equal(
    y: Floats, extremes: Floats, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Index of the first point of each run that equals the run's extreme."""
    counts = ends - starts
    found = np.flatnonzero(y == np.repeat(extremes, counts))
    run = np.searchsorted(starts, found, side="right")
    first: npt.NDArray[np.intp] = found[np.diff(run, prepend=0) != 0]
    return first


def running_mean(y: Floats, count: int) -> Floats:
    """The mean of each value and of those before it, `count` in all; NaN counts as absent.

    Parameters
    ----------
    y : ndarray, (n,)
    count : int
        1 changes nothing. At the beginning there are fewer.

    Returns
    -------
    ndarray, (n,)
        NaN where all are absent.
    """
    if count <= 1 or not len(y):
        return y
    known = np.isfinite(y)
    sums = _windowed(np.where(known, y, 0.0), count)
    counts = _windowed(known.astype(np.float64), count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0.5, sums / counts, np.nan)


def _windowed(values: Floats, count: int) -> Floats:
    """Sum of each value and of those before it, `count` in all."""
    sums = np.cumsum(values)
    sums[count:] -= sums[:-count].copy()
    return sums
