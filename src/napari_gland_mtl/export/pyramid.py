"""Image pyramids written to zarr block by block, so that memory does not grow with the slide.

Every block gives its part of all levels at once. Chunks are bundled in shards where a block
fills whole ones: fewer files, and nothing that was compressed is read again to be changed. One
process writes a pyramid; anybody may read it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from .chunk_buffer import ChunkBuffer
from .downsampling import Downsampling

if TYPE_CHECKING:
    import zarr

CHUNK = 512
BLOCK = 2048
"""Side of the blocks that an image is written in; a multiple of all factors."""
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
    method : Downsampling
        How lower levels are made.
    channels : int
        3 for an image, stored (c, y, x); 0 for labels and maps, stored (y, x).
    block : int
        Side of the blocks that will be written; others are right, but slower.
    chunk : int
        Side of the chunks of level 0, at most `block`; those of the others have `CHUNK`.
    fill : number
        What is read where nothing was written.
    levels : int, optional
        How many; down to half a screen unless given.
    create : bool
        False if the arrays are there, and more is to be written to them; KeyError if not.

    Attributes
    ----------
    size : tuple of int
        (height, width) of level 0.
    factors : list of int
        Level-0 pixels per pixel of each level.
    arrays : list of zarr.Array
    method : Downsampling
    """

    def __init__(
        self,
        group: zarr.Group,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        method: Downsampling,
        *,
        channels: int = 0,
        block: int | None = None,
        chunk: int | None = None,
        fill: float = 0,
        levels: int | None = None,
        create: bool = True,
    ) -> None:
        self.size = (height, width)
        self.method = method
        factors = level_factors(height, width)
        self.factors = factors if levels is None else [2**level for level in range(levels)]
        self._channels = channels
        self._block = BLOCK if block is None else block
        self._chunk = CHUNK if chunk is None else chunk
        self.arrays: list[Any] = [
            self._create(group, str(level), factor, np.dtype(dtype), fill)
            if create
            else group[str(level)]
            for level, factor in enumerate(self.factors)
        ]
        # Blocks that fill whole chunks need no buffer; images are written in such blocks.
        self._buffers = [
            ChunkBuffer(array) if not channels and self._block // factor < CHUNK else None
            for array, factor in zip(self.arrays, self.factors, strict=True)
        ]

    def clear_buffers(self) -> None:
        """Tell that the arrays were changed by other means."""
        for buffer in self._buffers:
            if buffer is not None:
                buffer.clear()

    def _create(
        self, group: zarr.Group, name: str, factor: int, dtype: np.dtype[Any], fill: float
    ) -> Any:
        from zarr.codecs import ZstdCodec

        size = [-(-side // factor) for side in self.size]
        chunk = max(CHUNK, min(self._chunk, self._block // factor))
        chunks = [min(chunk, side) for side in size]
        shard = self._block // factor
        shards = [shard, shard] if shard > chunk and min(size) > chunk else None
        front = [self._channels] if self._channels else []
        return group.create_array(
            name,
            shape=(*front, *size),
            chunks=(*front, *chunks),
            shards=None if shards is None else (*front, *shards),
            dtype=dtype,
            fill_value=fill,
            # Level 1 writes as fast as no compression at a hundredth of the size of labels.
            compressors=ZstdCodec(level=1),
            dimension_names=("c", "y", "x") if self._channels else ("y", "x"),
        )

    def write(self, y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Write a block to all levels.

        Parameters
        ----------
        y, x : int
            Where it lies in level 0; multiples of the largest factor.
        block : ndarray, (Y, X, C) or (Y, X)
            Its sides are multiples of the largest factor, unless it ends where the image does.

        Raises
        ------
        InvalidInputError
            If it does not lie so: its lower levels would depend on what is beside it.
        """
        self._check(y, x, *block.shape[:2])
        levels = self.method.levels(block, self.factors)
        for array, buffer, factor, small in zip(
            self.arrays, self._buffers, self.factors, levels, strict=True
        ):
            top, left = y // factor, x // factor
            if buffer is not None:
                buffer.write(top, left, small)
                continue
            window = slice(top, top + small.shape[0]), slice(left, left + small.shape[1])
            if self._channels:
                array[(slice(None), *window)] = np.moveaxis(small, 2, 0)
            else:
                array[window] = small

    def _check(self, y: int, x: int, height: int, width: int) -> None:
        lattice = self.factors[-1]
        for start, length, size in zip((y, x), (height, width), self.size, strict=True):
            ends = start + length == size or (start + length) % lattice == 0
            if start < 0 or length < 1 or start + length > size or start % lattice or not ends:
                raise InvalidInputError(
                    f"A block of {height} x {width} px at y {y}, x {x} cannot be written to an "
                    f"image of {self.size[0]} x {self.size[1]} px: blocks lie on multiples of "
                    f"{lattice} px."
                )
