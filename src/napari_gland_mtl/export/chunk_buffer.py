"""Blocks that fill a part of a chunk only: the chunk stays at hand until it is full.

On the lower levels of a pyramid a block covers a quarter of a chunk or less. To read and decode
the chunk again for every block would cost more than to write it; the last few are kept instead.
Every block is on disk at once all the same, for those who watch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_KEPT = 4

Cell = tuple[slice, slice]


class ChunkBuffer:
    """Writes to an array (Y, X) of which nobody else writes the same chunks.

    Parameters
    ----------
    array : zarr.Array
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self._chunks: OrderedDict[tuple[int, int], npt.NDArray[Any]] = OrderedDict()

    def write(self, y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Write a block whose upper left pixel lies at (y, x)."""
        for key, cell in self._cells(y, x, block.shape):
            chunk = self._chunk(key, cell)
            top, left = cell[0].start, cell[1].start
            inside = (
                slice(max(y - top, 0), y - top + block.shape[0]),
                slice(max(x - left, 0), x - left + block.shape[1]),
            )
            target = chunk[inside]
            first = max(top - y, 0), max(left - x, 0)
            target[...] = block[
                first[0] : first[0] + target.shape[0], first[1] : first[1] + target.shape[1]
            ]
            self._array[cell] = chunk
            self._chunks[key] = chunk  # not before it is on disk
            while len(self._chunks) > _KEPT:
                self._chunks.popitem(last=False)

    def clear(self) -> None:
        """Forget the chunks: the array was changed by other means."""
        self._chunks.clear()

    def _chunk(self, key: tuple[int, int], cell: Cell) -> npt.NDArray[Any]:
        kept = self._chunks.pop(key, None)
        return np.array(self._array[cell]) if kept is None else kept

    def _cells(
        self, y: int, x: int, shape: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, int], Cell]]:
        """Chunks that a block touches, by their place in the grid and in the array."""
        sides, size = self._array.chunks, self._array.shape
        for row in range(y // sides[0], -(-(y + shape[0]) // sides[0])):
            for column in range(x // sides[1], -(-(x + shape[1]) // sides[1])):
                corner = row * sides[0], column * sides[1]
                yield (
                    (row, column),
                    (
                        slice(corner[0], min(corner[0] + sides[0], size[0])),
                        slice(corner[1], min(corner[1] + sides[1], size[1])),
                    ),
                )
