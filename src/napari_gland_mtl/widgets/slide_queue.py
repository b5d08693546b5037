"""“Segment slides”: many slides, one after another, with the same settings.

The dock keeps a list of slides and how far each of them is. The work is `jobs.segment_batch`'s:
what is complete is left alone, what was begun is gone on with, and a slide that fails does not
keep the others waiting.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QSize, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from ..errors import GlandMTLError, InvalidInputError
from ..jobs.events import Event, JobFailed
from ..jobs.runner import JobState, JobStatus
from . import _slide_layers
from ._error_text import error_text
from ._job_bridge import JobBridge
from ._message_box import MessageBox
from ._queue_inputs import QueueInputs
from ._queue_job import QueueRequest, SlideRefused, SlideSeen, look_job, queue_job
from ._queue_progress import QueueProgress
from ._result_text import duration_text
from ._run_panel import RunPanel
from ._scrolling import scrolling
from ._slide_table import QueuedSlide

logger = logging.getLogger(__name__)

PLUGIN = "napari-gland-mtl"
RESULTS = "gland-results"
MIN_WIDTH, PREFERRED_WIDTH = 340, 440


class SlideQueueWidget(QWidget):
    """The dock widget “Segment slides”.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Results are opened in it.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("segment_slides")
        self._viewer = napari_viewer
        self._to_look_at: list[Path] = []
        self._refused: list[str] = []
        self._report: Path | None = None
        self.inputs = QueueInputs()
        self.table = self.inputs.table
        self.run_panel = RunPanel()
        self.run_panel.set_run_text("Start")
        self.run_panel.cancel_button.setText("Stop")
        self.message = MessageBox()
        self._arrange()
        self._bridge = JobBridge(self)
        self._looking = JobBridge(self)
        self._progress: QueueProgress | None = None
        self._connect()

    # ---------------------------------------------------------------- building

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        column.addWidget(self.inputs, 1)
        column.addWidget(self.run_panel)
        column.addWidget(self.message)
        scroll = scrolling(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for the list."""
        return QSize(PREFERRED_WIDTH, 700)

    def _connect(self) -> None:
        for signal, slot in (
            (self.inputs.add_slides_clicked, self._ask_for_slides),
            (self.inputs.add_folder_clicked, self._ask_for_folder),
            (self.inputs.model_chooser.failed, self.message.show_error),
            (self.table.open_clicked, self.open_result),
            (self.run_panel.run_clicked, self.start),
            (self.run_panel.cancel_clicked, self._bridge.cancel),
            (self._looking.event_arrived, self._on_looked),
            (self._looking.ended, self._on_looking_ended),
            (self._bridge.event_arrived, self._on_event),
            (self._bridge.ended, self._on_ended),
        ):
            signal.connect(slot)
        self.destroyed.connect(
            partial(
                _undo,
                [self._bridge.disconnect_application, self._looking.disconnect_application],
            )
        )

    # ---------------------------------------------------------------- the list

    @property
    def running(self) -> bool:
        """Whether slides are segmented, or files looked at."""
        return self._bridge.running or self._looking.running

    def add(self, paths: Sequence[str | Path]) -> None:
        """Add files, and the images in folders; they are looked at in a thread.

        Parameters
        ----------
        paths : sequence of path
        """
        self._to_look_at += [Path(path) for path in paths]
        if self._to_look_at and not self._looking.running:
            found, self._to_look_at = self._to_look_at, []
            self._refused = []
            self._looking.start(look_job(found), "gland-mtl look")

    def open_result(self, row: int) -> None:
        """Show the result of a slide in the viewer."""
        slide = self.table.slides[row]
        if slide.result is None or not slide.result.exists():
            self.message.show_notice(f"{slide.path.name} has no result yet.")
            return
        try:
            self._viewer.open(str(slide.result), plugin=PLUGIN)
        except (GlandMTLError, OSError, ValueError) as error:
            self.message.show_error(str(error))
        else:
            _slide_layers.adopt_opened_stores(self._viewer)

    def _ask_for_slides(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add slides")
        self.add(chosen)

    def _ask_for_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add all slides of a folder")
        if chosen:
            self.add([chosen])

    def _on_looked(self, event: Event) -> None:
        if isinstance(event, SlideSeen):
            self.table.add(QueuedSlide(event.path, event.pixels, event.mpp, event.note))
        elif isinstance(event, SlideRefused):
            self._refused.append(f"{event.path.name} was not added: {event.reason}")
        elif isinstance(event, JobFailed):
            self._refused.append(error_text(event.error))

    def _on_looking_ended(self, status: JobStatus) -> None:
        if self._refused:
            self.message.show_error("\n".join(self._refused))
        if self.table.slides and self.inputs.folder is None:
            self.inputs.set_folder(_results_folder(self.table.slides[0].path))
        self.add([])

    # ---------------------------------------------------------------- running

    def start(self) -> None:
        """Segment all slides of the list, in a thread."""
        if self._bridge.running:
            return
        self.message.clear_message()
        try:
            request = self._request()
        except GlandMTLError as error:
            self.message.show_error(str(error))
            return
        self._progress = QueueProgress(self.table, self.run_panel)
        self._progress.begin()
        self._enable(False)
        self.run_panel.show_busy("Starting")
        self._bridge.start(queue_job(request), "gland-mtl slides")

    def _request(self) -> QueueRequest:
        slides, folder = self.table.slides, self.inputs.folder
        if not slides or folder is None:
            raise InvalidInputError("There is no slide in the list. Press “Add slides…” first.")
        unknown = [slide.path.name for slide in slides if slide.needs_size]
        if unknown:
            names = ", ".join(unknown[:3]) + (" …" if len(unknown) > 3 else "")
            raise InvalidInputError(
                f"The pixel size of {names} is not known. Enter it in the column µm/px (about "
                "0.25 for a 40x scan, 0.5 for 20x), or remove the slide from the list."
            )
        return QueueRequest(
            {slide.path: slide.typed for slide in slides},
            folder,
            self.inputs.settings(),
            self.inputs.overwrite,
        )

    def _enable(self, enabled: bool) -> None:
        self.inputs.set_running(not enabled)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, JobFailed):
            if not isinstance(event.error, (GlandMTLError, ValidationError)):
                logger.error("The queue failed", exc_info=event.error)
            self.message.show_error(error_text(event.error))
        elif self._progress is not None:
            self._progress.on_event(event)

    def _on_ended(self, status: JobStatus) -> None:
        progress, self._progress = self._progress, None
        self._enable(True)
        if progress is None:
            return
        progress.end()
        failed = status.state is JobState.FAILED
        took = duration_text(status.elapsed)
        self.run_panel.show_idle("" if failed else progress.closing_words(took))
        if progress.report is not None:
            self._report = progress.report
            self.message.show_notice(
                f"Table and page of all slides are in {self._report.parent}.",
                "Show the page",
                self._show_report,
            )

    def _show_report(self) -> None:
        if self._report is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._report)))


def _results_folder(slide: Path) -> Path:
    """A folder beside the first slide, or in the user's own where that cannot be written to."""
    folder = slide.absolute().parent
    return (folder if os.access(folder, os.W_OK) else Path.home()) / RESULTS


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
