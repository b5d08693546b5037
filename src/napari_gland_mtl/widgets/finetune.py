"""“Fine-tune”: a better model from a few annotated areas, in one dock.

Tick areas, press Start, watch it learn. The work is `jobs.finetune`'s; here its events become
words, a preview and, at the end, a model that every dock can choose. All else is elsewhere:
`_finetune_inputs` asks, `_finetune_panel` shows how far it is, `_finetune_result` what it brought.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..errors import GlandMTLError, InvalidInputError
from ..jobs.events import JobFailed, ModelInstalled, PreviewReady, Stage
from ..jobs.runner import Job, JobState, JobStatus
from . import _layers
from ._drawing_guard import DrawingGuard
from ._error_text import error_text
from ._finetune_inputs import FinetuneInputs
from ._finetune_job import FinetuneRequest, finetune_job, resume_job
from ._finetune_offer import ResumeOffer, put_away, take_back
from ._finetune_panel import FinetunePanel
from ._finetune_preview import PreviewFollower
from ._finetune_projects import AreaSource, OpenProjects
from ._finetune_result import FinetuneResult
from ._finetune_words import TrainingSeen, closing_words
from ._job_bridge import JobBridge
from ._message_box import MessageBox
from ._other_docks import open_dock
from ._scrolling import scrolling
from ._view import main_window

logger = logging.getLogger(__name__)

MIN_WIDTH, PREFERRED_WIDTH = 340, 500
REFRESH_S = 2.0
THREAD = "gland-mtl finetune"
WEIGHTS_HELP = "Open the dock that draws the losses and how much each of them counts."
NO_WEIGHTS = "There is no training yet whose losses could be drawn. Press Start first."


class FinetuneWidget(QWidget):
    """The dock widget “Fine-tune”.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Annotated areas of its open slides are offered; the preview is shown in it.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("fine_tune")
        self._viewer = napari_viewer
        self._seen: TrainingSeen | None = None
        self._last_folder: Path | None = None
        self._stopped_here = False
        self._shown_at, self._shown_phase = 0.0, (JobState.WAITING, False)
        self._guard: DrawingGuard | None = None
        self.offer = ResumeOffer()
        self.inputs = FinetuneInputs()
        self.table = self.inputs.table
        self.panel = FinetunePanel()
        self.message = MessageBox()
        self.result = FinetuneResult()
        self.weights_button = self._create_weights_button()
        self._arrange()
        self._bridge = JobBridge(self)
        self.source = AreaSource(OpenProjects(napari_viewer), self)
        self.preview = PreviewFollower(napari_viewer, self)
        self._connect()

    # ---------------------------------------------------------------- building

    def _create_weights_button(self) -> QPushButton:
        button = QPushButton("Show loss weights")
        button.setObjectName("weights_button")
        return button

    def _show_weights_button(self) -> None:
        """Whether there is, or is about to be, a training whose losses could be drawn."""
        from ..jobs.runs import list_runs

        there = self.running or bool(list_runs())
        self.weights_button.setEnabled(there)
        self.weights_button.setToolTip(WEIGHTS_HELP if there else NO_WEIGHTS)

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for widget in (self.offer, self.inputs, self.result, self.weights_button):
            column.addWidget(widget)
        column.addStretch(1)
        self.scroll = scrolling(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 6)
        layout.addWidget(self.scroll, 1)
        # The buttons stay in sight however much is unfolded, and what is wrong is beside them.
        foot = QVBoxLayout()
        foot.setContentsMargins(6, 0, 6, 0)
        foot.addWidget(self.message)
        foot.addWidget(self.panel)
        layout.addLayout(foot)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for the list."""
        return QSize(PREFERRED_WIDTH, 720)

    def _connect(self) -> None:
        for signal, slot in (
            (self.inputs.add_clicked, self._ask_for_project),
            (self.inputs.annotate_clicked, self._open_annotate),
            (self.inputs.model_chooser.failed, self.message.show_error),
            (self.source.changed, self._show_areas),
            (self.offer.resume_clicked, self.resume),
            (self.panel.start_clicked, self.start),
            (self.panel.pause_clicked, self._bridge.pause),
            (self.panel.go_on_clicked, self._bridge.go_on),
            (self.panel.stop_clicked, self.stop),
            (self.result.use_clicked, self._use_model),
            (self.result.go_on_clicked, self._go_on_training),
            (self.weights_button.clicked, lambda *_: self._show_weights()),
            (self._bridge.event_arrived, self._on_event),
            (self._bridge.progressed, self._on_progress),
            (self._bridge.ended, self._on_ended),
        ):
            signal.connect(slot)
        self._watch = _layers.LayerWatch(self._viewer, self._on_layers_changed, _nothing)
        self.destroyed.connect(
            partial(
                _undo,
                [
                    self._watch.disconnect,
                    self._bridge.disconnect_application,
                    self.source.bridge.disconnect_application,
                ],
            )
        )

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the projects while somebody looks."""
        super().showEvent(event)
        self._guard = self._guard or DrawingGuard(self._viewer, main_window(self))
        self.source.follow(True)
        if not self.running:
            self.offer.refresh()
        self._show_weights_button()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Nobody looks."""
        super().hideEvent(event)
        self.source.follow(False)

    # ---------------------------------------------------------------- areas

    def add_project(self, path: str | Path) -> None:
        """List the areas of a project, or of all projects in a folder."""
        self.message.clear_message()
        try:
            self.source.add(Path(path))
        except (GlandMTLError, OSError) as error:
            self.message.show_error(str(error))

    def _ask_for_project(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Add annotations")
        if chosen:
            self.add_project(chosen)

    def _on_layers_changed(self, event: Any = None) -> None:
        self.source.on_layers_changed()

    def _show_areas(self) -> None:
        if not self.running:
            self.table.show_areas(self.source.areas)
        if self.source.problems:
            self.message.show_error("\n".join(self.source.problems))

    # ---------------------------------------------------------------- running

    @property
    def running(self) -> bool:
        """Whether a model is trained, or its end has not been shown yet."""
        return self._bridge.running

    def start(self) -> None:
        """Fine-tune the start model on the ticked areas, in a thread."""
        if self.running:
            return
        self.message.clear_message()
        try:
            self.source.save_and_look()
            request = self._request()
        except (GlandMTLError, ValidationError) as error:
            self.message.show_error(error_text(error, ""))
            return
        seen = TrainingSeen(request.settings["name"], request.folder)
        seen.epochs = int(request.settings["epochs"])
        self._begin(seen, finetune_job(request, self.preview.begin(seen.name)))

    def resume(self, folder: Path) -> None:
        """Go on with a training that was stopped or cut off."""
        from ..jobs.runs import run_entry

        if self.running:
            return
        self.message.clear_message()
        take_back(folder)
        run = run_entry(folder)
        seen = TrainingSeen(run.name, folder, epoch=run.epoch, epochs=run.epochs)
        self._begin(seen, resume_job(folder, self.preview.begin(seen.name)))

    def stop(self) -> None:
        """End the training; its best model so far is kept."""
        self._stopped_here = True
        self._bridge.cancel()

    def _begin(self, seen: TrainingSeen, job: Job) -> None:
        self._seen, self._last_folder = seen, seen.folder
        self._stopped_here = False
        self.offer.hide()
        self.result.hide()
        self.inputs.set_running(True)
        self.panel.show_busy("Starting")
        self.preview.follow(self.inputs.settings.preview)
        self._bridge.start(job, THREAD)
        self._show_weights_button()

    def _request(self) -> FinetuneRequest:
        from ..jobs.finetune_config import FinetuneConfig
        from ..jobs.runs import new_run_folder

        plan = self.table.plan()
        training = tuple(key for key, part in plan.items() if part == "training")
        if not training:
            raise InvalidInputError(_nothing_to_learn(bool(self.table.areas), bool(plan)))
        problem = self.inputs.settings.problem()
        if problem:
            raise InvalidInputError(problem)
        name = self.inputs.name()
        settings = {
            **self.inputs.settings.values(),
            "start": self.inputs.model_chooser.model(),
            "name": name,
        }
        FinetuneConfig(**settings)
        validation = tuple(key for key, part in plan.items() if part == "validation")
        return FinetuneRequest(new_run_folder(name), training, validation, settings)

    # ---------------------------------------------------------------- what the job says

    def _on_event(self, event: Any) -> None:
        seen = self._seen
        if seen is None:
            return
        known = list(seen.notices)
        seen.take(event)
        if isinstance(event, JobFailed):
            self._on_failed(event.error)
        elif isinstance(event, Stage):
            self.panel.show_stage(event.text)
        elif isinstance(event, PreviewReady):
            self.preview.show(event)
        elif isinstance(event, ModelInstalled):
            self.inputs.model_chooser.refresh()
        if seen.notices != known:
            self.message.show_notice("\n".join(seen.notices))

    def _on_progress(self, status: JobStatus) -> None:
        """Show how far it is, seldom enough: each repaint takes time from the training.

        Without a graphics card, showing one changed label takes some 20 ms: with a canvas of
        OpenGL in it, the window is put together anew as a whole.
        """
        seen = self._seen
        if seen is None or status.state.ended:
            return
        phase = status.state, bool(seen.steps)
        if phase == self._shown_phase and time.monotonic() - self._shown_at < REFRESH_S:
            return
        self._shown_at, self._shown_phase = time.monotonic(), phase
        if seen.steps:
            self.panel.show_step(seen.epoch, seen.epochs, seen.step, seen.steps)
            self.panel.show_losses(seen.losses)
            self.panel.show_measures(seen.measures or seen.start, seen.start)
        self.panel.show_status(status)

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("The training failed", exc_info=error)
        kept = "What was learned before is in the run folder and can be resumed."
        self.message.show_error(error_text(error, kept))

    def _on_ended(self, status: JobStatus) -> None:
        seen, self._seen = self._seen, None
        self.preview.end()
        self.inputs.set_running(False)
        if seen is None:
            return
        self.panel.show_idle(closing_words(seen, status))
        self.table.show_areas(self.source.areas)
        if seen.installed:
            stopped = status.state is JobState.STOPPED
            self.result.show_model(seen.installed, seen.start, seen.best or seen.measures, stopped)
            self.inputs.forget_name()
            QTimer.singleShot(0, self._show_result)
        if status.state is JobState.STOPPED and self._stopped_here:
            put_away(seen.folder)
        self.offer.refresh()
        self._show_weights_button()

    def _show_result(self) -> None:
        self.scroll.ensureWidgetVisible(self.result)

    # ---------------------------------------------------------------- other docks

    def _open_annotate(self) -> None:
        open_dock(self._viewer, self, "Annotate glands")

    def _use_model(self) -> None:
        dock = open_dock(self._viewer, self, "Segment glands")
        name = self.result.model
        if not dock.inputs.model_chooser.choose(name):
            self.message.show_error(f"The model “{name}” is no longer in the list.")

    def _show_weights(self) -> None:
        dock = open_dock(self._viewer, self, "Loss weights", below=True)
        if self._last_folder is not None and self._last_folder.is_dir():
            dock.show_run(self._last_folder)

    def _go_on_training(self) -> None:
        if self._last_folder is not None:
            self.resume(self._last_folder)


def _nothing_to_learn(listed: bool, ticked: bool) -> str:
    if ticked:
        return (
            "All ticked areas are for validation, so there is nothing to learn from. Set at least "
            "one to “training” or “auto”."
        )
    if listed:
        return "No area is ticked. Tick the areas that the model is to learn from."
    return (
        "There are no annotated areas. Open a slide and annotate a few glands with “Annotate…”, "
        "or press “Add project…”."
    )


def _nothing(*_: Any) -> None:
    """Whatever is selected makes no difference here."""


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
