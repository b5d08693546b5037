"""The areas of the chosen image, those on disk and those open, with what can be done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ._result_text import area_text

if TYPE_CHECKING:
    from ..annotations.project import StoredArea

MOST_ROWS, LEAST_ROWS = 7, 2
NONE_YET = "No area has been annotated on this image yet."


@dataclass(frozen=True)
class Row:
    """One area in the list.

    Attributes
    ----------
    project : Path
    stored : StoredArea
    is_open : bool
    trouble : str
        Why it cannot be opened here; empty if it can.
    """

    project: Path
    stored: StoredArea
    is_open: bool = False
    trouble: str = ""

    @property
    def identity(self) -> tuple[Path, str]:
        """What recognises the area."""
        return self.project, self.stored.key


class AreaList(QWidget):
    """Lists areas.

    Attributes
    ----------
    open_clicked, close_clicked, rename_clicked, remove_clicked : Signal(object)
        The chosen `Row`.
    """

    open_clicked = Signal(object)
    close_clicked = Signal(object)
    rename_clicked = Signal(object)
    remove_clicked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()
        self.tree = self._create_tree()
        self.note = QLabel(NONE_YET)
        self.note.setObjectName("area_list_note")
        self.note.setWordWrap(True)
        self.open_button = self._create_button(
            "open_area_button", "Open", "Show the area over its image, to go on with it."
        )
        self.close_button = self._create_button(
            "close_area_button", "Close", "Save the area and take its layers away."
        )
        self.rename_button = self._create_button(
            "rename_area_button", "Rename…", "Give the area another name."
        )
        self.remove_button = self._create_button(
            "remove_area_button", "Remove", "Remove the area; this can be undone."
        )
        self._connect()
        self._arrange()
        self.show_rows(())

    @property
    def chosen(self) -> Row | None:
        """The row that is selected."""
        index = self.tree.indexOfTopLevelItem(self.tree.currentItem())
        return self.rows[index] if 0 <= index < len(self.rows) else None

    def choose(self, identity: tuple[Path, str]) -> None:
        """Select an area, if it is listed."""
        for index, row in enumerate(self.rows):
            if row.identity == identity:
                self.tree.setCurrentItem(self.tree.topLevelItem(index))

    def show_rows(self, rows: Sequence[Row]) -> None:
        """List these areas, keeping the choice."""
        chosen = self.chosen
        self.rows = tuple(rows)
        self.tree.blockSignals(True)
        self.tree.clear()
        self.tree.addTopLevelItems([_item(row) for row in self.rows])
        self.tree.blockSignals(False)
        if chosen is not None:
            self.choose(chosen.identity)
        self._fit_height()
        for widget in (self.tree, self.buttons):
            widget.setVisible(bool(self.rows))
        self.note.setVisible(not self.rows)
        self._show_buttons()

    def _fit_height(self) -> None:
        """No higher than the areas need, and never so high that the tools are pushed away."""
        shown = min(max(len(self.rows), LEAST_ROWS), MOST_ROWS)
        row = self.tree.sizeHintForRow(0) if self.rows else 0
        self.tree.setFixedHeight(self.tree.header().sizeHint().height() + shown * row + 4)

    def _show_buttons(self, *_: Any) -> None:
        row = self.chosen
        can_open = row is not None and not row.trouble and not row.stored.error
        self.open_button.setEnabled(can_open)
        self.open_button.setText("Go to" if row is not None and row.is_open else "Open")
        self.close_button.setEnabled(row is not None and row.is_open)
        self.rename_button.setEnabled(row is not None and not row.stored.error)
        self.remove_button.setEnabled(row is not None)

    def _create_tree(self) -> QTreeWidget:
        tree = QTreeWidget()
        tree.setObjectName("area_list")
        tree.setToolTip("Areas of this image. Double-click one to go on with it.")
        tree.setHeaderLabels(["Area", "Glands", "Class"])
        tree.setRootIsDecorated(False)
        tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        return tree

    def _create_button(self, name: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tip)
        return button

    def _connect(self) -> None:
        self.tree.currentItemChanged.connect(self._show_buttons)
        self.tree.itemDoubleClicked.connect(lambda *_: self._emit_open())
        self.open_button.clicked.connect(lambda: self._emit_open())
        for button, signal in (
            (self.close_button, self.close_clicked),
            (self.rename_button, self.rename_clicked),
            (self.remove_button, self.remove_clicked),
        ):
            button.clicked.connect(lambda _=False, s=signal: s.emit(self.chosen))

    def _emit_open(self) -> None:
        if self.open_button.isEnabled():
            self.open_clicked.emit(self.chosen)

    def _arrange(self) -> None:
        self.buttons = QWidget()
        buttons = QHBoxLayout(self.buttons)
        buttons.setContentsMargins(0, 0, 0, 0)
        for button in (
            self.open_button,
            self.close_button,
            self.rename_button,
            self.remove_button,
        ):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.tree)
        layout.addWidget(self.note)
        layout.addWidget(self.buttons)


def _item(row: Row) -> QTreeWidgetItem:
    info = row.stored.info
    trouble = row.stored.error or row.trouble
    glands = f"{row.stored.glands:,}" if not row.stored.error else "?"
    item = QTreeWidgetItem([info.name, glands, info.class_name or "unknown"])
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    font = item.font(0)
    font.setBold(row.is_open)
    font.setItalic(bool(trouble))
    item.setFont(0, font)
    for column in range(3):
        item.setToolTip(column, trouble or _tip(row))
    return item


def _tip(row: Row) -> str:
    info, stored = row.stored.info, row.stored
    drawn = "whole glands" if info.way == "glands" else "regions"
    lines = [
        f"Drawn as {drawn}, {area_text(stored.annotated_px * info.mpp**2)} annotated"
        + (", all glands outlined" if info.complete else ""),
        f"{info.mpp:.3g} µm per pixel",
        f"Patient {info.patient or 'unknown'}",
        f"Last changed {info.modified[:16].replace('T', ' ')} UTC",
        f"In {row.project}",
    ]
    return "\n".join(lines)
