"""Writes the output of tiles in a thread of its own: the network does not wait for the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import numpy as np

from ..inference.decoding import most_probable
from ..inference.predictor import FailedTile, PredictedTile
from ..inference.tiling import Tile
from ..regions import NOT_ANNOTATED
from .events import BlockDone, Event, TileFailed

if TYPE_CHECKING:
    from .slide_work import SlideWork

_WRITES_AHEAD = 4


class TileWriter:
    """Writes tiles in a thread of its own, so that the network does not wait for the disk."""

    def __init__(self, work: SlideWork, provisional: bool) -> None:
        self._work = work
        self._provisional = provisional
        self._todo: queue.Queue[PredictedTile | FailedTile | None] = queue.Queue(_WRITES_AHEAD)
        self._events: queue.SimpleQueue[tuple[Event, Tile]] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gland-mtl writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def put(self, result: PredictedTile | FailedTile) -> None:
        """Hand over a tile; waits while several are still to be written."""
        self._raise()
        self._todo.put(result)

    def events(self) -> Iterator[tuple[Event, Tile]]:
        """What was written, or noted as failed, since the last call."""
        self._raise()
        while not self._events.empty():
            yield self._events.get()

    def finish(self) -> Iterator[tuple[Event, Tile]]:
        """Wait for the last tile; what was not given before."""
        self._close()
        yield from self.events()

    def _close(self) -> None:
        if self._thread.is_alive():
            self._todo.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (result := self._todo.get()) is not None:
            if self._error is not None:
                continue  # whoever puts must not wait for ever
            try:
                with self._work.clock.spent("write tiles"):
                    event = self._write(result)
                self._events.put((event, result.tile))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that puts
                self._error = error

    def _write(self, result: PredictedTile | FailedTile) -> Event:
        store, core = self._work.store, result.tile.core
        if isinstance(result, FailedTile):
            store.fail_tile(core, str(result.error))
            return TileFailed((core.y0, core.x0, core.y1, core.x1), str(result.error))
        probabilities = np.asarray(result.probabilities, dtype=np.uint8)
        class_map, areas = result.class_map, self._work.areas
        if areas is not None:
            scale, stride = self._work.view.scale, store.layout.stride
            inside = areas.window(*core, scale)
            probabilities = np.where(inside, probabilities, 0).astype(np.uint8)
            cells = areas.window(*core.coarsened(stride), scale * stride)
            class_map = np.where(cells, class_map, np.nan).astype(np.float32)
        store.write_tile(core, probabilities, class_map)
        if self._provisional:
            codes = most_probable(probabilities, range(1, len(probabilities) + 1))
            codes[~probabilities.any(axis=0)] = NOT_ANNOTATED
            store.write_regions(core, codes)
        return BlockDone((core.y0, core.x0, core.y1, core.x1), final=False)
