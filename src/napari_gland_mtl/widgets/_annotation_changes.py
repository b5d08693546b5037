"""Names and patients of areas, and their removal: in memory at once, on disk one after the other.

Two that write the same area at the same time would take each other for another window, and the
area would be copied. So what an open or just closed area is told goes into its next save, and all
else is written in one queue, in which nothing is begun while an area is made or opened. It belongs
to the window: a dock that is closed takes nothing with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from ._annotate_files import Identity, changing, removing, restoring
from ._annotation_area import OpenArea
from ._annotation_queue import LONGEST_S, Work, WriteQueue
from ._annotation_store import Snapshot
from ._job_bridge import JobBridge

if TYPE_CHECKING:
    from ._annotation_session import OpenAnnotations


@dataclass(frozen=True)
class _Request:
    what: str
    identity: Identity
    name: str = ""
    update: dict[str, Any] = field(default_factory=dict)
    area: OpenArea | None = None


class AreaChanges(QObject):
    """Changes areas, whether they are open or not.

    Parameters
    ----------
    session : OpenAnnotations
        Of which it is a part.

    Attributes
    ----------
    done, failed : Signal(object)
        What became of an area on disk (`Changed`), or an error.
    idle : Signal
        Nothing is left to be written.
    """

    done = Signal(object)
    failed = Signal(object)
    idle = Signal()

    def __init__(self, session: OpenAnnotations) -> None:
        super().__init__(session)
        self._session = session
        self._going: set[Identity] = set()
        self.queue = WriteQueue()
        self.bridge = JobBridge(self)
        self.bridge.event_arrived.connect(self._report)
        self.bridge.ended.connect(self._go_on)

    @property
    def writing(self) -> bool:
        """Whether areas are written; may be asked from any thread."""
        return self.bridge.running

    @property
    def running(self) -> bool:
        """Whether something is written, or still has to be."""
        return self.writing or self.queue.waiting

    # ---------------------------------------------------------------- what is asked for

    def going(self, area: Identity) -> bool:
        """Whether an area is about to be removed."""
        return area in self._going

    def rename(self, area: Identity, name: str) -> None:
        """Give an area another name."""
        self._ask(_Request("renamed", area, name, {"name": name}))

    def assign(self, areas: Iterable[Identity], patient: str) -> None:
        """Say whose tissue areas show."""
        for area in areas:
            self._ask(_Request("assigned", area, patient, {"patient": patient}))

    def remove(self, area: Identity, name: str) -> None:
        """Remove an area, with its last strokes; it can be restored."""
        if area not in self._going:
            self._going.add(area)
            self._ask(_Request("removed", area, name))

    def restore(self, area: Identity, name: str) -> None:
        """Bring back an area that was removed."""
        self._ask(_Request("restored", area, name))

    # ---------------------------------------------------------------- when

    def hold(self) -> None:
        """Begin to write nothing: an area is made or opened."""
        self.queue.hold()

    def release(self, *_: Any) -> None:
        """Write what has waited, as far as it is not of an area that is open now."""
        waited = self.queue.release()
        for work in waited:
            self._ask(work.request)
        if waited:
            self._go_on()

    def finish(self) -> None:
        """Write all of it, and return when that is done.

        Raises
        ------
        GlandMTLError
            If something could not be written, or not in time.
        """
        try:
            self.queue.finish(LONGEST_S)
        finally:
            self._report()
            self._go_on()

    # ---------------------------------------------------------------- inside

    def _ask(self, request: _Request) -> None:
        if request.update and self._session.change(*request.identity, **request.update):
            return
        if request.what == "removed":
            work = self._removal(request)
        elif request.what == "restored":
            work = Work(request.identity, restoring(request.identity, request.name), request)
        else:
            change = changing(request.what, request.identity, request.update)
            work = Work(request.identity, change, request)
        self.queue.add(work)
        self._start()

    def _removal(self, request: _Request) -> Work:
        area = self._session.in_memory(*request.identity)
        request = replace(request, area=area)
        if area is None:
            return Work(request.identity, removing(request.identity, request.name), request)
        area.state.hold()
        run = removing(request.identity, request.name, area.store, _last_strokes(area))
        return Work(request.identity, run, request)

    def _start(self) -> None:
        if self.queue.waiting and not (self.queue.held or self.writing):
            self.bridge.start(self.queue.job, "gland-mtl areas")

    def _go_on(self, *_: Any) -> None:
        self._start()
        if not self.running:
            self.idle.emit()

    def _report(self, *_: Any) -> None:
        for work, outcome in self.queue.outcomes():
            request = work.request
            if request.what == "removed":
                self._going.discard(request.identity)
            failed = isinstance(outcome, BaseException)
            if request.area is not None:
                self._end_removal(request.area, failed)
            (self.failed if failed else self.done).emit(outcome)

    def _end_removal(self, area: OpenArea, failed: bool) -> None:
        if failed:
            area.state.release()  # it is saved again
        else:
            self._session.close(area, save=False)


def _last_strokes(area: OpenArea) -> Snapshot | None:
    try:
        return area.snapshot()
    except (ValueError, MemoryError):  # it is removed as it was saved last
        return None
