"""How uncertain the network is, pixel by pixel and gland by gland.

The probabilities of the valid assignments, averaged over all views of an image, are a
distribution at each pixel. Its entropy says how undecided the network is there, whatever it is
undecided between. A gland that was missed in part, or joined to its neighbour, is uncertain at
its border: so a gland is judged together with a rim around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..metrics.runs import Runs, boxes_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Probabilities = npt.NDArray[np.floating | np.uint8]
    Map = npt.NDArray[np.float32]
    Values = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

COLUMN = "uncertainty"
"""Of the table of glands."""

RIM_UM = 5.0
"""Width of the rim around a gland that is judged with it."""

_ROWS_AT_ONCE = 256


def entropy(probabilities: Probabilities) -> Map:
    """Entropy of the distribution at each pixel, as a share of the largest there can be.

    ``u = -sum_a P(a) log P(a) / log A`` over the A valid assignments: 0 where one of them is
    certain, 1 where all are equally likely.

    Parameters
    ----------
    probabilities : ndarray of float or uint8, (A, Y, X)
        At least 0, and in proportion to P: they are divided by their sum. Bytes stand for
        ``round(255 p)``.

    Returns
    -------
    ndarray of float32, (Y, X)
        0 .. 1; NaN where all are 0, which means that nothing was analysed.
    """
    count = len(probabilities)
    if count < 2:
        raise InvalidInputError(
            f"Entropy needs the probabilities of two assignments at least, got {count}."
        )
    result = np.empty(probabilities.shape[1:], dtype=np.float32)
    for start in range(0, len(result), _ROWS_AT_ONCE):
        # Few rows at a time: the layers in between stay in the processor's cache.
        rows = slice(start, start + _ROWS_AT_ONCE)
        result[rows] = _entropy(probabilities[:, rows])
    return result


def _entropy(probabilities: Probabilities) -> Map:
    if probabilities.dtype == np.uint8:
        return _entropy_of_bytes(probabilities.view(np.uint8))
    return _entropy_of_floats(probabilities.astype(np.float32, copy=False))


def _entropy_of_floats(probabilities: Map) -> Map:
    total = probabilities.sum(axis=0, dtype=np.float32)
    weighted = np.zeros(total.shape, dtype=np.float32)
    tiny = np.finfo(np.float32).tiny
    for values in probabilities:
        weighted += values * np.log(np.maximum(values, tiny))  # 0 log 0 = 0
    return _shared(weighted, total, len(probabilities))


def _entropy_of_bytes(probabilities: npt.NDArray[np.uint8]) -> Map:
    steps = np.arange(256, dtype=np.float32)
    table = steps * np.log(np.maximum(steps, 1))
    total = probabilities.sum(axis=0, dtype=np.float32)
    weighted = np.zeros(total.shape, dtype=np.float32)
    for layer in probabilities:
        weighted += table[layer]
    return _shared(weighted, total, len(probabilities))


def _shared(weighted: Map, total: Map, count: int) -> Map:
    """``(log S - sum v log v / S) / log A`` for values v with the sum S."""
    known = total > 0
    safe = np.where(known, total, np.float32(1))
    found: Map = ((np.log(safe) - weighted / safe) / np.float32(np.log(count))).astype(
        np.float32, copy=False
    )
    np.clip(found, 0, 1, out=found)  # rounding may lead beyond
    found[~known] = np.nan
    return found


def cell_means(uncertainty: Map, stride: int) -> Map:
    """Mean of each cell of ``stride x stride`` pixels over what of it was analysed.

    Parameters
    ----------
    uncertainty : ndarray of float32, (Y, X)
        NaN where nothing was analysed. The first cell begins with the first pixel.
    stride : int

    Returns
    -------
    ndarray of float32, (ceil(Y / stride), ceil(X / stride))
        NaN where nothing of a cell was analysed.
    """
    known = np.isfinite(uncertainty)
    values = np.where(known, uncertainty, np.float32(0)).astype(np.float64)
    rows, columns = (np.arange(0, size, stride) for size in uncertainty.shape)
    total, count = (
        np.add.reduceat(np.add.reduceat(layer, rows, axis=0), columns, axis=1)
        for layer in (values, known.astype(np.float64))
    )
    mean = np.full(total.shape, np.nan, dtype=np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def gland_uncertainty(
    runs: Runs, number: int, uncertainty: Map, mpp: float, offset: tuple[int, int] = (0, 0)
) -> Values:
    """Mean uncertainty of each gland and the rim of `RIM_UM` around it.

    The rim is every pixel whose centre lies within that distance of the centre of a pixel of
    the gland, whether or not it belongs to another gland.

    Parameters
    ----------
    runs : Runs
        Of the glands 1 .. n.
    number : int
        n.
    uncertainty : ndarray of float, (Y, X)
        0 .. 1; what is NaN is left out.
    mpp : float
        Micrometres per pixel.
    offset : tuple of int
        (y, x) in `uncertainty` of the pixel that `runs` call (0, 0): what is known may reach
        beyond the labels.

    Returns
    -------
    ndarray of float64, (n,)
        NaN where nothing is known of a gland.
    """
    placed = runs.shifted(*offset)
    widths = disk_widths(RIM_UM / mpp)
    reach = len(widths) // 2
    wanted = np.arange(1, number + 1)
    order = np.argsort(placed.value, kind="stable")
    bounds = np.searchsorted(placed.value[order], np.arange(1, number + 2))
    result = np.full(number, np.nan)
    for label, (rows, columns) in boxes_of(placed, wanted):
        chosen = order[bounds[label - 1] : bounds[label]]
        y0, x0 = max(rows.start - reach, 0), max(columns.start - reach, 0)
        part = uncertainty[y0 : rows.stop + reach, x0 : columns.stop + reach]
        own = placed.where(chosen).shifted(-y0, -x0)
        values = part[widened_mask(own, widths, part.shape)]
        known = values[np.isfinite(values)]
        if known.size:
            result[label - 1] = known.mean(dtype=np.float64)
    return result


def rim_px(mpp: float) -> int:
    """Whole pixels that the rim reaches beyond a gland."""
    return len(disk_widths(RIM_UM / mpp)) // 2


def disk_widths(radius: float) -> npt.NDArray[np.int64]:
    """Half the width of each row of a disk, from the uppermost to the lowest."""
    reach = int(radius)
    rows = np.arange(-reach, reach + 1)
    widths: npt.NDArray[np.int64] = np.sqrt(np.maximum(radius**2 - rows**2, 0)).astype(np.int64)
    return widths


def widened_mask(runs: Runs, widths: npt.NDArray[np.int64], shape: tuple[int, ...]) -> Mask:
    """Dilation by a disk of what runs cover, without ever looking at a pixel.

    Each run, made longer by the width of each row of the disk, opens and closes in the row it
    is moved to; a pixel is covered where more were opened than closed.
    """
    height, width = shape
    reach = len(widths) // 2
    y = (runs.y.astype(np.int64)[:, None] + np.arange(-reach, reach + 1)).ravel()
    start = np.maximum(runs.start.astype(np.int64)[:, None] - widths, 0).ravel()
    stop = np.minimum(runs.stop.astype(np.int64)[:, None] + widths, width).ravel()
    inside = (y >= 0) & (y < height)
    row = y[inside] * (width + 1)
    size = height * (width + 1)
    opened = np.bincount(row + start[inside], minlength=size)
    closed = np.bincount(row + stop[inside], minlength=size)
    covered = np.cumsum((opened - closed).reshape(height, width + 1), axis=1) > 0
    mask: Mask = covered[:, :width]
    return mask
