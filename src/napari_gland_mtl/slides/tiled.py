"""Windows cut from files that are grids of tiles, with the last decoded tiles at hand.

Decoding is what reading a slide costs, and windows rarely meet the file's tiles: without a
cache, neighbouring windows decode every shared tile again. The cache is bounded in bytes, and
decoding goes on in several threads at once; only the bookkeeping is locked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import numpy as np

from .rgb import RGB
from .slide import Slide

CACHE_BYTES = 64 * 2**20


class TileCache:
    """The most recently used tiles, up to a number of bytes.

    Parameters
    ----------
    capacity : int
        Bytes. A single tile that is larger is kept alone, so that a file that is one huge
        strip is not decoded for every window.
    """

    def __init__(self, capacity: int = CACHE_BYTES) -> None:
        self._capacity = capacity
        self._tiles: OrderedDict[Hashable, RGB] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, load: Callable[[], RGB]) -> RGB:
        """The tile called `key`, from `load` unless it is here already."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
                return tile
        tile = load()
        tile.setflags(write=False)
        self._keep(key, tile)
        return tile

    def clear(self) -> None:
        """Let go of all tiles."""
        with self._lock:
            self._tiles.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, tile: RGB) -> None:
        with self._lock:
            if key in self._tiles:  # another thread was faster
                return
            self._tiles[key] = tile
            self._bytes += tile.nbytes
            while self._bytes > self._capacity and len(self._tiles) > 1:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes


class TiledSlide(Slide):
    """A slide whose levels are grids of equal tiles (the last ones may be cut off).

    Parameters
    ----------
    cache_bytes : int
        How many bytes of decoded tiles to keep.
    **properties
        As for `Slide`.
    """

    def __init__(self, *, cache_bytes: int = CACHE_BYTES, **properties: Any) -> None:
        super().__init__(**properties)
        self._cache = TileCache(cache_bytes)

    @abstractmethod
    def _tile_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the tiles of a level."""

    @abstractmethod
    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        """Decode one tile, (Y, X, 3), cut to the level's edge. Called from any thread."""

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        tile_height, tile_width = self._tile_shape(level)
        window = np.empty((height, width, 3), np.uint8)
        for row in range(y // tile_height, (y + height - 1) // tile_height + 1):
            for column in range(x // tile_width, (x + width - 1) // tile_width + 1):
                tile = self._tile(level, row, column)
                _paste(window, y, x, tile, row * tile_height, column * tile_width)
        return window

    def _tile(self, level: int, row: int, column: int) -> RGB:
        return self._cache.get((level, row, column), lambda: self._load_tile(level, row, column))

    def close(self) -> None:
        """Let go of the decoded tiles."""
        self._cache.clear()


def _paste(window: RGB, y: int, x: int, tile: RGB, tile_y: int, tile_x: int) -> None:
    """Copy what `tile`, placed at (tile_y, tile_x), has in common with `window` at (y, x)."""
    y0, x0 = max(y, tile_y), max(x, tile_x)
    y1 = min(y + window.shape[0], tile_y + tile.shape[0])
    x1 = min(x + window.shape[1], tile_x + tile.shape[1])
    window[y0 - y : y1 - y, x0 - x : x1 - x] = tile[
        y0 - tile_y : y1 - tile_y, x0 - tile_x : x1 - tile_x
    ]
