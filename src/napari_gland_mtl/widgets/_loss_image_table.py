"""The training images as a table: a row each, those that stand out most first."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from ..plots import Ranking, loss_title
from ..plots.image_table import LOG_VAR, RECENT

NAME, COMPARED = 0, 1
NAME_WIDTH, COMPARED_WIDTH, NUMBER_WIDTH = 110, 182, 66
ROWS_SHOWN = 10
HELP = {
    NAME: "The training image. Click it to see its course, double-click it to open it.",
    COMPARED: "How it compares with the median of all images, in the loss in which it stands out "
    "most: the loss itself, or sigma squared if ranked by the learned uncertainty.",
}
SHORT = {"classification": "Class", "segmentation": "Segment."}
"""Titles that fit above a number."""
VALUE_HELP = f"Mean of the last {RECENT} epochs in which the image was seen."


class ImageModel(QAbstractTableModel):
    """A ranking as Qt's tables read it; sorted by any column."""

    def __init__(self) -> None:
        super().__init__()
        self.ranking: Ranking | None = None
        self._columns: list[str] = []
        self._order: list[int] = []
        self._sorted_by = COMPARED, Qt.SortOrder.DescendingOrder

    def show_ranking(self, ranking: Ranking | None) -> None:
        """Show these images."""
        self.beginResetModel()
        self.ranking = ranking
        self._columns = [] if ranking is None else list(ranking.values)
        column, order = self._sorted_by
        if column >= self.columnCount():
            self._sorted_by = column, order = COMPARED, Qt.SortOrder.DescendingOrder
        self._order = self._ordered(column, order)
        self.endResetModel()

    def name(self, row: int) -> str:
        """The image of a row; empty where there is none."""
        if self.ranking is None or not 0 <= row < len(self._order):
            return ""
        return self.ranking.names[self._order[row]]

    def words(self, name: str) -> str:
        """How an image compares with the others, in full; empty where it is not there."""
        if self.ranking is None or name not in self.ranking.names:
            return ""
        return self.ranking.words(self.ranking.names.index(name))

    def row_of(self, name: str) -> int:
        """The row of an image, -1 if it is not there."""
        if self.ranking is None or name not in self.ranking.names:
            return -1
        return self._order.index(self.ranking.names.index(name))

    # ---------------------------------------------------------------- Qt's side

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many images."""
        return len(self._order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Name, words, and the numbers of each loss."""
        return 2 + len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell."""
        if self.ranking is None or not index.isValid():
            return None
        place, column = self._order[index.row()], index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole and column > COMPARED:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole and column <= COMPARED:
            return f"{self.ranking.names[place]}\n{self.ranking.words(place)}"
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if column == NAME:
            return self.ranking.names[place]
        if column == COMPARED:
            return self.ranking.short(place)
        return _number(float(self.ranking.values[self._columns[column - 2]][place]))

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """A title, in two lines for numbers, or what it means."""
        if orientation != Qt.Orientation.Horizontal or section >= self.columnCount():
            return None
        if role == Qt.ItemDataRole.ToolTipRole:
            return HELP.get(section, VALUE_HELP)
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return (
            ("Image", "Against the others")[section]
            if section <= COMPARED
            else self._title(section)
        )

    def _title(self, section: int) -> str:
        column = self._columns[section - 2]
        name = column.removeprefix(LOG_VAR)
        short = SHORT.get(name, loss_title(name))
        return f"{short}\n{'loss' if name == column else 'log σ²'}"

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """By a column; nothing known comes last."""
        if 0 <= column < self.columnCount():
            self.layoutAboutToBeChanged.emit()
            before = self.persistentIndexList()
            places = [self._order[index.row()] for index in before]
            self._sorted_by = column, order
            self._order = self._ordered(column, order)
            # The row that is marked goes where its image goes.
            rows = {place: row for row, place in enumerate(self._order)}
            moved = zip(places, before, strict=True)
            after = [self.index(rows[place], index.column()) for place, index in moved]
            self.changePersistentIndexList(before, after)
            self.layoutChanged.emit()

    def _ordered(self, column: int, order: Any) -> list[int]:
        if self.ranking is None:
            return []
        count, down = len(self.ranking.names), order == Qt.SortOrder.DescendingOrder
        if column == COMPARED:
            return list(range(count)) if down else list(range(count - 1, -1, -1))
        if column == NAME:
            return sorted(range(count), key=self.ranking.names.__getitem__, reverse=down)
        values = self.ranking.values[self._columns[column - 2]]
        known = np.where(np.isfinite(values), -values if down else values, np.inf)
        return np.argsort(known, kind="stable").tolist()


class ImageTableView(QTableView):
    """Shows the images; one of them may be chosen.

    Parameters
    ----------
    parent : QWidget, optional
    """

    chosen = Signal(str)
    """Another image is chosen; empty if none is."""
    open_clicked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("image_table")
        self.setAccessibleName("Training images")
        self.images = ImageModel()
        self.setModel(self.images)
        self._name = ""
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSortingEnabled(True)
        self._arrange_headers()
        self.selectionModel().currentRowChanged.connect(self._on_row)
        self.doubleClicked.connect(
            lambda index: self.open_clicked.emit(self.images.name(index.row()))
        )

    def _arrange_headers(self) -> None:
        self.verticalHeader().hide()
        row = self.fontMetrics().height() + 6
        self.verticalHeader().setDefaultSectionSize(row)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSortIndicator(COMPARED, Qt.SortOrder.DescendingOrder)
        header.setDefaultSectionSize(NUMBER_WIDTH)
        self.setFixedHeight(header.sizeHint().height() + (ROWS_SHOWN + 1) * row + 8)

    @property
    def name(self) -> str:
        """The image that is chosen; empty if none is."""
        return self._name

    def show_ranking(self, ranking: Ranking | None) -> None:
        """Show these images; the chosen one stays chosen, and the table where it is scrolled to."""
        before, top = self.images.columnCount(), self.verticalScrollBar().value()
        shown = self.images.ranking
        otherwise = shown is not None and ranking is not None and shown.by != ranking.by
        blocked = QSignalBlocker(self.selectionModel())
        self.images.show_ranking(ranking)
        if before != self.images.columnCount():
            self._fit_columns()
        if otherwise:
            # Whoever ranks otherwise wants to see that order; and the columns have moved.
            self.sortByColumn(COMPARED, Qt.SortOrder.DescendingOrder)
            top = 0
        row = self.images.row_of(self._name)
        if row >= 0:
            self.setCurrentIndex(self.images.index(row, NAME))
        blocked.unblock()
        self.verticalScrollBar().setValue(top)
        if row < 0 and self._name:
            self._set_name("")

    def choose(self, name: str) -> None:
        """Choose an image, if it is there."""
        row = self.images.row_of(name)
        if row >= 0:
            self.setCurrentIndex(self.images.index(row, NAME))

    def _fit_columns(self) -> None:
        for column in range(self.images.columnCount()):
            width = {NAME: NAME_WIDTH, COMPARED: COMPARED_WIDTH}.get(column, NUMBER_WIDTH)
            self.setColumnWidth(column, width)

    def _on_row(self, current: QModelIndex, _: QModelIndex) -> None:
        self._set_name(self.images.name(current.row()) if current.isValid() else "")

    def _set_name(self, name: str) -> None:
        if name != self._name:
            self._name = name
            self.chosen.emit(name)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Enter opens the chosen image."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._name:
            self.open_clicked.emit(self._name)
        else:
            super().keyPressEvent(event)


def _number(value: float) -> str:
    if not isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")
