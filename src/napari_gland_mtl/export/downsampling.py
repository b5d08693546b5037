"""How the levels of a pyramid follow from a block of the full resolution.

Images are averaged. Labels are decided two by two, level after level, by a rule that keeps what
is thin: a line one pixel wide stays one at every level, and epithelium never disappears from
between lumen and stroma. Each rule looks at the block alone, so that blocks give what the whole
image gives, as long as they start at multiples of the largest factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..regions import RegionHierarchy

Array = npt.NDArray[Any]


class Downsampling(NamedTuple):
    """A way to make levels.

    Attributes
    ----------
    name : str
        What the metadata calls it.
    levels : callable (block, factors) -> iterator of ndarray
        One array per factor, the block itself for 1. Factors are the powers of two from 1 on;
        the first two axes are halved, and a last pixel without a neighbour stands for itself.
    """

    name: str
    levels: Callable[[Array, Sequence[int]], Iterator[Array]]


def region_levels(hierarchy: RegionHierarchy) -> Downsampling:
    """The rule for codes of regions.

    Of four pixels those that were analysed count. Where half of them or more lie in a gland, the
    result is the outermost of their regions: epithelium if there is any, lumen if there is
    nothing else. Otherwise it is the most frequent one (of equals the one with the lower code).

    So where lumen and stroma do not touch, they touch on no level: next to four pixels of lumen
    there are two of a gland at least. An edge of a gland moves outwards by half a pixel of the
    level on average, and by less than one.

    Examples
    --------
    >>> from napari_gland_mtl.regions import GLAND_REGIONS
    >>> rule = region_levels(GLAND_REGIONS)
    >>> list(rule.levels(np.array([[1, 1, 3, 2], [2, 2, 3, 3]], np.uint8), [1, 2]))[1].tolist()
    [[2, 2]]
    """
    depths = np.zeros(256, np.uint16)
    depths[1 : len(hierarchy) + 1] = hierarchy.assignments.sum(axis=1)
    gland = np.zeros(256, bool)
    gland[list(hierarchy.gland_codes)] = True
    return Downsampling(_LABELS, partial(_label_levels, partial(_region_of_four, depths, gland)))


def _means(block: Array, factors: Sequence[int]) -> Iterator[Array]:
    """Means over squares of each factor; at the edge, over what there is of them."""
    yield block
    total = block.astype(np.uint32)
    for factor in factors[1:]:
        total = _sums(total)
        rows, columns = (_counts(size, factor) for size in block.shape[:2])
        count = (rows[:, np.newaxis] * columns)[:, :, np.newaxis]
        yield ((total + count // 2) // count).astype(block.dtype)


def _means_of_plane(block: Array, factors: Sequence[int]) -> Iterator[Array]:
    """As `_means`, for a block without channels."""
    for level in _means(block[:, :, np.newaxis], factors):
        yield level[:, :, 0]


def _means_of_known(block: Array, factors: Sequence[int]) -> Iterator[Array]:
    """Means over the pixels of each square that are not NaN; NaN where all are."""
    yield block
    known = ~np.isnan(block)
    total, count = np.where(known, block, 0).astype(np.float64), known.astype(np.float64)
    for _ in factors[1:]:
        total, count = _sums(total), _sums(count)
        mean = np.full(total.shape, np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        yield mean.astype(block.dtype)


def _label_levels(
    choose: Callable[[Array], Array], block: Array, factors: Sequence[int]
) -> Iterator[Array]:
    """Each level from the one before it, by the choice of one label out of four."""
    yield block
    for _ in factors[1:]:
        # Most squares hold one label only: the rule is asked about the others.
        odd = [(0, size % 2) for size in block.shape]
        whole = np.pad(block, odd, mode="edge") if any(map(any, odd)) else block
        corners = (whole[::2, ::2], whole[::2, 1::2], whole[1::2, ::2], whole[1::2, 1::2])
        mixed = (corners[0] != corners[1]) | (corners[0] != corners[2])
        mixed |= corners[0] != corners[3]
        block = corners[0].copy()
        block[mixed] = choose(np.stack([corner[mixed] for corner in corners]))
        yield block


def _region_of_four(depths: Array, gland: Array, four: Array) -> Array:
    """One code of each column of (4, N); see `region_levels`."""
    inside = gland[four]
    outside = (four > 0) & ~inside
    is_gland = inside.any(axis=0) & (inside.sum(axis=0) >= outside.sum(axis=0))
    candidate = np.where(is_gland, inside, outside)
    depth = np.where(is_gland, depths[four], 0)
    # What decides comes first: to be a candidate, to lie further out, frequency, a low code.
    score = candidate.astype(np.uint32) << 20
    score |= (256 - depth).astype(np.uint32) << 11
    score |= _frequency(four).astype(np.uint32) << 8
    score |= 255 - four.astype(np.uint32)
    chosen: Array = 255 - (score.max(axis=0) & 255)
    return chosen.astype(four.dtype)


def _instance_of_four(four: Array) -> Array:
    """One label of each column of (4, N): 0 only where it has most pixels; see `INSTANCES`."""
    frequency = np.where(four > 0, _frequency(four), 0)
    best, most = four[0], frequency[0]
    for label, count in zip(four[1:], frequency[1:], strict=True):
        better = (count > most) | ((count == most) & (label < best))
        best, most = np.where(better, label, best), np.where(better, count, most)
    inside = np.count_nonzero(four, axis=0)
    return np.where(inside >= 2, best, 0).astype(four.dtype)


def _frequency(four: Array) -> Array:
    """How many of the four equal each of them, (4, N)."""
    frequency = np.ones(four.shape, np.uint8)
    for i in range(4):
        for j in range(i):
            same = four[i] == four[j]
            frequency[i] += same
            frequency[j] += same
    return frequency


def _sums(values: Array) -> Array:
    """Sums over squares of two by two; a last row or column without neighbour is kept."""
    return _pairs(_pairs(values).swapaxes(0, 1)).swapaxes(0, 1)


def _pairs(values: Array) -> Array:
    halved = values[::2].copy()
    halved[: len(values) // 2] += values[1::2]
    return halved


def _counts(size: int, factor: int) -> npt.NDArray[np.uint32]:
    starts = np.arange(0, size, factor)
    return np.minimum(factor, size - starts).astype(np.uint32)


_LABELS = "majority that keeps thin structures"
MEAN = Downsampling("mean", _means)
"""For images of whole numbers, (Y, X, C)."""
MEAN_OF_PLANE = Downsampling("mean", _means_of_plane)
"""For maps of whole numbers, (Y, X)."""
MEAN_OF_KNOWN = Downsampling("mean of known pixels", _means_of_known)
"""For maps of real numbers, (Y, X), that are NaN where nothing is known."""
INSTANCES = Downsampling(_LABELS, partial(_label_levels, _instance_of_four))
"""For numbered objects: the most frequent one where two of four pixels lie in any; of equals
the one with the lower number."""
