"""Makes and opens areas: the job that reads, predicts and stores, and the layers at its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from ..errors import GlandMTLError, InvalidInputError
from ..jobs.events import Event, JobFailed, Notice, Stage, Started, TileDone
from ..jobs.runner import JobState, JobStatus
from . import _annotation_layers, _layers
from ._annotate_areas import AreasPanel
from ._annotate_inputs import AnnotateInputs, identity_of
from ._annotate_job import AreaReady, new_area_job, open_area_job, read_again
from ._annotate_list import Row
from ._annotate_next import NOTHING_LEFT, GlandChosen, chosen_words, next_area_job
from ._annotate_tools import AreaTools
from ._annotation_area import OpenArea
from ._annotation_places import places_of
from ._annotation_session import OpenAnnotations
from ._gland_table import close_gland_table
from ._image_source import image_shape
from ._job_bridge import JobBridge
from ._least_certain import ResultTable, UncertainGland, result_table
from ._message_box import MessageBox
from ._view import canvas_size, main_window, world_corners, zoom_to

if TYPE_CHECKING:
    from ..annotations.area import AreaInfo
    from ..jobs.runner import Job

GOING = "This area is being removed. Press “Undo” when that is done, if you want to keep it."


class AreaMaker(QObject):
    """Makes one area at a time, or opens one.

    Parameters
    ----------
    viewer : napari.Viewer
    dock : QWidget
        Of which it is a part.
    inputs : AnnotateInputs
        What a new area is made with.
    areas : AreasPanel
        Says whose tissue a new one shows; rests while one is made.
    session : OpenAnnotations
    tools : AreaTools
        Made ready when an area is there.
    message : MessageBox

    Attributes
    ----------
    failed : Signal(object)
        An error.
    shown : Signal
        An area is in the viewer that was not.
    """

    failed = Signal(object)
    shown = Signal()

    def __init__(
        self,
        viewer: Any,
        dock: QWidget,
        inputs: AnnotateInputs,
        areas: AreasPanel,
        session: OpenAnnotations,
        tools: AreaTools,
        message: MessageBox,
    ) -> None:
        super().__init__(dock)
        self._viewer, self._dock, self._inputs, self._areas = viewer, dock, inputs, areas
        self._session, self._changes = session, session.changes
        self._tools, self._message = tools, message
        self._image: Any = None
        self._gland: UncertainGland | None = None
        self.bridge = JobBridge(self)
        self.bridge.event_arrived.connect(self._on_event)
        self.bridge.progressed.connect(inputs.run_panel.show_status)
        self.bridge.ended.connect(self._on_ended)
        self.destroyed.connect(self._changes.release)  # the queue outlives the dock
        inputs.run_panel.run_clicked.connect(self.new)
        inputs.run_panel.cancel_clicked.connect(self.bridge.cancel)
        areas.list.open_clicked.connect(self.open)

    # ---------------------------------------------------------------- what is asked for

    def new(self) -> None:
        """Make the chosen part of the image an area, in a thread."""
        if self.bridge.running:
            return
        self._message.clear_message()
        try:
            image = self._inputs.image()
            identity = self._inputs.identity()
            if identity is None:
                image_shape(image)  # says what is wrong with it
                return
            request = self._inputs.request(places_of(identity).default)
        except GlandMTLError as error:
            self.failed.emit(error)
            return
        request = replace(request, patient=self._areas.patient.value)
        self._start(new_area_job(request), image)

    def next(
        self, image: Any = None, glands: ResultTable | None = None, mpp: float | None = None
    ) -> None:
        """Make an area around the least certain gland that is in none, in a thread.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The chosen one if left out.
        glands : ResultTable, optional
            Of the image's result; of the one that is shown on it if left out.
        mpp : float, optional
            Um per px of the image, for one that does not say.
        """
        if self.bridge.running:
            return
        self._message.clear_message()
        if image is not None:
            self._inputs.show_subject(image, mpp, "" if glands is None else glands.model)
        try:
            layer = self._inputs.image()
            image_shape(layer)  # says what is wrong with it
            identity = identity_of(layer)
            if identity is None:
                return
            glands = glands or result_table(self._viewer, layer)
            request = self._inputs.next_request(places_of(identity).default)
        except GlandMTLError as error:
            self.failed.emit(error)
            return
        request = replace(request, patient=self._areas.patient.value)
        # What was painted a moment ago is taken over from the disk, too, as far as it can be
        # saved; where it cannot, the dock says so at the area.
        with suppress(GlandMTLError):
            self._session.save_areas()
        self._start(next_area_job(request, identity, glands), layer)

    def open(self, row: Row) -> None:
        """Show an area of the list over its image; what is open already is only gone to."""
        self.open_on(self._inputs.image_chooser.layer, row)

    def open_on(self, image: Any, row: Row) -> bool:
        """Show an area over an image; over none if its slide is not in the viewer.

        Returns
        -------
        bool
            False if another area is being made or opened, and nothing was done.
        """
        known = self._session.find(*row.identity)
        if known is not None:
            self._session.make_current(known)
            self._go_to(known)
            return True
        if self.bridge.running:
            return False
        self._message.clear_message()
        if self._changes.going(row.identity):
            self.failed.emit(InvalidInputError(GOING))
            return True
        unsaved = [area for area in self._session.unsaved if area.identity == row.identity]
        if unsaved:
            self._try(lambda: self._open_again(image, unsaved[0]))
        else:
            self._start(open_area_job(*row.identity, self._being_written(row)), image)
        return True

    def _open_again(self, image: Any, unsaved: OpenArea) -> None:
        area = self._session.open_again(self._fitting(image, unsaved.info), unsaved)
        self._inputs.fold.collapse(animate=False)
        self._go_to(area)
        self.shown.emit()

    def _being_written(self, row: Row) -> Callable[[], bool]:
        """What says in a thread whether the area on disk is about to change from here."""
        session, changes = self._session, self._changes
        return lambda: changes.writing or session.is_closing(*row.identity)

    def _start(self, job: Job, image: Any) -> None:
        self._image, self._gland = image, None
        self._changes.hold()
        self._inputs.run_panel.show_busy("Starting")
        self._enable(False)
        self.bridge.start(job, "gland-mtl annotate")

    def _enable(self, enabled: bool) -> None:
        self._inputs.subject.setEnabled(enabled)
        self._inputs.set_settings_enabled(enabled)
        self._areas.setEnabled(enabled)

    # ---------------------------------------------------------------- what the job says

    def _on_event(self, event: Event) -> None:
        panel = self._inputs.run_panel
        if isinstance(event, Started):
            panel.show_total(event.total)
        elif isinstance(event, TileDone):
            panel.show_tiles(event.done, event.total)
        elif isinstance(event, Stage):
            panel.show_stage(event.text)
        elif isinstance(event, Notice):
            self._message.show_notice(event.text)
        elif isinstance(event, JobFailed):
            self.failed.emit(event.error)
        elif isinstance(event, GlandChosen):
            self._gland = event.gland
            if event.gland is None:
                self._message.show_notice(NOTHING_LEFT)
        elif isinstance(event, AreaReady):
            self._try(lambda: self._show_area(event))

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except (GlandMTLError, ValueError, MemoryError) as error:
            self.failed.emit(error)

    def _on_ended(self, status: JobStatus) -> None:
        self._image = None
        self._changes.release()
        self._enable(True)
        stopped = status.state is JobState.STOPPED
        self._inputs.run_panel.show_idle("Stopped; no area was made." if stopped else "")
        self._inputs.refresh()

    def _show_area(self, ready: AreaReady) -> None:
        if self._changes.queue.written_meanwhile((ready.project, ready.key)):
            ready = read_again(ready)  # else the next save would take it for another window's
        image = self._fitting(self._image, ready.area.info)
        self._session.attach(main_window(self._dock))
        area = self._session.open(image, ready.project, ready.key, ready.revision, ready.area)
        self._inputs.fold.collapse(animate=False)
        close_gland_table(self._dock)  # it follows the active layer: of an area it is empty
        if self._gland is not None:
            words = chosen_words(self._gland, ready.area.info.name, ready.shared)
            self._message.show_notice(words)
        if not ready.new or self._gland is not None:
            self._go_to(area)
        if ready.new:
            self._take_up_a_tool(area, begun=bool(ready.area.glands.any()))
        self.shown.emit()

    def _fitting(self, image: Any, info: AreaInfo) -> Any:
        """The image, if an area can be shown over it."""
        shown = _layers.is_open(self._viewer, image)
        return image if shown and _annotation_layers.fits(image, info) else None

    def _take_up_a_tool(self, area: OpenArea, begun: bool) -> None:
        if area.glands_layer is None:
            self._tools.paint_region(2)
        elif begun:
            self._tools.pick()
        else:
            self._tools.new_gland()

    def _go_to(self, area: OpenArea) -> None:
        layer = area.painted_layer
        height, width = layer.data.shape
        corners = world_corners(layer, (0, 0, height, width))
        zoom_to(self._viewer, corners, canvas_size(self._dock))
