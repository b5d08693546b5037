"""Image pyramids written to zarr block by block, so that memory does not grow with the slide.

Every block gives its part of all levels at once: images by the mean of the pixels that a lower
pixel stands for, labels by the pixel nearest to its centre, so that no new label appears. Both
make the same number of pixels and use the same scale and translation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import zarr

CHUNK = 512
BLOCK = 2048
"""Side of the blocks to write; a multiple of all factors, and of the chunks."""
_SMALLEST_LEVEL = 512
_LARGEST_FACTOR = 256


def level_factors(height: int, width: int) -> list[int]:
    """Level-0 pixels per pixel of each level: halved until a level fits on half a screen.

    Examples
    --------
    >>> level_factors(500, 500), level_factors(2000, 600)
    ([1], [1, 2, 4])
    """
    factors = [1]
    while max(height, width) / factors[-1] > _SMALLEST_LEVEL and factors[-1] < _LARGEST_FACTOR:
        factors.append(2 * factors[-1])
    return factors


def blocks(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows (y, x, height, width) of at most `BLOCK` pixels a side that cover an image."""
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            yield y, x, min(BLOCK, height - y), min(BLOCK, width - x)


class PyramidWriter:
    """A multiscale image or label image that is being written.

    Parameters
    ----------
    group : zarr.Group
        Gets the arrays ``0``, ``1`` ...
    height, width : int
        Of level 0.
    dtype : dtype-like
    channels : int
        3 for an image, stored (c, y, x); 0 for labels, stored (y, x).
    """

    def __init__(
        self, group: zarr.Group, height: int, width: int, dtype: npt.DTypeLike, channels: int = 0
    ) -> None:
        self._size = (height, width)
        self._channels = channels
        self.factors = level_factors(height, width)
        self._arrays = [
            self._create(group, str(level), factor, np.dtype(dtype))
            for level, factor in enumerate(self.factors)
        ]

    def _create(self, group: zarr.Group, name: str, factor: int, dtype: np.dtype[Any]) -> Any:
        from zarr.codecs import BloscCodec

        size = [-(-side // factor) for side in self._size]
        chunks = [min(CHUNK, side) for side in size]
        # Many small files are slow to copy: large levels are stored in shards of a block.
        shards = [BLOCK, BLOCK] if min(size) >= BLOCK else None
        front = [self._channels] if self._channels else []
        return group.create_array(
            name,
            shape=(*front, *size),
            chunks=(*front, *chunks),
            shards=None if shards is None else (*front, *shards),
            dtype=dtype,
            fill_value=0,
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
            dimension_names=("c", "y", "x") if self._channels else ("y", "x"),
        )

    def write(self, y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Write a block to all levels.

        Parameters
        ----------
        y, x : int
            Where it lies in level 0; multiples of `BLOCK`.
        block : ndarray, (Y, X, C) or (Y, X)
            Of `BLOCK` pixels a side, fewer at the lower and right edge of the image only.
        """
        levels = (_means if self._channels else _nearest)(block, self.factors)
        for array, factor, small in zip(self._arrays, self.factors, levels, strict=True):
            window = (
                slice(y // factor, y // factor + small.shape[0]),
                slice(x // factor, x // factor + small.shape[1]),
            )
            if self._channels:
                array[(slice(None), *window)] = np.moveaxis(small, 2, 0)
            else:
                array[window] = small


def _means(block: npt.NDArray[np.uint8], factors: list[int]) -> Iterator[npt.NDArray[np.uint8]]:
    """Means over squares of each factor; at the edge, over what there is of them."""
    yield block
    total = block.astype(np.uint32)
    for factor in factors[1:]:
        total = _halved(_halved(total).swapaxes(0, 1)).swapaxes(0, 1)
        rows, columns = (_counts(size, factor) for size in block.shape[:2])
        count = (rows[:, np.newaxis] * columns)[:, :, np.newaxis]
        yield ((total + count // 2) // count).astype(np.uint8)


def _halved(total: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Sums of neighbouring rows; a last row without neighbour is kept."""
    halved = total[::2].copy()
    halved[: len(total) // 2] += total[1::2]
    return halved


def _counts(size: int, factor: int) -> npt.NDArray[np.uint32]:
    starts = np.arange(0, size, factor)
    return np.minimum(factor, size - starts).astype(np.uint32)


def _nearest(block: npt.NDArray[Any], factors: list[int]) -> Iterator[npt.NDArray[Any]]:
    """The pixel nearest to the centre of each square, for each factor."""
    for factor in factors:
        rows, columns = (
            np.minimum(np.arange(0, size, factor) + factor // 2, size - 1) for size in block.shape
        )
        yield block[np.ix_(rows, columns)]
