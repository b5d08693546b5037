"""An array in a zarr store that is written tile by tile, one file each, by many at once.

A tile is a chunk: it is written beside its place and renamed, so it is there or not, and who
writes other tiles need not know. All chunks lie in one folder, so that one listing tells which
are there; what a killed process leaves half written has another name and is no chunk.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import UnreadableImageError
from ..storage.disk_errors import patiently
from .slide_layout import Window, check_window

if TYPE_CHECKING:
    import zarr

_CHUNK_NAME = re.compile(r"c\.0\.(\d+)\.(\d+)")

Place = tuple[int, int]
"""(row, column) of a tile."""


def create_tile_array(
    group: zarr.Group, name: str, shape: tuple[int, int, int], side: int, dtype: str, fill: float
) -> None:
    """Make an array (C, Y, X) without any tile.

    Parameters
    ----------
    group : zarr.Group
    name : str
    shape : tuple of int
    side : int
        Of a tile.
    dtype : str
    fill : number
        What is read where there is no tile.
    """
    from zarr.codecs import ZstdCodec

    group.create_array(
        name,
        shape=shape,
        chunks=(shape[0], side, side),
        dtype=dtype,
        fill_value=fill,
        # Noticing damage matters more than a better ratio: blosc would decode what is cut off.
        compressors=ZstdCodec(level=1, checksum=True),
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("c", "y", "x"),
    )


class TileArray:
    """An array that `create_tile_array` made.

    Parameters
    ----------
    folder : Path
        Of the array.
    writable : bool
    cached : int
        How many decoded tiles are kept, for windows that overlap.
    """

    def __init__(self, folder: Path, writable: bool, cached: int = 0) -> None:
        import zarr

        array: Any = zarr.open_array(folder, mode="r+" if writable else "r")
        # A chunk without content would not be written, and would seem not to be done.
        self._array = array.with_config({"write_empty_chunks": True})
        self._folder = folder
        self._side = int(array.chunks[1])
        self._cached = cached
        self._cache: OrderedDict[Place, npt.NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def stored(self) -> set[Place]:
        """The tiles that are there."""
        with os.scandir(self._folder) as entries:
            named = [(_CHUNK_NAME.fullmatch(entry.name), entry) for entry in entries]
            # A power cut can leave a file without content.
            return {
                (int(match[1]), int(match[2]))
                for match, entry in named
                if match is not None and entry.stat().st_size > 0
            }

    def has(self, place: Place) -> bool:
        """Whether a tile is there."""
        try:
            return self._file(place).stat().st_size > 0
        except OSError:
            return False

    def write(self, place: Place, values: npt.NDArray[Any]) -> None:
        """Store a tile, (C, y, x): smaller than the others at the lower and right border only."""
        y, x = (index * self._side for index in place)
        height, width = values.shape[1:]

        def write() -> None:
            self._array[:, y : y + height, x : x + width] = values

        patiently(write)
        with self._lock:
            self._cache.pop(place, None)

    def places(self, window: Window) -> Iterator[Place]:
        """The tiles that a window touches."""
        y0, x0, y1, x1 = check_window(window, self._array.shape[1:])
        for row in range(y0 // self._side, -(-y1 // self._side)):
            for column in range(x0 // self._side, -(-x1 // self._side)):
                yield row, column

    def read(self, window: Window) -> npt.NDArray[Any]:
        """A window, (C, h, w).

        Raises
        ------
        InvalidInputError
            If it leaves the array.
        UnreadableImageError
            If a tile is damaged; the message says which.
        """
        y0, x0, y1, x1 = check_window(window, self._array.shape[1:])
        array = self._array
        result = np.full((array.shape[0], y1 - y0, x1 - x0), array.fill_value, array.dtype)
        for place in self.places(window):
            tile = self._decoded(place)
            if tile is None:
                continue
            top, left = (index * self._side for index in place)
            y, x = max(y0, top), max(x0, left)
            part = tile[:, y - top : y1 - top, x - left : x1 - left]
            result[:, y - y0 : y - y0 + part.shape[1], x - x0 : x - x0 + part.shape[2]] = part
        return result

    def _decoded(self, place: Place) -> npt.NDArray[Any] | None:
        """A tile as a whole, or None if it is not there."""
        with self._lock:
            if place in self._cache:
                self._cache.move_to_end(place)
                return self._cache[place]
        if not self.has(place):
            return None
        tile = self._load(place)
        if self._cached:
            with self._lock:
                self._cache[place] = tile
                while len(self._cache) > self._cached:
                    self._cache.popitem(last=False)
        return tile

    def _load(self, place: Place) -> npt.NDArray[Any]:
        y, x = (index * self._side for index in place)
        try:
            return np.asarray(self._array[:, y : y + self._side, x : x + self._side])
        except (OSError, RuntimeError, ValueError) as error:
            raise UnreadableImageError(
                f"{self._file(place)} cannot be read ({error}). If it is damaged, delete it and "
                "resume: that tile will be computed again."
            ) from error

    def _file(self, place: Place) -> Path:
        return self._folder / f"c.0.{place[0]}.{place[1]}"
