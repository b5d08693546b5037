"""The slides of a queue: their pixel size, which may be typed, and how far each of them is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from ..slides.pixel_size import plausible_mpp
from ._way import megapixels

COLUMNS = ("Slide", "µm/px", "State")
NAME, SIZE, STATE = range(len(COLUMNS))
NAME_WIDTH = 150
ASK = "enter"
ASK_COLOR = "#a1260d"


class SlideState(Enum):
    """Where a slide of a queue stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass
class QueuedSlide:
    """One row.

    Attributes
    ----------
    path : Path
    pixels : int
    mpp : float or None
        What the file says of its um per pixel.
    note : str
        Why `mpp` is None.
    typed : float or None
        What the user has entered instead.
    state : SlideState
    detail : str
        More about the state: how far, what was found, why it failed.
    result : Path or None
        The store, once there is one.
    """

    path: Path
    pixels: int
    mpp: float | None
    note: str = ""
    typed: float | None = None
    state: SlideState = SlideState.WAITING
    detail: str = ""
    result: Path | None = None

    @property
    def needs_size(self) -> bool:
        """Whether its pixel size has to be entered."""
        return self.mpp is None and self.typed is None


class SlideTable(QTableWidget):
    """The list, one row per slide.

    Attributes
    ----------
    open_clicked : Signal(int)
        A row was double-clicked.
    """

    open_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setObjectName("slide_table")
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setToolTip("Double-click a slide that is done to open its result.")
        self.verticalHeader().hide()
        self.setWordWrap(False)
        header = self.horizontalHeader()
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(NAME, NAME_WIDTH)
        header.setSectionResizeMode(SIZE, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.slides: list[QueuedSlide] = []
        self._filling = False
        self.itemChanged.connect(self._on_item_changed)
        self.cellDoubleClicked.connect(self._on_double_click)

    def add(self, slide: QueuedSlide) -> bool:
        """Append a slide, unless it is in the list already."""
        if any(known.path == slide.path for known in self.slides):
            return False
        self.slides.append(slide)
        self.insertRow(self.rowCount())
        self.show_row(self.rowCount() - 1)
        return True

    def remove_selected(self) -> None:
        """Take the selected rows out of the list."""
        for row in sorted({index.row() for index in self.selectedIndexes()}, reverse=True):
            del self.slides[row]
            self.removeRow(row)

    def row_of(self, path: Path) -> int | None:
        """The row of a slide; None if it is not in the list."""
        rows = [row for row, slide in enumerate(self.slides) if slide.path == path]
        return rows[0] if rows else None

    def set_state(self, row: int, state: SlideState, detail: str = "") -> None:
        """Say how far a slide is."""
        slide = self.slides[row]
        if (slide.state, slide.detail) != (state, detail):
            slide.state, slide.detail = state, detail
            self._fill(row, STATE, _state_text(slide), _state_text(slide))

    def show_row(self, row: int) -> None:
        """Fill all cells of a row."""
        slide = self.slides[row]
        about = f"{slide.path}\n{megapixels(slide.pixels)}"
        self._fill(row, NAME, slide.path.name, about)
        self._fill(row, SIZE, _size_text(slide), slide.note)
        self._fill(row, STATE, _state_text(slide), _state_text(slide))

    def enter_size(self, row: int, text: str) -> None:
        """Take a pixel size that the user has typed; nothing impossible is taken."""
        slide = self.slides[row]
        try:
            number = float(text.strip().replace(",", "."))
        except ValueError:
            number = math.nan
        slide.typed = plausible_mpp(number)
        self.show_row(row)

    def set_editable(self, editable: bool) -> None:
        """Whether pixel sizes can be typed now."""
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.SelectedClicked
            | QAbstractItemView.EditTrigger.AnyKeyPressed
            if editable
            else QAbstractItemView.EditTrigger.NoEditTriggers
        )

    def _fill(self, row: int, column: int, text: str, tooltip: str) -> None:
        item = self.item(row, column) or QTableWidgetItem()
        self._filling = True
        item.setText(text)
        item.setToolTip(tooltip)
        if column != SIZE:
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
        elif self.slides[row].needs_size:
            item.setBackground(QColor(ASK_COLOR))
        else:
            item.setData(Qt.ItemDataRole.BackgroundRole, None)
        if self.item(row, column) is None:
            self.setItem(row, column, item)
        self._filling = False

    def _on_item_changed(self, item: Any) -> None:
        if not self._filling and item.column() == SIZE:
            self.enter_size(item.row(), item.text())

    def _on_double_click(self, row: int, column: int) -> None:
        if column != SIZE:
            self.open_clicked.emit(row)


def _size_text(slide: QueuedSlide) -> str:
    mpp = slide.mpp if slide.typed is None else slide.typed
    return ASK if mpp is None else f"{mpp:.4g}"


def _state_text(slide: QueuedSlide) -> str:
    if slide.state is SlideState.RUNNING:
        return f"running {slide.detail}".strip()
    return f"{slide.state.value}: {slide.detail}" if slide.detail else slide.state.value
