"""Brings the events of a job thread to the GUI thread.

A job runs in a thread of `jobs.runner`; a timer of the window empties its queue some twenty times
a second and emits Qt signals. When the window goes away in mid-run, the job is stopped and its
thread waited for, whoever else still holds the widget.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from ..jobs.runner import Job, JobRunner, JobStatus
from ._garbage import CLOSING_WAIT_S, collect_in_this_thread

POLL_MS = 50


class _Current:
    """Holds the running job apart from the Qt object, which is gone when it is needed."""

    runner: JobRunner | None = None

    def stop_and_wait(self, *_: Any) -> None:
        """Stop the job and wait for its thread: a tile at the most."""
        if self.runner is not None and self.runner.running:
            self.runner.cancel()
            self.runner.wait(CLOSING_WAIT_S)


def _stop(current: _Current, *_: Any) -> None:
    current.stop_and_wait()


class JobBridge(QObject):
    """Runs one job at a time and reports on it in the GUI thread.

    Parameters
    ----------
    parent : QWidget
        The job ends with it.
    """

    event_arrived = Signal(object)
    progressed = Signal(object)
    ended = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._current = _Current()
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        # A partial is held strongly, unlike a method of a widget that is being destroyed.
        self._closing = partial(_stop, self._current)
        parent.destroyed.connect(self._closing)
        QCoreApplication.instance().aboutToQuit.connect(self._closing)

    @property
    def running(self) -> bool:
        """Whether a job runs whose end has not been reported."""
        return self._current.runner is not None

    def start(self, job: Job, name: str) -> None:
        """Run a job; does nothing while another runs."""
        if self.running:
            return
        runner = JobRunner(job, name=name)
        collect_in_this_thread(runner)
        self._current.runner = runner
        runner.start()
        self._timer.start()

    def cancel(self) -> None:
        """Ask the job to stop; `ended` follows when it has."""
        if self._current.runner is not None:
            self._current.runner.cancel()

    def pause(self) -> None:
        """Ask the job to wait at its next step; it keeps what it holds."""
        if self._current.runner is not None:
            self._current.runner.pause()

    def go_on(self) -> None:
        """End a pause."""
        if self._current.runner is not None:
            self._current.runner.go_on()

    def disconnect_application(self) -> None:
        """Undo the connection to the application's end, which outlives this object."""
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.disconnect(self._closing)

    def _poll(self) -> None:
        runner = self._current.runner
        if runner is None:
            return
        status: JobStatus = runner.status
        for event in runner.poll():
            self.event_arrived.emit(event)
        self.progressed.emit(status)
        if status.state.ended:
            self._timer.stop()
            self._current.runner = None
            self.ended.emit(status)
