"""Decoded tiles at hand: the last ones used, and those that a sweep is known to need again.

Decoding is what reading a slide costs. Windows of a sweep overlap, and the next row of windows
comes back to tiles of the row before, a whole row later: "the last ones used" would have to be
a row of windows, a gigabyte on a wide slide. A sweep whose windows are known beforehand needs
far less: the tiles that some window still waits for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock

import numpy as np

from .rgb import RGB

RECENT_BYTES = 64 * 2**20
"""Of tiles that nobody announced; a few screens."""
AWAITED_BYTES = 2**30
"""Of tiles that an announced window waits for. A sweep over a slide of 100,000 pixels in tiles
of 256 needs a quarter of it, one over rows as wide as the slide (strips) all of it."""

Key = tuple[int, int, int]
"""Level, row and column of a tile."""


class TileUses:
    """How often each tile of a level is still needed by windows that were announced.

    Parameters
    ----------
    level : int
    shape, tile_shape : (int, int)
        Height and width of the level and of its tiles.
    windows : iterable of (y0, x0, y1, x1)
        Cut to the level.
    """

    def __init__(
        self,
        level: int,
        shape: tuple[int, int],
        tile_shape: tuple[int, int],
        windows: Iterable[tuple[int, int, int, int]],
    ) -> None:
        self._level = level
        rows, columns = (-(-size // step) for size, step in zip(shape, tile_shape, strict=True))
        self._uses = np.zeros((rows, columns), np.int32)
        for y0, x0, y1, x1 in windows:
            y0, x0, y1, x1 = max(y0, 0), max(x0, 0), min(y1, shape[0]), min(x1, shape[1])
            if y0 < y1 and x0 < x1:
                self._uses[
                    y0 // tile_shape[0] : (y1 - 1) // tile_shape[0] + 1,
                    x0 // tile_shape[1] : (x1 - 1) // tile_shape[1] + 1,
                ] += 1

    def use(self, key: Key) -> bool:
        """Count one use. Whether the tile was announced (this use may be its last)."""
        if key[0] != self._level or self._uses[key[1:]] <= 0:
            return False
        self._uses[key[1:]] -= 1
        return True

    def awaits(self, key: Key) -> bool:
        """Whether a window that was not read yet needs the tile."""
        return key[0] == self._level and bool(self._uses[key[1:]] > 0)


class _Shelf:
    """Tiles in the order of their last use, up to a number of bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._tiles: OrderedDict[Key, RGB] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key) -> RGB | None:
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
        return tile

    def put(self, key: Key, tile: RGB) -> None:
        self.drop(key)
        self._tiles[key] = tile
        self._bytes += tile.nbytes
        # A tile that is larger than the shelf stands there alone, so that a file that is one
        # huge strip is not decoded for every window.
        while self._bytes > self._capacity and len(self._tiles) > 1:
            self._bytes -= self._tiles.popitem(last=False)[1].nbytes

    def drop(self, key: Key) -> None:
        tile = self._tiles.pop(key, None)
        if tile is not None:
            self._bytes -= tile.nbytes

    def clear(self) -> None:
        self._tiles.clear()
        self._bytes = 0


class _Promise:
    """A tile that one thread is loading and others wait for; far lighter than a Future."""

    __slots__ = ("_loaded", "error", "tile")

    def __init__(self) -> None:
        self._loaded = Lock()
        self._loaded.acquire()
        self.tile: RGB | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        self._loaded.release()

    def wait(self) -> RGB:
        with self._loaded:
            pass
        if self.tile is None:
            raise self.error or RuntimeError("a tile was not loaded")
        return self.tile


class TileCache:
    """Decoded tiles, shared by threads; a tile that several ask for at once is decoded once.

    Parameters
    ----------
    recent_bytes : int
        Room for the most recently used tiles.
    awaited_bytes : int
        Room for tiles that announced windows wait for.
    """

    def __init__(
        self, recent_bytes: int = RECENT_BYTES, awaited_bytes: int = AWAITED_BYTES
    ) -> None:
        self._recent = _Shelf(recent_bytes)
        self._awaited = _Shelf(awaited_bytes)
        self._uses: TileUses | None = None
        self._loading: dict[Key, _Promise] = {}
        self._lock = Lock()

    def announce(self, uses: TileUses) -> None:
        """Keep tiles for as long as they are needed; ends what was announced before."""
        with self._lock:
            self._uses = uses
            self._awaited.clear()

    def get(self, key: Key, load: Callable[[], RGB], passing: bool = False) -> RGB:
        """The tile called `key`, from `load` unless it is here already. It is read-only.

        With `passing`, a tile that no announced window waits for is not kept: fresh memory for
        every tile costs a third of the time that decoding it takes.
        """
        with self._lock:
            announced = self._uses is not None and self._uses.use(key)
            tile = self._take(key)
            if tile is not None:
                return tile
            others = self._loading.get(key)
            if others is None:
                mine = self._loading[key] = _Promise()
        if others is not None:
            return others.wait()
        return self._load(key, load, mine, keep=not (passing or announced))

    def _load(self, key: Key, load: Callable[[], RGB], promise: _Promise, keep: bool) -> RGB:
        """Load a tile that other threads may be waiting for by now."""
        try:
            tile = promise.tile = load()
            tile.setflags(write=False)
        except BaseException as error:
            promise.error = error
            raise
        finally:
            with self._lock:
                del self._loading[key]
                if promise.tile is not None:
                    self._keep(key, promise.tile, keep)
            promise.settle()
        return tile

    def clear(self) -> None:
        """Let go of all tiles."""
        with self._lock:
            self._uses = None
            self._recent.clear()
            self._awaited.clear()

    def _take(self, key: Key) -> RGB | None:
        tile = self._awaited.get(key)
        if tile is not None and not self._is_awaited(key):
            self._awaited.drop(key)
        return self._recent.get(key) if tile is None else tile

    def _keep(self, key: Key, tile: RGB, keep: bool) -> None:
        if self._is_awaited(key):
            self._awaited.put(key, tile)
        elif keep:
            self._recent.put(key, tile)

    def _is_awaited(self, key: Key) -> bool:
        return self._uses is not None and self._uses.awaits(key)
