"""“Annotate glands”: areas of a slide become layers to paint on, kept in a project beside it.

The dock makes and lists areas, and shows the tools for the one that is worked on. The areas
themselves hang on the window (`_annotation_session`), which saves them whether this dock is open
or not; the layers are made by `_annotation_layers`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from qtpy.QtCore import QSize
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from ..errors import GlandMTLError
from ..jobs.events import Event, JobFailed, Notice, Stage, Started, TileDone
from ..jobs.runner import JobState, JobStatus
from . import _annotation_layers, _layers
from ._annotate_area_panel import AreaPanel
from ._annotate_areas import AreasPanel
from ._annotate_files import Changed, Listed, listing, removing, renaming, restoring
from ._annotate_inputs import AnnotateInputs, identity_of
from ._annotate_job import AreaReady, new_area_job, open_area_job
from ._annotate_list import Row
from ._annotate_next import NOTHING_LEFT, GlandChosen, chosen_words, next_area_job
from ._annotation_area import OpenArea
from ._annotation_places import choose_place, places_of
from ._annotation_registry import open_annotations
from ._annotation_store import Written
from ._annotation_task import Task
from ._error_text import error_text
from ._image_source import image_shape
from ._job_bridge import JobBridge
from ._least_certain import ResultTable, UncertainGland, result_table
from ._message_box import MessageBox
from ._scrolling import scrolling
from ._view import canvas_size, main_window, world_corners, zoom_to

if TYPE_CHECKING:
    from ..jobs.runner import Job

logger = logging.getLogger(__name__)

MIN_WIDTH, PREFERRED_WIDTH = 320, 360


class AnnotateWidget(QWidget):
    """The dock widget “Annotate glands”.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer whose images are annotated.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.setObjectName("annotate_glands")
        self._viewer = napari_viewer
        self._image: Any = None
        self._listed: Listed | None = None
        self._gland: UncertainGland | None = None
        self.session = open_annotations(napari_viewer)
        self.inputs = AnnotateInputs(napari_viewer)
        self.message = MessageBox()
        self.areas = AreasPanel()
        self.panel = AreaPanel(napari_viewer)
        self._arrange()
        self._bridge = JobBridge(self)
        self._listing = Task("areas", self)
        self._changing = Task("change", self)
        self._connect()
        self._on_image_changed()
        self._on_areas_changed()

    # ---------------------------------------------------------------- building

    def _arrange(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for widget in (self.inputs, self.areas, self.panel):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = scrolling(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.message)  # seen wherever the rest is scrolled to
        layout.addWidget(scroll)
        self.setMinimumWidth(MIN_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for the controls; high enough for the tools."""
        return QSize(PREFERRED_WIDTH, 800)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Another window may have changed the areas meanwhile."""
        super().showEvent(event)
        window = main_window(self)
        if isinstance(window, QMainWindow):
            self.session.attach(window)
        self.refresh_list()

    def _connect(self) -> None:
        """Connect the parts with each other; these connections end with the widget."""
        inputs, areas, session, panel = self.inputs, self.areas, self.session, self.panel
        for signal, slot in (
            (inputs.image_chooser.layer_changed, self._on_image_changed),
            (inputs.model_chooser.failed, self._show_error),
            (inputs.run_panel.run_clicked, self.new_area),
            (inputs.run_panel.cancel_clicked, self._bridge.cancel),
            (areas.list.open_clicked, self.open_area),
            (areas.list.close_clicked, self.close_area),
            (areas.list.rename_clicked, self._ask_for_name),
            (areas.list.remove_clicked, self.remove_area),
            (areas.place_clicked, self._ask_for_place),
            (areas.next_clicked, self.annotate_next),
            (panel.failed, self._show_error),
            (panel.elsewhere_clicked, self._ask_where_to_save),
            (session.areas_changed, self._on_areas_changed),
            (session.edited, self._on_edited),
            (session.saved, self._on_saved),
            (session.failed, self._on_save_failed),
            (session.activated, self.refresh_list),
            (session.layer_removed, self._on_layer_removed),
            (self._bridge.event_arrived, self._on_event),
            (self._bridge.progressed, self._show_progress),
            (self._bridge.ended, self._on_ended),
            (self._listing.done, self._on_listed),
            (self._listing.failed, self._on_failed),
            (self._changing.done, self._on_changed),
            (self._changing.failed, self._on_failed),
        ):
            signal.connect(slot)

        # What lives longer than this widget must not call it when it is gone. A partial is
        # held strongly, unlike a method of a widget that is being destroyed.
        tasks = [self._listing.bridge, self._changing.bridge, *panel.bridges]
        self.destroyed.connect(
            partial(
                _undo,
                [
                    inputs.image_chooser.disconnect_events,
                    inputs.pixel_size.disconnect_events,
                    partial(panel.tools.set_area, None),
                    *(bridge.disconnect_application for bridge in (self._bridge, *tasks)),
                ],
            )
        )

    # ---------------------------------------------------------------- areas

    @property
    def running(self) -> bool:
        """Whether something is done in a thread, or its end has not been shown yet."""
        return self._bridge.running or self._listing.running or self._changing.running

    def save_now(self) -> None:
        """Save all that is not saved yet, and return when that is done.

        Raises
        ------
        GlandMTLError
            If something could not be saved.
        """
        self.session.save_now()

    def new_area(self) -> None:
        """Make the chosen part of the image an area, in a thread."""
        if self._bridge.running:
            return
        self.message.clear_message()
        try:
            image = self.inputs.image()
            identity = self.inputs.identity()
            if identity is None:
                image_shape(image)  # says what is wrong with it
                return
            request = self.inputs.request(places_of(identity).default)
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self._start(new_area_job(request), image)

    def annotate_next(
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
        if self._bridge.running:
            return
        self.message.clear_message()
        if image is not None:
            self.inputs.show_subject(image, mpp, "" if glands is None else glands.model)
        try:
            layer = self.inputs.image()
            image_shape(layer)  # says what is wrong with it
            identity = identity_of(layer)
            if identity is None:
                return
            glands = glands or result_table(self._viewer, layer)
            request = self.inputs.next_request(places_of(identity).default)
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self._start(next_area_job(request, identity, glands), layer)

    def open_area(self, row: Row) -> None:
        """Show an area of the list and go to it; what is open already is only gone to."""
        known = self.session.find(*row.identity)
        if known is not None:
            self.session.make_current(known)
            self._go_to(known)
        elif not self._bridge.running:
            self.message.clear_message()
            self._start(open_area_job(*row.identity), self.inputs.image_chooser.layer)

    def close_area(self, row: Row) -> None:
        """Save an area of the list and take its layers away."""
        known = self.session.find(*row.identity)
        if known is not None:
            self.session.close(known)

    def rename_area(self, row: Row, name: str) -> None:
        """Give an area another name."""
        name = name.strip()
        if not name or name == row.stored.info.name:
            return
        known = self.session.find(*row.identity)
        if known is None:
            self._changing.start(renaming(row.identity, name))
        else:
            known.change(name=name)
            self._on_areas_changed()

    def remove_area(self, row: Row) -> None:
        """Remove an area from its project; a button brings it back."""
        known = self.session.find(*row.identity)
        snapshot = None
        if known is not None:
            snapshot = known.snapshot()
            known.state.hold()
        self.message.clear_message()
        self._changing.start(removing(row.identity, row.stored.info.name, known, snapshot))

    def save_elsewhere(self, folder: str | Path) -> None:
        """Go on with what cannot be saved in another folder."""
        area = self.panel.area
        areas = [*self.session.unsaved]
        if area is not None and area.state.error:
            areas += [a for a in self.session.areas if a.store.project == area.store.project]
        identity = self.inputs.identity()
        try:
            for moved in areas:
                self.session.move(moved, Path(folder) / moved.store.project.name)
            if identity is not None:
                choose_place(identity, Path(folder))
        except GlandMTLError as error:
            self._show_error(str(error))
            return
        self.message.show_notice(f"Saved in {folder}. It goes on being saved there.")
        self._on_areas_changed()
        self.refresh_list()

    def choose_folder(self, folder: str | Path) -> None:
        """Keep new areas of the chosen image in a folder; those there are listed."""
        identity = self.inputs.identity()
        if identity is not None:
            choose_place(identity, Path(folder))
            self.refresh_list()

    def refresh_list(self) -> None:
        """Look again which areas there are, in a thread."""
        identity = self.inputs.identity()
        if identity is None:
            self._listed = None
            self.areas.show_areas(None, ())
        else:
            self._listing.start(listing(identity))

    def _start(self, job: Job, image: Any) -> None:
        self._image, self._gland = image, None
        self.inputs.run_panel.show_busy("Starting")
        self._enable(False)
        self._bridge.start(job, "gland-mtl annotate")

    def _enable(self, enabled: bool) -> None:
        self.inputs.subject.setEnabled(enabled)
        self.inputs.set_settings_enabled(enabled)
        self.areas.setEnabled(enabled)

    def _show_area(self, ready: AreaReady) -> None:
        image = self._image if _layers.is_open(self._viewer, self._image) else None
        if image is not None and not _annotation_layers.fits(image, ready.area.info):
            image = None
        self.session.attach(main_window(self))
        area = self.session.open(image, ready.project, ready.key, ready.revision, ready.area)
        self.inputs.fold.collapse(animate=False)
        if self._gland is not None:
            self.message.show_notice(chosen_words(self._gland, ready.area.info.name))
        if not ready.new or self._gland is not None:
            self._go_to(area)
        if not ready.new:
            pass
        elif area.glands_layer is None:
            self.panel.tools.paint_region(2)
        elif ready.area.glands.any():
            self.panel.tools.pick()
        else:
            self.panel.tools.new_gland()
        self.refresh_list()

    def _go_to(self, area: OpenArea) -> None:
        layer = area.painted_layer
        height, width = layer.data.shape
        zoom_to(self._viewer, world_corners(layer, (0, 0, height, width)), self._canvas())

    def _canvas(self) -> tuple[int, int]:
        return canvas_size(self)

    # ---------------------------------------------------------------- what jobs say

    def _on_event(self, event: Event) -> None:
        panel = self.inputs.run_panel
        if isinstance(event, Started):
            panel.show_total(event.total)
        elif isinstance(event, TileDone):
            panel.show_tiles(event.done, event.total)
        elif isinstance(event, Stage):
            panel.show_stage(event.text)
        elif isinstance(event, Notice):
            self.message.show_notice(event.text)
        elif isinstance(event, JobFailed):
            self._on_failed(event.error)
        elif isinstance(event, GlandChosen):
            self._gland = event.gland
            if event.gland is None:
                self.message.show_notice(NOTHING_LEFT)
        elif isinstance(event, AreaReady):
            self._try(lambda: self._show_area(event))

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except (GlandMTLError, ValueError, MemoryError) as error:
            self._on_failed(error)

    def _show_progress(self, status: JobStatus) -> None:
        self.inputs.run_panel.show_status(status)

    def _on_ended(self, status: JobStatus) -> None:
        self._image = None
        self._enable(True)
        stopped = status.state is JobState.STOPPED
        self.inputs.run_panel.show_idle("Stopped; no area was made." if stopped else "")
        self.inputs.refresh()

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("Annotating failed", exc_info=error)
        for area in self.session.areas:
            area.state.release()
        self._show_error(error_text(error))

    def _show_error(self, text: str) -> None:
        self.message.show_error(text)

    def _on_listed(self, listed: Listed) -> None:
        if listed.image == self.inputs.identity():
            self._listed = listed
            self._show_rows()
            if listed.errors:
                self._show_error("\n".join(listed.errors))

    def _on_changed(self, changed: Changed) -> None:
        if changed.what == "removed":
            if changed.area is not None:
                self.session.close(changed.area, save=False)
            restore = partial(self._changing.start, restoring(changed.identity, changed.name))
            self.message.show_notice(f"“{changed.name}” was removed.", "Undo", restore)
        elif changed.what == "restored":
            self.message.show_notice(f"“{changed.name}” is back.")
        self.refresh_list()

    # ---------------------------------------------------------------- following

    def _on_image_changed(self) -> None:
        self.inputs.set_image(self.inputs.image_chooser.layer)
        self._listed = None
        self._show_rows()
        self.refresh_list()

    def _on_areas_changed(self) -> None:
        self.panel.set_area(self.session.current)
        if not self.session.areas:
            self.inputs.fold.expand(animate=False)
        self._show_rows()

    def _show_rows(self) -> None:
        listed = self._listed
        if listed is None:
            self.areas.show_areas(None, ())
            return
        rows = []
        for project, stored in listed.areas:
            trouble = _trouble(stored.info.slide_shape, listed.image.shape)
            area = self.session.find(project, stored.key)
            rows.append(Row(project, stored, area is not None, trouble))
        self.areas.show_areas(listed.places, rows)
        current = self.session.current
        if current is not None:
            self.areas.list.choose((current.store.project, current.store.key))

    def _on_edited(self, area: OpenArea) -> None:
        self.panel.on_edited(area)

    def _on_saved(self, area: OpenArea, written: Written) -> None:
        self.panel.show_saved()
        if written.copied_from:
            self.message.show_notice(_copied_words(written))
            self._on_areas_changed()
        if written.changed:
            self.refresh_list()

    def _on_save_failed(self, area: OpenArea) -> None:
        self.panel.show_saved()
        if area in self.session.unsaved:
            self.message.show_notice(
                f"“{area.info.name}” is closed but could not be saved, and is kept in memory: "
                f"{area.state.error}",
                "Save elsewhere…",
                self._ask_where_to_save,
            )

    def _on_layer_removed(self, area: OpenArea) -> None:
        self.message.show_notice(
            f"A layer of “{area.info.name}” was removed, so the area was closed; what you drew is "
            "kept. Double-click it in the list to go on with it."
        )

    # ---------------------------------------------------------------- questions

    def _ask_for_name(self, row: Row) -> None:
        name, accepted = QInputDialog.getText(
            self, "Rename area", "Name of the area:", text=row.stored.info.name
        )
        if accepted:
            self.rename_area(row, name)

    def _ask_for_place(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Where to keep the areas of this image")
        if folder:
            self.choose_folder(folder)

    def _ask_where_to_save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Where to save what could not be saved")
        if folder:
            self.save_elsewhere(folder)


def _copied_words(written: Written) -> str:
    name, copy = written.copied_from, written.info.name
    if written.was_removed:
        return (
            f"“{name}” was removed in another window meanwhile. Nothing is lost: what you have "
            f"here was saved as “{copy}”, and you go on with that."
        )
    return (
        f"“{name}” was changed in another window meanwhile. Nothing is lost: yours was saved as "
        f"“{copy}”, and you go on with that; what the other window saved is still in the list."
    )


def _trouble(drawn_on: tuple[int, int], shape: tuple[int, int]) -> str:
    if tuple(drawn_on) == tuple(shape):
        return ""
    return (
        f"Drawn on an image of {drawn_on[1]:,} x {drawn_on[0]:,} px; this one has "
        f"{shape[1]:,} x {shape[0]:,} px."
    )


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
