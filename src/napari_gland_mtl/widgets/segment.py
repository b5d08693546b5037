"""“Segment glands”: from an image layer to regions, glands and a table, in one dock.

The dock asks for what is needed from top to bottom (image, pixel size, part, model), runs the
job in a thread and shows what was found. All else is elsewhere: `_segment_inputs` asks,
`_run_driver` carries out a run (`_field_run`, `_slide_run`), which shows its result,
`_shown_result` describes what is shown, `_layers` and `_slide_layers` change the viewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from ..errors import GlandMTLError
from . import _layers, _slide_layers, _way
from ._drawing_guard import DrawingGuard
from ._field_run import FieldRun
from ._image_source import image_source
from ._live_refresh import LiveRefresh
from ._message_box import MessageBox
from ._output_state import Action, with_suffix
from ._result_panel import ResultPanel
from ._run import Run, SaveRun
from ._run_driver import RunDriver
from ._run_panel import RUN, RunPanel
from ._scrolling import scrolling
from ._segment_inputs import SegmentInputs
from ._segment_job import SegmentRequest, save_job, segmentation_job
from ._shown_result import ShownResult
from ._slide_job import SlideRequest, open_job, slide_job
from ._slide_result_panel import SlideResultPanel
from ._slide_run import OpenRun, SlideRun
from ._tissue_preview import TissuePreview
from ._view import main_window

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
        self.inputs = SegmentInputs(napari_viewer)
        self.run_panel = RunPanel()
        self.message = MessageBox()
        self.result = ResultPanel()
        self.slide_result = SlideResultPanel()
        self._arrange()
        self.runs = RunDriver(self, self.run_panel, self.message)
        self.shown = ShownResult(
            napari_viewer, self, self.inputs, self.message, self.result, self.slide_result
        )
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
            (self.result.save_clicked, self._ask_where_to_save),
            (self.runs.busy, self._on_busy),
            (self.runs.shown, self._show_shown_result),
            (self.runs.ended, self._on_ended),
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
                    self.runs.bridge.disconnect_application,
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
        return self.runs.running

    def run(self) -> None:
        """Segment the chosen part of the chosen image, or open its result, in a thread."""
        self.runs.start(self._new_run)

    def save_masks(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the image with the result as it is shown, in a thread.

        Parameters
        ----------
        path : path
            The OME-Zarr folder to write.
        overwrite : bool
            Replace what is there.
        """
        self.runs.start(lambda: self._save_run(Path(path), overwrite))

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

    def _on_busy(self, busy: bool) -> None:
        """Nothing that a job was started with may change while it runs."""
        for part in (self.inputs, self.inputs.image_chooser, self.result, self.slide_result):
            part.setEnabled(not busy)

    def _on_ended(self) -> None:
        self.inputs.output_chooser.refresh()
        self._show_shown_result()

    def _show_error(self, text: str) -> None:
        self.message.show_error(text)

    # ---------------------------------------------------------------- following the viewer

    def _on_image_changed(self) -> None:
        self.inputs.set_image(self.inputs.image_chooser.layer)
        self.runs.forget_words()
        self._show_shown_result()

    def _on_layers_changed(self, event: Any = None) -> None:
        self.runs.look_after(self._viewer)
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
        if not self.runs.turns.running:  # else half of it is another result's
            self.shown.refresh()

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

    # ---------------------------------------------------------------- saving

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
