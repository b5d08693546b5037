"""Work of the window's thread that is done in pieces, so that the window answers in between.

napari takes tenths of a second for every layer that is added. A generator that yields after each
one is gone on with at the next turn of the event loop, when the window has drawn and the user's
clicks have been heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from qtpy.QtCore import QObject, QTimer, Signal

PAUSE_MS = 15
"""Between two pieces: the window draws only when it has nothing else to do."""


class Turns(QObject):
    """Goes on with generators, one piece per turn of the event loop, in their order.

    Parameters
    ----------
    parent : QObject
        With it all ends.

    Attributes
    ----------
    failed : Signal(object)
        What a piece raised; the rest of its generator is given up.
    ended : Signal
        All is done.
    """

    failed = Signal(object)
    ended = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: deque[Iterator[None]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._go_on)

    @property
    def running(self) -> bool:
        """Whether something is left to do."""
        return bool(self._waiting)

    def add(self, work: Iterator[None]) -> None:
        """Do this after what was added before."""
        self._waiting.append(work)
        self._timer.start()

    def _go_on(self) -> None:
        try:
            next(self._waiting[0])
            return
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the user must hear of it
            self.failed.emit(error)
        self._waiting.popleft()
        if not self._waiting:
            self._timer.stop()
            self.ended.emit()


def at_once(work: Iterator[None]) -> None:
    """Do all pieces without a pause."""
    for _ in work:
        pass


def then(work: Iterator[None], call: Callable[[], None]) -> Iterator[None]:
    """The work, and a call when it is done."""
    yield from work
    call()
