"""All areas that are open in one window: saved after every pause, whatever dock is open.

It belongs to the main window, not to a dock: a dock that is closed takes nothing with it. What
is not saved when the window closes is saved then, and the user is asked if that fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from ..errors import GlandMTLError
from . import _annotation_layers
from ._annotation_area import OpenArea, SaveState
from ._annotation_changes import AreaChanges
from ._annotation_queue import said
from ._annotation_saving import Outcome, save_all, save_at_the_end, saving
from ._annotation_store import AreaStore, Written
from ._annotation_task import Task
from ._drawing_guard import DrawingGuard
from ._error_text import error_text

if TYPE_CHECKING:
    from ..annotations.area import Area

logger = logging.getLogger(__name__)

TICK_MS = 250
TIDY_S = 0.3


class OpenAnnotations(QObject):
    """The open areas of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    changes : AreaChanges
        Renames, removes and assigns areas, open or not.
    about_to_save : Signal
        Everything will be saved at once: what is only typed yet must be passed on.
    areas_changed : Signal
        An area was opened or closed, or another one is the current one.
    edited : Signal(object)
        An `OpenArea` was, or may have been, changed.
    saved : Signal(object, object)
        An `OpenArea`, and what became of it (`Written`).
    failed : Signal(object)
        An `OpenArea` that could not be saved; its state says why.
    activated : Signal
        The window was turned to: others may have changed files meanwhile.
    layer_removed : Signal(object)
        An `OpenArea` that is closed because the user removed one of its layers.
    """

    about_to_save = Signal()
    areas_changed = Signal()
    edited = Signal(object)
    saved = Signal(object, object)
    failed = Signal(object)
    activated = Signal()
    layer_removed = Signal(object)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.areas: list[OpenArea] = []
        self._closing: list[OpenArea] = []
        self._current: OpenArea | None = None
        self._frames: Any = None
        self._task = Task("autosave", self)
        self._task.done.connect(self._on_saved)
        self.changes = AreaChanges(self)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._follow_active)
        # A partial is held strongly, unlike a method of an object that is being destroyed.
        self._last = partial(save_at_the_end, self.areas, self._closing, self.changes.queue)
        application = QCoreApplication.instance()
        application.aboutToQuit.connect(self._last)
        self.destroyed.connect(
            partial(
                _end,
                self._last,
                [
                    partial(application.aboutToQuit.disconnect, self._last),
                    self._task.bridge.disconnect_application,
                    self.changes.bridge.disconnect_application,
                    self.areas.clear,
                    self._closing.clear,
                ],
            )
        )

    def attach(self, window: QWidget) -> None:
        """Belong to the main window: live as long as it does, and save before it closes."""
        if self.parent() is None:
            self.setParent(window)
            self._guard = DrawingGuard(self._viewer, window)
            window.installEventFilter(self)

    @property
    def current(self) -> OpenArea | None:
        """The area that the user works on."""
        return self._current

    @property
    def unsaved(self) -> tuple[OpenArea, ...]:
        """Areas that were closed and could not be saved so far."""
        return tuple(area for area in self._closing if area.state.error)

    def open(self, image: Any, project: Path, key: str, revision: int, area: Area) -> OpenArea:
        """Show an area; the one that is open already if it is."""
        known = self.find(project, key)
        if known is None:
            store = AreaStore(project, key, revision, area)
            known = self._show(image, store, area, SaveState(saved_at=time.monotonic()))
        self.make_current(known)
        return known

    def open_again(self, image: Any, closed: OpenArea) -> OpenArea:
        """Show an area of `unsaved` as it is in memory; what is on disk is older."""
        area = closed.store.area(closed.snapshot())
        self._closing.remove(closed)
        known = self._show(image, closed.store, area, closed.state)
        self.make_current(known)
        return known

    def find(self, project: Path, key: str) -> OpenArea | None:
        """The open area of that key, if it is open."""
        for area in self.areas:
            if area.store.key == key and area.store.project == project:
                return area
        return None

    def change(self, project: Path, key: str, **update: Any) -> bool:
        """Change settings of the area of that key, if it is not on disk alone.

        Returns
        -------
        bool
            False if it is neither open nor closed with something still to be saved.
        """
        area = self.in_memory(project, key)
        if area is None:
            return False
        area.change(**update)
        if area in self._closing:  # nobody draws on it whose pause were to be waited for
            area.state.edited(time.monotonic() - 60, sure=True)
        return True

    def in_memory(self, project: Path, key: str) -> OpenArea | None:
        """The area of that key, if it is open, or closed with something still to be saved."""
        closing = (a for a in self._closing if a.store.key == key and a.store.project == project)
        return self.find(project, key) or next(closing, None)

    def is_closing(self, project: Path, key: str) -> bool:
        """Whether that area is closed and will be saved in a moment; False once that failed.

        May be asked from any thread.
        """
        identity = project, key
        return any(
            (area.store.project, area.store.key) == identity and not area.state.error
            for area in tuple(self._closing)
        )

    def make_current(self, area: OpenArea) -> None:
        """Let the user work on an area."""
        self._current = area
        if self._viewer.layers.selection.active not in area.layers.values():
            self._viewer.layers.selection.active = area.painted_layer
        self.areas_changed.emit()

    def close(self, area: OpenArea, save: bool = True) -> None:
        """Take an area out of the viewer; what is not saved is saved in a thread."""
        if not save and area in self._closing:
            self._closing.remove(area)
        if area not in self.areas:
            return
        self.areas.remove(area)
        if self._current is area:
            self._current = None
        if save:
            self._closing.append(area)
            area.state.edited(time.monotonic() - 60, sure=False)
            area.state.retry_now()
        area.close()
        self._show_frames()
        self.areas_changed.emit()
        self._tick()

    def save_now(self) -> None:
        """Save all that is not saved, and return when that is done.

        Raises
        ------
        GlandMTLError
            If something could not be saved; the rest was.
        """
        self.about_to_save.emit()
        errors = self._save_areas()
        try:
            self.changes.finish()
        except GlandMTLError as error:
            errors.append(error)
        _raise(errors)

    def save_areas(self) -> None:
        """Save what is drawn; names and patients of areas that are closed may still wait.

        Raises
        ------
        GlandMTLError
            If something could not be saved; the rest was.
        """
        _raise(self._save_areas())

    def _save_areas(self) -> list[GlandMTLError]:
        outcomes = save_all([*self._closing, *self.areas])
        self._on_saved(outcomes)
        return [said(outcome) for _, outcome in outcomes if isinstance(outcome, BaseException)]

    def move(self, area: OpenArea, project: Path) -> None:
        """Go on with an area in another project.

        Raises
        ------
        GlandMTLError
            If it cannot be written there either.
        """
        written = area.store.move(project, area.snapshot())
        area.state.begun()
        self._on_saved([(area, written)])

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Save before the window closes; look around when it is turned to."""
        if event.type() == QEvent.Type.Close and not self._may_close():
            event.ignore()
            return True
        if event.type() == QEvent.Type.WindowActivate:
            self.activated.emit()
        return False

    def _show(self, image: Any, store: AreaStore, area: Area, state: SaveState) -> OpenArea:
        known = OpenArea(
            self._viewer, image, store, area, self._on_edited, self._show_frames, state
        )
        self.areas.append(known)
        self._show_frames()
        self._timer.start()
        return known

    def _show_frames(self) -> None:
        areas = [area.regions_layer for area in self.areas]
        self._frames = _annotation_layers.show_frames(self._viewer, areas, self._frames)

    def _may_close(self) -> bool:
        try:
            self.save_now()
        except GlandMTLError as error:
            answer = QMessageBox.warning(
                self.parent(),
                "Annotations are not saved",
                f"{error}\n\nClose the window all the same, and lose what was not saved?",
                QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
                QMessageBox.StandardButton.Cancel,
            )
            return bool(answer == QMessageBox.StandardButton.Close)
        return True

    def _on_edited(self, area: OpenArea, sure: bool) -> None:
        area.state.edited(time.monotonic(), sure)
        self.edited.emit(area)

    def _tick(self) -> None:
        now = time.monotonic()
        for area in self.areas:
            if now - area.state.last_edit >= TIDY_S:
                area.tidy()
        if self._task.running:
            return
        due = [area for area in [*self._closing, *self.areas] if area.state.due(now)]
        if due:
            self._task.start(saving(due))
        elif not self.areas and not self._closing:
            self._timer.stop()

    def _on_saved(self, outcomes: Sequence[Outcome]) -> None:
        now = time.monotonic()
        for area, outcome in outcomes:
            if isinstance(outcome, Written):
                area.on_written(outcome, now)
                if area in self._closing and not area.state.unsaved:  # it may have gone on changing
                    self._closing.remove(area)
                self.saved.emit(area, outcome)
            else:
                if not isinstance(outcome, GlandMTLError):
                    logger.error("The area could not be saved", exc_info=outcome)
                area.state.failed(now, error_text(outcome, ""))
                self.failed.emit(area)

    def _on_removed(self, event: Any = None) -> None:
        for area in list(self.areas):
            if any(layer not in self._viewer.layers for layer in area.layers.values()):
                self.close(area)
                self.layer_removed.emit(area)

    def _follow_active(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        for area in self.areas:
            if active in area.layers.values() and area is not self._current:
                self._current = area
                self.areas_changed.emit()


def _end(last: Callable[[], Any], releases: Sequence[Callable[[], Any]], *_: Any) -> None:
    last()
    for release in releases:
        release()


def _raise(errors: list[GlandMTLError]) -> None:
    if errors:
        texts = dict.fromkeys(str(error) for error in errors)
        raise errors[0] if len(texts) == 1 else GlandMTLError("\n".join(texts))
