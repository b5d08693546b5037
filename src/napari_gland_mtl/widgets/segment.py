"""“Segment glands”: from an image layer to regions, glands and a table, in one dock.

The dock asks for what is needed from top to bottom (image, pixel size, part, model), runs the
job in a thread and shows what was found. All that computes is elsewhere: `_segment_job` runs,
`_layer_data` makes layers of the result, `_layers` puts them into the viewer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from pydantic import ValidationError
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QLabel,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..errors import GlandMTLError, InvalidInputError
from ..jobs.events import Event, JobFailed, Notice, SegmentationDone, Stage, Started
from ..jobs.runner import JobState, JobStatus
from . import _layers
from ._advanced import AdvancedSettings
from ._device_chooser import DeviceChooser
from ._error_text import error_text
from ._extent_chooser import ExtentChooser
from ._image_chooser import ImageChooser, PixelSizeField
from ._image_source import image_source, placement_of
from ._job_bridge import JobBridge
from ._layer_data import to_layer_data
from ._message_box import MessageBox
from ._model_chooser import ModelChooser
from ._result_panel import ResultPanel
from ._result_text import duration_text
from ._run_panel import RunPanel
from ._segment_job import SegmentRequest, save_job, segmentation_job

logger = logging.getLogger(__name__)

SUFFIX = ".ome.zarr"
FEATURES_TABLE = "Features table widget"
MIN_WIDTH, PREFERRED_WIDTH = 320, 360


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
        self._image: Any = None
        self._mpp = 0.0
        self._what_runs = ""
        self._notices: list[str] = []
        self._offer: tuple[Any, ...] = ()
        self._complete = False
        self._saved_path = Path()
        self._described: list[Any] = []
        self.image_chooser = ImageChooser(napari_viewer)
        self.pixel_size = PixelSizeField()
        self.extent_chooser = ExtentChooser(napari_viewer, lambda: self.image_chooser.layer)
        self.model_chooser = ModelChooser()
        self.device_chooser = DeviceChooser()
        self.advanced = AdvancedSettings()
        self.run_panel = RunPanel()
        self.message = MessageBox()
        self.result = ResultPanel()
        self._inputs = self._create_inputs()
        self._arrange()
        self._bridge = JobBridge(self)
        self._connect()
        _layers.adopt_opened_results(napari_viewer)
        self._on_image_changed()

    # ---------------------------------------------------------------- building

    def _create_inputs(self) -> QWidget:
        """Everything that must not change while a job runs."""
        box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        rows = {
            "Image": self.image_chooser,
            "Pixel size": self.pixel_size,
            "Part": self.extent_chooser,
            "Model": self.model_chooser,
            "Device": self.device_chooser,
        }
        for row, (text, control) in enumerate(rows.items()):
            label = QLabel(text)
            label.setMinimumHeight(self.image_chooser.sizeHint().height())
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(control, row, 1)
        grid.addWidget(self.advanced, len(rows), 0, 1, 2)
        return box

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for widget in (self._inputs, self.run_panel, self.message, self.result):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for the controls; high enough for a result."""
        return QSize(PREFERRED_WIDTH, 700)

    def _connect(self) -> None:
        """Connect the parts with each other; these connections end with the widget."""
        for signal, slot in (
            (self.image_chooser.layer_changed, self._on_image_changed),
            (self.model_chooser.failed, self._show_error),
            (self.run_panel.run_clicked, self.run),
            (self.run_panel.cancel_clicked, self._bridge.cancel),
            (self.result.save_clicked, self._ask_where_to_save),
            (self.result.table_clicked, self._show_table),
            (self._bridge.event_arrived, self._on_event),
            (self._bridge.progressed, self._on_progress),
            (self._bridge.ended, self._on_ended),
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
                    self.image_chooser.disconnect_events,
                    self.pixel_size.disconnect_events,
                    self._bridge.disconnect_application,
                ],
            )
        )

    # ---------------------------------------------------------------- running

    @property
    def running(self) -> bool:
        """Whether a job runs, or its end has not been shown yet."""
        return self._bridge.running

    def run(self) -> None:
        """Segment the chosen part of the chosen image, in a thread."""
        if self._bridge.running:
            return
        self.message.clear_message()
        try:
            request = self._request()
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self._start(segmentation_job(request), "segment", "Starting")

    def save_masks(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the image with the result as it is shown, in a thread.

        Parameters
        ----------
        path : path
            The OME-Zarr folder to write.
        overwrite : bool
            Replace what is there.
        """
        if self._bridge.running:
            return
        self.message.clear_message()
        try:
            job = self._save_job(Path(path), overwrite)
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self._saved_path = Path(path)
        self._start(job, "save", "Writing", cancellable=False)

    def _request(self) -> SegmentRequest:
        image = self._chosen_image()
        source = image_source(image)
        self._mpp = self.pixel_size.value()
        settings = {
            **self.advanced.values(),
            "model": self.model_chooser.model(),
            "mpp": self._mpp,
            "device": self.device_chooser.device(),
        }
        self._image = image
        return SegmentRequest(source, settings, self.extent_chooser.window_on(image))

    def _save_job(self, path: Path, overwrite: bool) -> Any:
        image = self._chosen_image()
        result = _layers.result_data(self._viewer, image)
        offset = _layers.result_offset(self._viewer, image)
        self._image = image
        return save_job(path, image_source(image), result, offset, overwrite)

    def _chosen_image(self) -> Any:
        image = self.image_chooser.layer
        if image is None:
            raise InvalidInputError(
                "There is no image. Open one with File > Open, or drop it on the window."
            )
        return image

    def _start(self, job: Any, what: str, text: str, cancellable: bool = True) -> None:
        self._what_runs = what
        self._notices = []
        self._offer = ()
        self._complete = False
        self._inputs.setEnabled(False)
        self.image_chooser.setEnabled(False)
        self.result.setEnabled(False)
        self.run_panel.show_busy(text, cancellable)
        self._bridge.start(job, name=f"gland-mtl {what}")

    # ---------------------------------------------------------------- what the job says

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Started):
            self.run_panel.show_total(event.total)
        elif isinstance(event, Stage):
            self.run_panel.show_stage(event.text)
        elif isinstance(event, Notice):
            self._notices.append(event.text)
        elif isinstance(event, SegmentationDone):
            self._show_result(event)
        elif isinstance(event, JobFailed):
            self._on_failed(event.error)

    def _on_progress(self, status: JobStatus) -> None:
        self.run_panel.show_status(status)

    def _on_ended(self, status: JobStatus) -> None:
        self._inputs.setEnabled(True)
        self.image_chooser.setEnabled(True)
        self.result.setEnabled(True)
        self.run_panel.show_idle(self._closing_words(status))
        if self._notices and status.state is not JobState.FAILED:
            self.message.show_notice("\n".join(self._notices), *self._offer)
        self._image = None

    def _closing_words(self, status: JobStatus) -> str:
        if status.state is JobState.FAILED:
            return ""
        if self._what_runs == "save":
            return f"Saved to {self._saved_path}"
        word = "Done" if self._complete else "Stopped"
        return f"{word} after {duration_text(status.elapsed)}."

    def _show_result(self, event: SegmentationDone) -> None:
        found = event.segmentation
        self._complete = found.complete
        if not _layers.is_open(self._viewer, self._image):
            return
        if not found.complete and not found.regions.any():
            self._notices.append("Stopped before the first tile was done: nothing was changed.")
            return
        try:
            data = to_layer_data(found, placement_of(self._image), event.offset, self._mpp)
            replaced = _layers.show_results(self._viewer, self._image, data)
        except (GlandMTLError, ValueError, MemoryError) as error:
            self._on_failed(error)
            return
        self._notices += replaced.notices
        if not found.complete and replaced.removed:
            self._offer_earlier_result(self._image, replaced.removed)

    def _offer_earlier_result(self, image: Any, layers: Any) -> None:
        """A stopped run must not cost the result that was there before it."""

        def restore() -> None:
            if _layers.is_open(self._viewer, image):
                _layers.restore_results(self._viewer, image, layers)

        self._notices.append("The part that was done replaced the earlier result.")
        self._offer = ("Show the earlier result again", restore)

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("The job failed", exc_info=error)
        self._show_error(error_text(error))

    def _show_error(self, text: str) -> None:
        self.message.show_error(text)
        show_error(text)

    # ---------------------------------------------------------------- following the viewer

    def _on_image_changed(self) -> None:
        self.pixel_size.set_layer(self.image_chooser.layer)
        self._show_shown_result()

    def _on_layers_changed(self, event: Any = None) -> None:
        if self._image is not None and not _layers.is_open(self._viewer, self._image):
            self._image = None
            if self._what_runs == "segment":  # a job that writes holds all that it needs
                self._notices.append("The image was removed, so its segmentation was stopped.")
                self._bridge.cancel()
        _layers.adopt_opened_results(self._viewer)
        self.extent_chooser.refresh()
        self._show_shown_result()

    def _show_shown_result(self) -> None:
        """Describe the result that lies over the chosen image, wherever it comes from."""
        image = self.image_chooser.layer
        shown = {} if image is None else _layers.result_layers(self._viewer, image)
        layers = [image, *shown.values()]
        if layers == self._described:
            return
        self._described = layers
        found = None if image is None else _layers.shown_segmentation(self._viewer, image)
        if found is None:
            self.result.hide()
        else:
            self.result.show_segmentation(found)

    def _show_table(self) -> None:
        image = self.image_chooser.layer
        if image is not None:
            _layers.activate_glands(self._viewer, image)
            dock, _ = self._viewer.window.add_plugin_dock_widget("napari", FEATURES_TABLE)
            # Ten columns want the width of the window, not that of this dock.
            self.window().addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)

    # ---------------------------------------------------------------- saving

    def _ask_where_to_save(self) -> None:
        image = self.image_chooser.layer
        name = "masks" if image is None else Path(image.name).stem
        options = QFileDialog.Option.DontConfirmOverwrite
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save masks", f"{name}{SUFFIX}", f"OME-Zarr (*{SUFFIX})", options=options
        )
        if not chosen:
            return
        path = Path(chosen if chosen.endswith(".zarr") else f"{chosen}{SUFFIX}")
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
