"""“Annotate glands”: areas of a slide become layers to paint on, kept in a project beside it.

The dock puts its parts together: one asks what a new area is made with (`_annotate_inputs`), one
makes and opens areas (`_annotate_making`), one lists those on disk (`_annotate_shelf`), one has the
tools for the area that is worked on. The areas themselves hang on the window
(`_annotation_session`), which saves them whether this dock is open or not.
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
from qtpy.QtWidgets import QFileDialog, QMainWindow, QVBoxLayout, QWidget

from ..errors import GlandMTLError
from ._annotate_area_panel import AreaPanel
from ._annotate_areas import AreasPanel
from ._annotate_inputs import AnnotateInputs
from ._annotate_list import Row
from ._annotate_making import AreaMaker
from ._annotate_shelf import AreaShelf
from ._annotation_area import OpenArea
from ._annotation_places import choose_place
from ._annotation_registry import open_annotations
from ._annotation_store import Written
from ._error_text import error_text
from ._least_certain import ResultTable
from ._message_box import MessageBox
from ._scrolling import scrolling
from ._view import main_window

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
        self.session = open_annotations(napari_viewer)
        self.inputs = AnnotateInputs(napari_viewer)
        self.message = MessageBox()
        self.areas = AreasPanel()
        self.panel = AreaPanel(napari_viewer)
        self._arrange()
        self.shelf = AreaShelf(self, self.inputs.identity, self.session, self.areas, self.message)
        self.maker = AreaMaker(
            napari_viewer,
            self,
            self.inputs,
            self.areas,
            self.session,
            self.panel.tools,
            self.message,
        )
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
        self.shelf.refresh()

    def _connect(self) -> None:
        """Connect the parts with each other; these connections end with the widget."""
        inputs, areas, session, panel = self.inputs, self.areas, self.session, self.panel
        for signal, slot in (
            (inputs.image_chooser.layer_changed, self._on_image_changed),
            (inputs.model_chooser.failed, self._show_error),
            (areas.list.close_clicked, self.close_area),
            (areas.next_clicked, self.annotate_next),
            (panel.failed, self._show_error),
            (panel.elsewhere_clicked, self._ask_where_to_save),
            (session.about_to_save, areas.patient.finish),
            (session.areas_changed, self._on_areas_changed),
            (session.edited, panel.on_edited),
            (session.saved, self._on_saved),
            (session.failed, self._on_save_failed),
            (session.activated, self.shelf.refresh),
            (session.layer_removed, self._on_layer_removed),
            (self.shelf.failed, self._on_failed),
            (self.shelf.renamed, self._on_areas_changed),
            (self.maker.failed, self._on_failed),
            (self.maker.shown, self.shelf.refresh),
        ):
            signal.connect(slot)

        # What lives longer than this widget must not call it when it is gone. A partial is
        # held strongly, unlike a method of a widget that is being destroyed.
        bridges = [self.maker.bridge, *self.shelf.bridges, *panel.bridges]
        self.destroyed.connect(
            partial(
                _undo,
                [
                    inputs.image_chooser.disconnect_events,
                    inputs.pixel_size.disconnect_events,
                    partial(panel.tools.set_area, None),
                    *(bridge.disconnect_application for bridge in bridges),
                ],
            )
        )

    # ---------------------------------------------------------------- areas

    @property
    def running(self) -> bool:
        """Whether something is done in a thread, or its end has not been shown yet."""
        return bool(self.maker.bridge.running or self.shelf.running)

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
        self.maker.new()

    def annotate_next(
        self, image: Any = None, glands: ResultTable | None = None, mpp: float | None = None
    ) -> None:
        """Make an area around the least certain gland that is in none; see `AreaMaker.next`."""
        self.maker.next(image, glands, mpp)

    def open_area(self, row: Row) -> None:
        """Show an area of the list and go to it; what is open already is only gone to."""
        self.maker.open(row)

    def open_area_on(self, image: Any, row: Row) -> bool:
        """Show an area that need not be of the chosen image.

        Parameters
        ----------
        image : napari.layers.Image or None
            Its slide's layer; None if that is not in the viewer.
        row : Row

        Returns
        -------
        bool
            False if the dock is busy with another area, and nothing was done.
        """
        if image is not None and not self.maker.bridge.running:
            self.inputs.image_chooser.choose(image)
        return self.maker.open_on(image, row)

    def close_area(self, row: Row) -> None:
        """Save an area of the list and take its layers away."""
        known = self.session.find(*row.identity)
        if known is not None:
            self.session.close(known)

    def rename_area(self, row: Row, name: str) -> None:
        """Give an area another name."""
        self.shelf.rename(row, name)

    def remove_area(self, row: Row) -> None:
        """Remove an area from its project; a button brings it back."""
        self.shelf.remove(row)

    def choose_folder(self, folder: str | Path) -> None:
        """Keep new areas of the chosen image in a folder; those there are listed."""
        self.shelf.choose_folder(folder)

    def refresh_list(self) -> None:
        """Look again which areas there are, in a thread."""
        self.shelf.refresh()

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
        self.shelf.refresh()

    def _on_failed(self, error: BaseException) -> None:
        if not isinstance(error, (GlandMTLError, ValidationError)):
            logger.error("Annotating failed", exc_info=error)
        self._show_error(error_text(error))

    def _show_error(self, text: str) -> None:
        self.message.show_error(text)

    # ---------------------------------------------------------------- following

    def _on_image_changed(self) -> None:
        self.inputs.set_image(self.inputs.image_chooser.layer)
        self.shelf.show_another_image()

    def _on_areas_changed(self) -> None:
        self.panel.set_area(self.session.current)
        if not self.session.areas:
            self.inputs.fold.expand(animate=False)
        self.shelf.show_rows()

    def _on_saved(self, area: OpenArea, written: Written) -> None:
        self.panel.show_saved()
        if written.copied_from:
            self.message.show_notice(_copied_words(written))
            self._on_areas_changed()
        if written.changed or area not in self.session.areas:
            self.shelf.refresh()  # of a closed one, what is on disk counts from now on

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


def _undo(connections: Sequence[Callable[[], None]], *_: Any) -> None:
    for disconnect in connections:
        disconnect()
