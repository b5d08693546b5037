"""Windows cut from files that are grids of tiles, with the tiles that matter at hand.

Windows rarely meet the file's tiles: without a cache, neighbouring windows decode every shared
tile again. Decoding goes on in several threads at once; only the bookkeeping is locked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

from .rgb import RGB
from .slide import Box, Slide
from .tile_cache import AWAITED_BYTES, RECENT_BYTES, TileCache, TileUses

_VIEW_SIDE = 512
_WIDEST_CHUNK = 2048
_CHUNK_BYTES = 32 * 2**20


class TiledSlide(Slide):
    """A slide whose levels are grids of equal tiles (the last ones may be cut off).

    Parameters
    ----------
    recent_bytes : int
        How many bytes of decoded tiles to keep.
    awaited_bytes : int
        How many bytes of decoded tiles to keep for windows that were announced.
    **properties
        As for `Slide`.
    """

    # Tiles of windows that cut none are not kept, unless to make them costs more than decoding.
    _keeps_whole_tiles = False

    def __init__(
        self,
        *,
        recent_bytes: int = RECENT_BYTES,
        awaited_bytes: int = AWAITED_BYTES,
        **properties: Any,
    ) -> None:
        super().__init__(**properties)
        self._cache = TileCache(recent_bytes, awaited_bytes)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = Lock()

    @abstractmethod
    def tile_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the tiles of a level."""

    @abstractmethod
    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        """Decode one tile, (Y, X, 3), cut to the level's edge. Called from any thread."""

    def announce(self, level: int, windows: Iterable[Box]) -> None:
        """See `Slide.announce`."""
        self._check_window(level, 0, 0, 1, 1)
        self._cache.announce(TileUses(level, self._shapes[level], self.tile_shape(level), windows))

    def chunk_shape(self, level: int) -> tuple[int, int]:
        """Some whole tiles, about half a screen high and wide."""
        height, width = self.tile_shape(level)
        if width > _WIDEST_CHUNK:
            # Strips as wide as the slide are decoded as a whole for any part of them: as many
            # as the cache holds, so that the chunks beside this one find them there.
            rows = max(1, min(_VIEW_SIDE, _CHUNK_BYTES // (3 * width)) // height)
            return rows * height, 2 * _VIEW_SIDE
        return _near(height, _VIEW_SIDE), _near(width, _VIEW_SIDE)

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        (row, y_in_tile), (column, x_in_tile) = (
            divmod(start, size) for start, size in zip((y, x), self.tile_shape(level), strict=True)
        )
        if y_in_tile == x_in_tile == 0 and self._cut_tile(level, row, column) == (height, width):
            return self._tile(level, row, column, passing=not self._keeps_whole_tiles)
        window = np.empty((height, width, 3), np.uint8)
        self._read_into(level, y, x, window)
        return window

    def _read_into(self, level: int, y: int, x: int, out: RGB) -> None:
        tile_height, tile_width = self.tile_shape(level)
        rows = range(y // tile_height, (y + out.shape[0] - 1) // tile_height + 1)
        columns = range(x // tile_width, (x + out.shape[1] - 1) // tile_width + 1)
        passing = not self._keeps_whole_tiles and self._is_whole(level, y, x, *out.shape[:2])

        def paste(place: tuple[int, int]) -> None:
            row, column = place
            tile = self._tile(level, row, column, passing)
            _paste(out, y, x, tile, row * tile_height, column * tile_width)

        places = [(row, column) for row in rows for column in columns]
        if self.threads > 1 and len(places) > 1:
            for _ in self._threads().map(paste, places):
                pass
        else:
            for place in places:
                paste(place)

    def _is_whole(self, level: int, y: int, x: int, height: int, width: int) -> bool:
        """Whether a window cuts no tile: then whoever reads it goes along the tiles."""
        ends = zip((y + height, x + width), self._shapes[level], strict=True)
        tile = self.tile_shape(level)
        return all(start % size == 0 for start, size in zip((y, x), tile, strict=True)) and all(
            end % size == 0 or end == full for (end, full), size in zip(ends, tile, strict=True)
        )

    def _cut_tile(self, level: int, row: int, column: int) -> tuple[int, int]:
        """Height and width of a tile without what lies beyond the level's edge."""
        height, width = self.tile_shape(level)
        full_height, full_width = self._shapes[level]
        return min(height, full_height - row * height), min(width, full_width - column * width)

    def _tile(self, level: int, row: int, column: int, passing: bool) -> RGB:
        key = (level, row, column)
        return self._cache.get(key, lambda: self._load_tile(*key), passing)

    def _threads(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
            return self._pool

    def close(self) -> None:
        """Let go of the decoded tiles."""
        super().close()
        self._cache.clear()
        with self._pool_lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False)
                self._pool = None


def _near(size: int, wanted: int) -> int:
    """The multiple of `size` that is nearest to `wanted`."""
    return max(1, round(wanted / size)) * size


def _paste(window: RGB, y: int, x: int, tile: RGB, tile_y: int, tile_x: int) -> None:
    """Copy what `tile`, placed at (tile_y, tile_x), has in common with `window` at (y, x)."""
    y0, x0 = max(y, tile_y), max(x, tile_x)
    y1 = min(y + window.shape[0], tile_y + tile.shape[0])
    x1 = min(x + window.shape[1], tile_x + tile.shape[1])
    window[y0 - y : y1 - y, x0 - x : x1 - x] = tile[
        y0 - tile_y : y1 - tile_y, x0 - tile_x : x1 - tile_x
    ]
