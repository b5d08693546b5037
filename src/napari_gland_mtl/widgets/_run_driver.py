"""Carries a run out: its job in a thread, its layers piece by piece, its words in the dock.

What a run shows is shown between turns of the window's thread, so the job may be over before all
is there: a run has ended when both are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from ..errors import GlandMTLError
from ..jobs.events import Event, JobFailed, Notice, Stage, Started, TileDone
from ..jobs.runner import JobState, JobStatus
from . import _layers
from ._error_text import UNCHANGED, error_text
from ._job_bridge import JobBridge
from ._message_box import MessageBox
from ._run import Run
from ._run_panel import RunPanel
from ._turns import Turns

logger = logging.getLogger(__name__)


class RunDriver(QObject):
    """One run at a time.

    Parameters
    ----------
    dock : QWidget
        Of which it is a part.
    panel : RunPanel
        Shows how far it is.
    message : MessageBox

    Attributes
    ----------
    busy : Signal(bool)
        A run has begun, or is over.
    shown : Signal
        What there was to show is in the viewer; of an ended run, all of it.
    ended : Signal
        A run is over and its closing words are there.
    """

    busy = Signal(bool)
    shown = Signal()
    ended = Signal()

    def __init__(self, dock: QWidget, panel: RunPanel, message: MessageBox) -> None:
        super().__init__(dock)
        self._panel, self._message = panel, message
        self._run: Run | None = None
        self._status: JobStatus | None = None
        self.bridge = JobBridge(self)
        self.turns = Turns(self)
        panel.cancel_clicked.connect(self.bridge.cancel)
        self.bridge.event_arrived.connect(self._on_event)
        self.bridge.progressed.connect(panel.show_status)
        self.bridge.ended.connect(self._on_job_ended)
        self.turns.failed.connect(self._on_failed)
        self.turns.ended.connect(self._on_shown)

    @property
    def running(self) -> bool:
        """Whether a job runs, or its end has not been shown yet."""
        return self.bridge.running or self.turns.running or self._status is not None

    def start(self, make_run: Callable[[], Run]) -> None:
        """Begin a run, unless one is under way; what is wrong with the inputs is said."""
        if self.running:
            return
        self._message.clear_message()
        try:
            self._run = make_run()
        except GlandMTLError as error:
            self._message.show_error(str(error))
            return
        self.busy.emit(True)
        self._panel.show_busy(self._run.first_words, self._run.cancellable)
        self.bridge.start(self._run.job, name=self._run.name)

    def look_after(self, viewer: Any) -> None:
        """Stop if the image that the run is about was removed."""
        run = self._run
        if run is not None and run.image is not None and not _layers.is_open(viewer, run.image):
            run.on_image_removed()
            run.image = None
            self.bridge.cancel()

    def forget_words(self) -> None:
        """Another image was chosen, of which the closing words of the last run say nothing."""
        if not self.running:
            self._panel.show_idle()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._panel.show_total(event.total)
        elif isinstance(event, TileDone):
            self._panel.show_tiles(event.done, event.total)
        elif isinstance(event, Stage):
            self._panel.show_stage(event.text)
        elif isinstance(event, JobFailed):
            self._on_failed(event.error)
        elif self._run is not None:
            self._pass_on(self._run, event)

    def _pass_on(self, run: Run, event: Event) -> None:
        known = list(run.notices)
        try:
            if isinstance(event, Notice):
                run.notice(event.text)
            else:
                run.on_event(event)
        except (GlandMTLError, ValueError, MemoryError) as error:
            self._on_failed(error)
            return
        while run.showing:
            self.turns.add(run.showing.popleft())
        if run.share is not None:
            self._panel.show_share(run.share)
        if run.notices != known:
            self._message.show_notice("\n".join(run.notices))

    def _on_job_ended(self, status: JobStatus) -> None:
        """The job is done; the run is when all is shown."""
        self._status = status
        if not self.turns.running:
            self._finish(status)

    def _on_shown(self) -> None:
        self.shown.emit()
        if self._status is not None:
            self._finish(self._status)

    def _finish(self, status: JobStatus) -> None:
        run, self._run = self._run, None
        self._status = None
        self.busy.emit(False)
        if run is None:
            return
        run.on_ended(status)
        failed = status.state is JobState.FAILED
        self._panel.show_idle("" if failed else run.closing_words(status))
        self.ended.emit()
        if failed and run.notices:
            self._message.show_error("\n".join([self._message.text(), *run.notices]))
        elif run.notices:
            self._message.show_notice("\n".join(run.notices), *(run.offer or ()))

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("The job failed", exc_info=error)
        kept = UNCHANGED if self._run is None else self._run.kept
        self._message.show_error(error_text(error, kept))
