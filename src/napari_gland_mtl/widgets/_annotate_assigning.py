"""The patient that was entered comes to the areas: in the session or, in a thread, on disk.

What is written on disk while the area is being opened would look like another window's change,
and a copy of the area would be made. So nothing is written while an area is made or opened, and
whoever opens one waits for what is being written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from qtpy.QtCore import QObject, Signal

from ._annotate_files import Identity, assigning
from ._annotation_session import OpenAnnotations
from ._annotation_task import Task


class PatientAssigner(QObject):
    """Says of areas whose tissue they show, one request after the other.

    Parameters
    ----------
    dock : QWidget
        Of which it is a part.
    session : OpenAnnotations

    Attributes
    ----------
    done, failed : Signal(object)
        What became of the areas on disk (`Changed`), or an error.
    """

    done = Signal(object)
    failed = Signal(object)

    def __init__(self, dock: QObject, session: OpenAnnotations) -> None:
        super().__init__(dock)
        self._session = session
        self._waiting: deque[tuple[list[Identity], str]] = deque()
        self._held = False
        self._task = Task("patient", self)
        self._task.done.connect(self._on_done)
        self._task.failed.connect(self._on_failed)

    @property
    def bridge(self) -> Any:
        """What runs the thread."""
        return self._task.bridge

    @property
    def writing(self) -> bool:
        """Whether areas are written; may be asked from any thread."""
        return self._task.running

    @property
    def running(self) -> bool:
        """Whether something is written, or still has to be."""
        return self.writing or bool(self._waiting)

    def assign(self, areas: Iterable[Identity], patient: str) -> None:
        """Say whose tissue areas show: at once of those in memory, soon of those on disk."""
        closed = self._closed(areas, patient)
        if closed:
            self._waiting.append((closed, patient))
            self._go_on()

    def hold(self) -> None:
        """Begin to write nothing: an area is made or opened."""
        self._held = True

    def release(self) -> None:
        """Write what has waited."""
        self._held = False
        self._go_on()

    def _closed(self, areas: Iterable[Identity], patient: str) -> list[Identity]:
        """Those that are not in memory; the others are changed."""
        return [area for area in areas if not self._session.change(*area, patient=patient)]

    def _go_on(self) -> None:
        while self._waiting and not (self._held or self.writing):
            areas, patient = self._waiting.popleft()
            closed = self._closed(areas, patient)  # some may have been opened meanwhile
            if closed:
                self._task.start(assigning(closed, patient))

    def _on_done(self, changed: Any) -> None:
        self._go_on()
        self.done.emit(changed)

    def _on_failed(self, error: Any) -> None:
        self._go_on()
        self.failed.emit(error)
