"""Collects Python's garbage in the GUI thread while a job runs in another.

Python looks for cycles of references that nobody needs in whichever thread happens to allocate.
Cycles that hold parts of a closed window would so be destroyed in the thread of a job, while the
GUI thread may be delivering an event to one of them: the process dies (napari issue 1029). So,
while a job runs, Python is told not to look by itself, and a timer of the application does it.

It is told by the limits of the collection. The switch, `gc.disable`, is no good: dask sets it at
every slice of an array, to what it was when dask was imported.

What this costs: as long as the GUI thread itself is busy without a pause (a long loop in napari's
console), a job that runs beside it keeps that loop's cycles from being collected.
"""

from __future__ import annotations

import gc
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer

from ..jobs.runner import JobRunner

INTERVAL_MS = 100
CLOSING_WAIT_S = 10.0
"""How long the end of a job is waited for when its window or the application goes away."""

GROWTH = 1.25
"""By how much the objects of the oldest generation grow until all of them are looked at, as that
takes tenths of a second with a window open. After Python's own rule (``long_lived_pending``)."""

PATIENCE = 10
"""The least number of collections between two counts of them, which take a while, too."""


def collect_in_this_thread(runner: JobRunner) -> None:
    """Call this in the GUI thread before `runner` is started: none but it collects until it ends.

    Whoever has switched the collection off, by `gc.disable` or a limit of 0, has none here either.
    """
    application = QCoreApplication.instance()
    found = application.findChild(_Collector)
    collector = _Collector(application) if found is None else found
    collector.hold(runner)


class _Limits:
    """Those of the time without a job, kept apart from Qt objects, which may be gone first."""

    kept: tuple[int, int, int] | None = None

    def take(self) -> None:
        """Keep Python from collecting by itself."""
        if self.kept is None and gc.get_threshold()[0] > 0:
            self.kept = gc.get_threshold()
            gc.set_threshold(0, *self.kept[1:])

    def give_back(self, *_: Any) -> None:
        """As before, unless somebody has set others meanwhile."""
        if self.kept is not None and gc.get_threshold()[0] == 0:
            gc.set_threshold(*self.kept)
        self.kept = None


_limits = _Limits()


class _Collector(QObject):
    """The one of the application."""

    def __init__(self, application: QCoreApplication) -> None:
        super().__init__(application)
        self._runners: list[JobRunner] = []
        self._oldest: int | None = None
        self._patience = PATIENCE
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._look)
        application.aboutToQuit.connect(self._end_all)
        application.destroyed.connect(_limits.give_back)

    def hold(self, runner: JobRunner) -> None:
        """Keep Python from collecting by itself until this one and all others have ended."""
        self._runners.append(runner)
        if not self._timer.isActive():
            _limits.take()
            self._start_over()
            self._timer.start()

    def _look(self) -> None:
        self._runners = [runner for runner in self._runners if not runner.wait(0)]
        if not self._runners:
            self._timer.stop()
            _limits.give_back()
        elif _limits.kept is not None and gc.isenabled():
            self._collect(_limits.kept)

    def _collect(self, limits: tuple[int, int, int]) -> None:
        """Collect the oldest generation that is due, and the younger ones with it."""
        counts = gc.get_count()
        if counts[2] > self._patience and self._has_grown():
            gc.collect(2)
            self._start_over()
        elif counts[1] > limits[1]:
            gc.collect(1)
        elif counts[0] > limits[0]:
            gc.collect(0)

    def _has_grown(self) -> bool:
        """Whether the oldest generation is worth a look; what it is compared with is counted here,
        too, so that short jobs pay for no count.
        """
        self._patience += _patience()
        count = len(gc.get_objects(generation=2))
        if self._oldest is None:
            self._oldest = count
        return count > GROWTH * self._oldest

    def _start_over(self) -> None:
        self._oldest, self._patience = None, _patience()

    def _end_all(self) -> None:
        """Before Python may collect again; a window ends its own jobs, in whatever order."""
        for runner in self._runners:
            runner.cancel()
        for runner in self._runners:
            runner.wait(CLOSING_WAIT_S)
        self._look()


def _patience() -> int:
    return max(gc.get_threshold()[2], PATIENCE)
