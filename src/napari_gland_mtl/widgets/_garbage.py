"""Collects Python's garbage in the GUI thread alone while a job runs in another.

Python looks for cycles of references that nobody needs in whichever thread happens to allocate.
Cycles that hold parts of a closed window would so be destroyed in the thread of a job, while the
GUI thread may be delivering an event to one of them: the process dies (napari issue 1029). So,
while a job runs, Python is told not to look by itself, and a timer of the window does it.
"""

from __future__ import annotations

import gc

from qtpy.QtCore import QCoreApplication, QObject, QTimer

from ..jobs.runner import JobRunner

INTERVAL_MS = 100
GROWTH = 1.25
"""By how much the objects of the oldest generation grow until all of them are looked at, as that
takes tenths of a second with a window open: Python's own rule (``long_lived_pending``)."""


def collect_in_this_thread(runner: JobRunner) -> None:
    """Call this in the GUI thread before `runner` is started: none but it collects until it ends.

    Nothing is done for whoever has switched the collection off himself.
    """
    application = QCoreApplication.instance()
    found = application.findChild(_Collector)
    collector = _Collector(application) if found is None else found
    collector.hold(runner)


class _Collector(QObject):
    """The one of the application."""

    def __init__(self, application: QCoreApplication) -> None:
        super().__init__(application)
        self._runners: list[JobRunner] = []
        self._oldest = self._patience = 0
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._look)
        application.aboutToQuit.connect(self._give_back)

    def hold(self, runner: JobRunner) -> None:
        """Switch the collection by itself off until this one and all others have ended."""
        if not self._runners:
            if not gc.isenabled():
                return
            gc.disable()
            self._start_over()
            self._timer.start()
        self._runners.append(runner)

    def _look(self) -> None:
        self._runners = [runner for runner in self._runners if not runner.wait(0)]
        if self._runners:
            self._collect()
        else:
            self._give_back()

    def _collect(self) -> None:
        """Collect the oldest generation that is due, and the younger ones with it."""
        counts, limits = gc.get_count(), gc.get_threshold()
        if counts[2] > self._patience and self._has_grown():
            gc.collect(2)
            self._start_over()
        elif counts[1] > limits[1]:
            gc.collect(1)
        elif counts[0] > limits[0]:
            gc.collect(0)

    def _has_grown(self) -> bool:
        """Whether the oldest generation is worth a look; to count it takes a while, too."""
        self._patience += gc.get_threshold()[2]
        return _count_oldest() > GROWTH * self._oldest

    def _start_over(self) -> None:
        self._oldest = _count_oldest()
        self._patience = gc.get_threshold()[2]

    def _give_back(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            self._runners = []
            gc.enable()


def _count_oldest() -> int:
    return len(gc.get_objects(generation=2))
