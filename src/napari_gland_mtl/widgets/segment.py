"""“Segment glands”: from an image layer to regions, glands and a table, in one dock.

The dock asks for what is needed from top to bottom (image, pixel size, part, model), runs the
job in a thread and shows what was found. All else is elsewhere: `_segment_inputs` asks, a run
(`_field_run`, `_slide_run`) shows its result, `_layers` and `_slide_layers` change the viewer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QSize
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from ..errors import GlandMTLError
from ..export.ome_zarr import ATTRIBUTE
from ..export.uncertainty_map import UNCERTAINTY
from ..jobs.events import Event, JobFailed, Notice, Stage, Started, TileDone
from ..jobs.runner import JobState, JobStatus
from . import _layers, _slide_layers, _way
from ._drawing_guard import DrawingGuard
from ._error_text import UNCHANGED, error_text
from ._field_run import FieldRun
from ._gland_table import open_gland_table
from ._image_source import image_source
from ._job_bridge import JobBridge
from ._least_certain import ResultTable, field_table, slide_table
from ._live_refresh import LiveRefresh
from ._message_box import MessageBox
from ._other_docks import open_dock
from ._output_state import Action, with_suffix
from ._result_panel import ResultPanel
from ._run import Run, SaveRun
from ._run_panel import RUN, RunPanel
from ._scrolling import scrolling
from ._segment_inputs import SegmentInputs
from ._segment_job import SegmentRequest, save_job, segmentation_job
from ._slide_job import SlideRequest, open_job, slide_job
from ._slide_result_panel import SlideResultPanel
from ._slide_run import OpenRun, SlideRun
from ._tissue_preview import TissuePreview
from ._turns import Turns
from ._view import main_window

logger = logging.getLogger(__name__)

SUFFIX = ".ome.zarr"
MIN_WIDTH, PREFERRED_WIDTH = 320, 360
BUTTON_TEXTS = {Action.RESUME: "Resume", Action.OPEN: "Open result"}


class SegmentWidget(QWidget):
    """The dock widget “Segment glands”.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose images are segmented.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("segment_glands")
        self._viewer = napari_viewer
        self._run: Run | None = None
        self._described: list[Any] = []
        self.inputs = SegmentInputs(napari_viewer)
        self.run_panel = RunPanel()
        self.message = MessageBox()
        self.result = ResultPanel()
        self.slide_result = SlideResultPanel()
        self._arrange()
        self._bridge = JobBridge(self)
        self._turns = Turns(self)
        self._ended: JobStatus | None = None
        self._live = LiveRefresh(self)
        self.preview = TissuePreview(napari_viewer, self)
        self._guard: DrawingGuard | None = None
        self._connect()
        self._adopt_opened()
        self._on_image_changed()

    # ---------------------------------------------------------------- building

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for widget in (
            self.inputs,
            self.run_panel,
            self.message,
            self.slide_result,
            self.result,
        ):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = scrolling(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for the controls; high enough for a result."""
        return QSize(PREFERRED_WIDTH, 700)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """The dock is in a window now, whose drawing it may disturb by replacing layers."""
        super().showEvent(event)
        self._guard = self._guard or DrawingGuard(self._viewer, main_window(self))

    def _connect(self) -> None:
        """Connect the parts with each other; these connections end with the widget."""
        inputs = self.inputs
        for signal, slot in (
            (inputs.image_chooser.layer_changed, self._on_image_changed),
            (inputs.model_chooser.failed, self._show_error),
            (inputs.action_changed, self._show_action),
            (inputs.tissue.preview_clicked, self._preview_tissue),
            (inputs.tissue.changed, self._follow_tissue),
            (self.preview.failed, self._show_error),
            (self.run_panel.run_clicked, self.run),
            (self.run_panel.cancel_clicked, self._bridge.cancel),
            (self.result.save_clicked, self._ask_where_to_save),
            (self.result.table_clicked, self._show_table),
            (self.slide_result.table_clicked, self._show_slide_table),
            (self.result.uncertainty.first_clicked, partial(self._show_table, True)),
            (self.slide_result.uncertainty.first_clicked, partial(self._show_slide_table, True)),
            (self.result.uncertainty.next_clicked, partial(self._annotate_next, field_table)),
            (self.slide_result.uncertainty.next_clicked, partial(self._annotate_next, slide_table)),
            (self._bridge.event_arrived, self._on_event),
            (self._bridge.progressed, self.run_panel.show_status),
            (self._bridge.ended, self._on_ended),
            (self._turns.failed, self._on_failed),
            (self._turns.ended, self._on_shown),
        ):
            signal.connect(slot)
        self._watch = _layers.LayerWatch(
            self._viewer, self._on_layers_changed, self._on_layers_changed
        )

        # What lives longer than this widget must not call it when it is gone. A partial is
        # held strongly, unlike a method of a widget that is being destroyed.
        self.destroyed.connect(
            partial(
                _undo,
                [
                    self._watch.disconnect,
                    inputs.image_chooser.disconnect_events,
                    inputs.pixel_size.disconnect_events,
                    self._bridge.disconnect_application,
                    self.preview.bridge.disconnect_application,
                    self.result.uncertainty.forget_layer,
                    self.slide_result.uncertainty.forget_layer,
                ],
            )
        )

    # ---------------------------------------------------------------- running

    @property
    def running(self) -> bool:
        """Whether a job runs, or its end has not been shown yet."""
        return self._bridge.running or self._turns.running or self._ended is not None

    def run(self) -> None:
        """Segment the chosen part of the chosen image, or open its result, in a thread."""
        if not self.running:
            self._start(self._new_run)

    def save_masks(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the image with the result as it is shown, in a thread.

        Parameters
        ----------
        path : path
            The OME-Zarr folder to write.
        overwrite : bool
            Replace what is there.
        """
        if not self.running:
            self._start(lambda: self._save_run(Path(path), overwrite))

    def _new_run(self) -> Run:
        image, part = self.inputs.image(), self.inputs.part()
        source = image_source(image)
        if _way.is_field(part):
            settings = self.inputs.settings()
            job = segmentation_job(SegmentRequest(source, settings, part.window))
            return FieldRun(job, self._viewer, image, settings["mpp"])
        output, action = self.inputs.output(), self.inputs.action
        if action is Action.OPEN:
            return OpenRun(open_job(output.path, source), self._viewer, image)
        request = SlideRequest(source, self.inputs.settings(), part, output.path, action)
        self.preview.cancel()
        return SlideRun(
            slide_job(request), self._viewer, image, output.path, self._live, action.overwrites
        )

    def _save_run(self, path: Path, overwrite: bool) -> Run:
        image = self.inputs.image()
        result = _layers.result_data(self._viewer, image)
        offset = _layers.result_offset(self._viewer, image)
        return SaveRun(save_job(path, image_source(image), result, offset, overwrite), path)

    def _start(self, make_run: Callable[[], Run]) -> None:
        self.message.clear_message()
        try:
            self._run = make_run()
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self._enable(False)
        self.run_panel.show_busy(self._run.first_words, self._run.cancellable)
        self._bridge.start(self._run.job, name=self._run.name)

    def _enable(self, enabled: bool) -> None:
        """Nothing that a job was started with may change while it runs."""
        self.inputs.setEnabled(enabled)
        self.inputs.image_chooser.setEnabled(enabled)
        self.result.setEnabled(enabled)
        self.slide_result.setEnabled(enabled)

    # ---------------------------------------------------------------- what the job says

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Started):
            self.run_panel.show_total(event.total)
        elif isinstance(event, TileDone):
            self.run_panel.show_tiles(event.done, event.total)
        elif isinstance(event, Stage):
            self.run_panel.show_stage(event.text)
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
            self._turns.add(run.showing.popleft())
        if run.share is not None:
            self.run_panel.show_share(run.share)
        if run.notices != known:
            self.message.show_notice("\n".join(run.notices))

    def _on_ended(self, status: JobStatus) -> None:
        """The job is done; the dock is when all is shown."""
        self._ended = status
        if not self._turns.running:
            self._finish(status)

    def _on_shown(self) -> None:
        self._show_shown_result()
        if self._ended is not None:
            self._finish(self._ended)

    def _finish(self, status: JobStatus) -> None:
        run, self._run = self._run, None
        self._ended = None
        self._enable(True)
        if run is None:
            return
        run.on_ended(status)
        failed = status.state is JobState.FAILED
        self.run_panel.show_idle("" if failed else run.closing_words(status))
        self.inputs.output_chooser.refresh()
        self._show_shown_result()
        if failed and run.notices:
            self._show_error("\n".join([self.message.text(), *run.notices]))
        elif run.notices:
            self.message.show_notice("\n".join(run.notices), *(run.offer or ()))

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("The job failed", exc_info=error)
        kept = UNCHANGED if self._run is None else self._run.kept
        self._show_error(error_text(error, kept))

    def _show_error(self, text: str) -> None:
        self.message.show_error(text)

    # ---------------------------------------------------------------- following the viewer

    def _on_image_changed(self) -> None:
        self.inputs.set_image(self.inputs.image_chooser.layer)
        self._show_shown_result()

    def _on_layers_changed(self, event: Any = None) -> None:
        run = self._run
        needed = None if run is None else run.image
        if run is not None and needed is not None and not _layers.is_open(self._viewer, needed):
            run.on_image_removed()
            run.image = None
            self._bridge.cancel()
        self._adopt_opened()
        self.inputs.extent_chooser.refresh()
        self._show_shown_result()

    def _adopt_opened(self) -> None:
        _layers.adopt_opened_results(self._viewer)
        _slide_layers.adopt_opened_stores(self._viewer)

    def _show_action(self) -> None:
        self.run_panel.set_run_text(BUTTON_TEXTS.get(self.inputs.action, RUN))

    def _show_shown_result(self) -> None:
        """Describe what lies over the chosen image, wherever it comes from."""
        if self._turns.running:  # half of it is another result's; said when all is there
            return
        image = self.inputs.image_chooser.layer
        if image is None:
            self._described = []
            self.result.hide()
            self.slide_result.hide()
            return
        field = _layers.result_layers(self._viewer, image)
        slide = _slide_layers.slide_layers(self._viewer, image)
        # A layer of a slide stays the same one while its result grows.
        layers = [
            (layer, layer.metadata.get(ATTRIBUTE))
            for layer in (image, *field.values(), *slide.values())
        ]
        if layers == self._described:
            return
        self._described = layers
        self._describe(image)

    def _describe(self, image: Any) -> None:
        found = _layers.shown_segmentation(self._viewer, image)
        if found is None:
            self.result.hide()
        else:
            layer = _layers.result_layers(self._viewer, image).get(UNCERTAINTY)
            self.result.show_segmentation(found, layer)
        shown = _slide_layers.shown_slide(self._viewer, image)
        if shown is None:
            self.slide_result.hide()
        else:
            self.slide_result.show_slide(shown)

    # ---------------------------------------------------------------- tissue

    def _preview_tissue(self) -> None:
        """Show what is taken for tissue with the present settings."""
        settings = self.inputs.tissue.config()
        if settings is None:
            return
        self.message.clear_message()
        try:
            image, mpp = self.inputs.image(), self.inputs.pixel_size.value()
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self.preview.show(image, mpp, settings)

    def _follow_tissue(self) -> None:
        """Keep a preview that is there up to date."""
        image = self.inputs.image_chooser.layer
        if image is not None and not self.running and self.preview.is_shown(image):
            self._preview_tissue()

    # ---------------------------------------------------------------- tables, saving

    def _show_table(self, least_certain_first: bool = False) -> None:
        image = self.inputs.image_chooser.layer
        if image is not None:
            _layers.activate_glands(self._viewer, image)
            open_gland_table(self._viewer, self, least_certain_first)

    def _show_slide_table(self, least_certain_first: bool = False) -> None:
        image = self.inputs.image_chooser.layer
        if image is not None:
            _slide_layers.activate_slide_glands(self._viewer, image)
            open_gland_table(self._viewer, self, least_certain_first)

    def _annotate_next(self, table_of: Callable[[Any, Any], ResultTable | None]) -> None:
        """Let the dock “Annotate glands” make an area around the least certain gland."""
        image = self.inputs.image_chooser.layer
        glands = None if image is None else table_of(self._viewer, image)
        if glands is not None:
            self.message.clear_message()
            annotate = open_dock(self._viewer, self, "Annotate glands")
            annotate.annotate_next(image, glands, self.inputs.pixel_size.known())

    def _ask_where_to_save(self) -> None:
        image = self.inputs.image_chooser.layer
        name = "masks" if image is None else Path(image.name).stem
        options = QFileDialog.Option.DontConfirmOverwrite
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save masks", f"{name}{SUFFIX}", f"OME-Zarr (*{SUFFIX})", options=options
        )
        if not chosen:
            return
        path = with_suffix(chosen)
        if not path.exists():
            self.save_masks(path)
        elif self._may_overwrite(path):
            self.save_masks(path, overwrite=True)

    def _may_overwrite(self, path: Path) -> bool:
        answer = QMessageBox.question(
            self, "Save masks", f"“{path.name}” is there already. Replace it?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
