"""Read windows ahead of the network, in threads, so that it never waits for a file.

A slide is decoded on one core at about the speed at which a good GPU segments it, and drives
are slower than that from time to time. A few threads fill a short queue in the order of the
tiles. A window that cannot be read is a result like any other; a drive from which nothing
comes is spoken of, and waited for, until somebody says stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from ..errors import GlandMTLError, InvalidInputError
from .tiling import Tile, Window, pad_mirrored

RGB = npt.NDArray[np.uint8]

STALL_S = 30.0
"""Seconds without a window after which the drive is called slow."""

POLL_S = 0.2
"""How often somebody who waits asks whether to stop."""

FAREWELL_S = 0.5
"""How long a reader that is in the middle of a window is waited for in the end."""


class PixelSource(Protocol):
    """An image at the network's um/px: an array in a test, a scaled slide in earnest."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""

    def read(self, window: Window) -> RGB:
        """Pixels of a window inside the image, (Y, X, 3); called from several threads."""


@dataclass(frozen=True)
class ReadTile:
    """A tile with its pixels.

    Attributes
    ----------
    tile : Tile
    pixels : ndarray of uint8, (Y, X, 3)
        Of ``tile.window``, mirrored past the bottom and right of the image.
    """

    tile: Tile
    pixels: RGB


@dataclass(frozen=True)
class FailedTile:
    """A tile whose pixels could not be read.

    Attributes
    ----------
    tile : Tile
    error : str
        What was wrong, for the user.
    """

    tile: Tile
    error: str


@dataclass(frozen=True)
class Waiting:
    """Nothing could be read for some time.

    Attributes
    ----------
    seconds : float
        Since the last window came, or was asked for.
    """

    seconds: float


def read_window(source: PixelSource, window: Window) -> RGB:
    """Pixels of a window; past the bottom and right of the image, its mirror image."""
    return pad_mirrored(source.read(window.clipped(*source.shape)), *window.shape)


class ReadAhead:
    """Reads the windows of tiles in threads; a context manager, gone through once.

    Parameters
    ----------
    source : PixelSource
    tiles : sequence of Tile
    readers : int
        Threads.
    ahead : int
        Windows that are read or being read before they are asked for; at least `readers`.
    stall_s : float
        After so many seconds without a window, and again after as many, `Waiting` is given.
    stopped : callable
        Asked a few times a second while waiting; after it says yes nothing more comes.

    Raises
    ------
    InvalidInputError
        If a number is not positive.
    """

    def __init__(
        self,
        source: PixelSource,
        tiles: Sequence[Tile],
        readers: int = 2,
        ahead: int = 4,
        stall_s: float = STALL_S,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        if readers < 1 or not stall_s > 0:
            raise InvalidInputError(
                f"At least one reader and a positive time to wait are needed, got {readers} and "
                f"{stall_s}."
            )
        self._source, self._tiles, self._stopped = source, tiles, stopped
        self._ahead, self._stall_s = max(ahead, readers), stall_s
        self._changed = threading.Condition()
        self._done: dict[int, ReadTile | FailedTile | BaseException] = {}
        self._begun = self._given = 0
        self._closed = False
        # Daemons: a drive that never answers must not keep the program from ending.
        self._threads = [
            threading.Thread(target=self._work, name=f"gland-mtl reader {number}", daemon=True)
            for number in range(min(readers, len(tiles)))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._done.clear()
            self._changed.notify_all()
        end = time.monotonic() + FAREWELL_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def __iter__(self) -> Iterator[ReadTile | FailedTile | Waiting | None]:
        """The tiles in their order.

        Yields
        ------
        ReadTile, FailedTile, Waiting or None
            None where the next tile is not there yet and something else may be done before
            it is waited for.
        """
        for index in range(len(self._tiles)):
            if not self._at_hand(index, 0):
                yield None
                yield from self._waiting(index)
            if self._stopped():
                return
            yield self._take(index)

    def _at_hand(self, index: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: index in self._done, timeout)

    def _waiting(self, index: int) -> Iterator[Waiting]:
        """Wait until a tile is there or somebody says stop."""
        began, spoken = time.monotonic(), 1
        while not (self._stopped() or self._at_hand(index, POLL_S)):
            seconds = time.monotonic() - began
            if seconds >= spoken * self._stall_s:
                yield Waiting(seconds)
                spoken = 1 + int(seconds / self._stall_s)

    def _take(self, index: int) -> ReadTile | FailedTile:
        with self._changed:
            result = self._done.pop(index)
            self._given = index + 1
            self._changed.notify_all()
        if isinstance(result, BaseException):
            raise result
        return result

    def _work(self) -> None:
        while (index := self._next()) is not None:
            result = self._read(self._tiles[index])
            with self._changed:
                if not self._closed:
                    self._done[index] = result
                self._changed.notify_all()

    def _next(self) -> int | None:
        """The next tile to read, once there is room for it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._begun < self._given + self._ahead)
            if self._closed or self._begun == len(self._tiles):
                return None
            self._begun += 1
            return self._begun - 1

    def _read(self, tile: Tile) -> ReadTile | FailedTile | BaseException:
        try:
            return ReadTile(tile, read_window(self._source, tile.window))
        except (GlandMTLError, OSError) as error:
            return FailedTile(tile, str(error) or type(error).__name__)
        except BaseException as error:  # noqa: BLE001 - raised again where the tile is taken
            return error
