"""The areas of the chosen image, as they are on disk: listed, renamed, removed, kept elsewhere.

Each is asked of the disk in a thread; what is open changes in the session, which saves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QWidget

from ._annotate_areas import AreasPanel
from ._annotate_files import Changed, Identity, Listed, listing
from ._annotate_list import Row
from ._annotation_places import ImageIdentity, choose_place
from ._annotation_session import OpenAnnotations
from ._annotation_task import Task
from ._message_box import MessageBox

if TYPE_CHECKING:
    from ..annotations.area import AreaInfo


class AreaShelf(QObject):
    """Lists the areas of an image and does what is asked of them.

    Parameters
    ----------
    dock : QWidget
        Of which it is a part.
    identity : callable
        What recognises the chosen image, None if there is none.
    session : OpenAnnotations
    areas : AreasPanel
        Shows the list.
    message : MessageBox

    Attributes
    ----------
    failed : Signal(object)
        An error.
    renamed : Signal
        An area has another name, or will have it in a moment.
    """

    failed = Signal(object)
    renamed = Signal()

    def __init__(
        self,
        dock: QWidget,
        identity: Callable[[], ImageIdentity | None],
        session: OpenAnnotations,
        areas: AreasPanel,
        message: MessageBox,
    ) -> None:
        super().__init__(dock)
        self._dock, self._identity, self._session = dock, identity, session
        self._changes, self._areas, self._message = session.changes, areas, message
        self._listed: Listed | None = None
        self._listing = Task("areas", self)
        self._listing.done.connect(self._on_listed)
        self._changes.done.connect(self._on_changed)
        self._changes.idle.connect(self.refresh)
        for source in (self._listing, self._changes):
            source.failed.connect(self.failed)
        areas.list.rename_clicked.connect(self._ask_for_name)
        areas.list.remove_clicked.connect(self.remove)
        areas.place_clicked.connect(self._ask_for_place)
        areas.patient.entered.connect(self.assign)

    @property
    def running(self) -> bool:
        """Whether something is done in a thread, or its end has not been shown yet."""
        return self._listing.running or self._changes.running

    @property
    def bridges(self) -> list[Any]:
        """What runs threads."""
        return [self._listing.bridge]

    # ---------------------------------------------------------------- the list

    def refresh(self) -> None:
        """Look again which areas there are, in a thread."""
        identity = self._identity()
        if identity is None:
            self._listed = None
            self._areas.show_areas(None, ())
        else:
            self._listing.start(listing(identity))

    def show_another_image(self) -> None:
        """Another image was chosen: nothing is known of it yet."""
        self._listed = None
        self._areas.patient.forget()
        self.show_rows()
        self.refresh()

    def show_rows(self) -> None:
        """Show what was listed last, as far as it is open in its present state."""
        listed = self._listed
        if listed is None:
            self._areas.show_areas(None, ())
            return
        rows, infos = [], []
        for project, stored in listed.areas:
            trouble = _trouble(stored.info.slide_shape, listed.image.shape)
            area = self._session.in_memory(project, stored.key)
            if area is not None and not stored.error:
                stored = replace(stored, info=area.info)  # what is on disk may be older
            rows.append(Row(project, stored, area in self._session.areas, trouble))
            if not trouble and not stored.error:
                infos.append(stored.info)
        self._areas.show_areas(listed.places, rows)
        self._show_patient(infos)
        current = self._session.current
        if current is not None:
            self._areas.list.choose((current.store.project, current.store.key))

    def _show_patient(self, infos: Sequence[AreaInfo]) -> None:
        current, field = self._session.current, self._areas.patient
        slideless = None if current is None or current.image is not None else current.info
        field.allow(slideless is None or any(info is slideless for info in infos))
        if not self._changes.running:  # else what was listed is not what was entered
            field.show_areas(infos)

    def _on_listed(self, listed: Listed) -> None:
        if listed.image == self._identity():
            self._listed = listed
            self.show_rows()
            if listed.errors:
                self._message.show_error("\n".join(listed.errors))

    # ---------------------------------------------------------------- what is asked of an area

    def rename(self, row: Row, name: str) -> None:
        """Give an area another name."""
        name = name.strip()
        if name:
            self._changes.rename(row.identity, name)
            self.renamed.emit()

    def remove(self, row: Row) -> None:
        """Remove an area from its project; a button brings it back."""
        self._message.clear_message()
        self._changes.remove(row.identity, row.stored.info.name)

    def assign(self, patient: str) -> None:
        """Say of all areas of the image whose tissue they show."""
        sound = [row for row in self._areas.list.rows if not (row.trouble or row.stored.error)]
        areas = [row.identity for row in sound] + self._not_listed_yet()
        self._changes.assign(dict.fromkeys(areas), patient)

    def _not_listed_yet(self) -> list[Identity]:
        """Areas of the image that were made or copied since; those that are listed among them."""
        if self._listed is None:
            return []
        places, shape = self._listed.places, tuple(self._listed.image.shape)
        return [
            (area.store.project, area.store.key)
            for area in self._session.areas
            if area.store.project in (places.default, *places.existing)
            and tuple(area.info.slide_shape) == shape
        ]

    def choose_folder(self, folder: str | Path) -> None:
        """Keep new areas of the chosen image in a folder; those there are listed."""
        identity = self._identity()
        if identity is not None:
            choose_place(identity, Path(folder))
            self.refresh()

    def _on_changed(self, changed: Changed) -> None:
        if changed.what == "removed":
            restore = partial(self._changes.restore, changed.identity, changed.name)
            self._message.show_notice(f"“{changed.name}” was removed.", "Undo", restore)
        elif changed.what == "restored":
            self._message.show_notice(f"“{changed.name}” is back.")

    # ---------------------------------------------------------------- questions

    def _ask_for_name(self, row: Row) -> None:
        name, accepted = QInputDialog.getText(
            self._dock, "Rename area", "Name of the area:", text=row.stored.info.name
        )
        if accepted:
            self.rename(row, name)

    def _ask_for_place(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self._dock, "Where to keep the areas of this image"
        )
        if folder:
            self.choose_folder(folder)


def _trouble(drawn_on: tuple[int, int], shape: tuple[int, int]) -> str:
    if tuple(drawn_on) == tuple(shape):
        return ""
    return (
        f"Drawn on an image of {drawn_on[1]:,} x {drawn_on[0]:,} px; this one has "
        f"{shape[1]:,} x {shape[0]:,} px."
    )
