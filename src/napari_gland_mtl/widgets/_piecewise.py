"""Many small drawings, one per turn of the event loop, so that the window stays fluid."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer, Signal

PAUSE_MS = 5
"""Between two pieces: time for the window's own events."""


class Piecewise(QObject):
    """Calls functions one at a time, with a pause for the window in between.

    Parameters
    ----------
    parent : QObject
        Nothing is called any more once it is gone.
    """

    emptied = Signal()
    """Nothing waits any more."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pieces: deque[tuple[object, Callable[[], None]]] = deque()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._one)
        self.longest_ms = 0.0
        self.total_ms = 0.0

    def add(self, owner: object, *pieces: Callable[[], None]) -> None:
        """Call these in order; those that wait for the same owner are called but once."""
        if any(waiting == owner for waiting, _ in self._pieces):
            return
        self._pieces.extend((owner, piece) for piece in pieces)
        if not self._timer.isActive():
            self._timer.start(0)

    def clear(self) -> None:
        """Call nothing of what still waits."""
        self._pieces.clear()
        self._timer.stop()

    @property
    def busy(self) -> bool:
        """Whether something waits."""
        return bool(self._pieces)

    def _one(self) -> None:
        if not self._pieces:
            return
        _, piece = self._pieces.popleft()
        began = time.perf_counter()
        piece()
        took = 1000 * (time.perf_counter() - began)
        self.longest_ms, self.total_ms = max(self.longest_ms, took), self.total_ms + took
        if self._pieces:
            self._timer.start(PAUSE_MS)
        else:
            self.emptied.emit()
