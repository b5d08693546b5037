"""The numbers where the cursor stands, or the latest: a row per loss of each training."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..plots import FigureOptions, RunHistory, loss_color, loss_title, on_ground
from ..plots.options import PANEL_HELP
from ..plots.reading import LOSS_PANELS, Reading, read_at
from ._loss_legend import sample_line

HEADERS = ("Loss", "loss", "weighted", "log σ²", "\N{GREEK SMALL LETTER SIGMA}", "weight", "%")
MOST_ROWS = 8
SHORT_LINE = QSize(18, 12)
HINT = "Point at a panel to read its values; with the keyboard: ←, →, Home, End."


class ValueTable(QWidget):
    """What the cursor reads."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("values")
        self.title = QLabel()
        self.title.setObjectName("values_title")
        self.title.setWordWrap(True)
        self.title.setToolTip(HINT)
        self.table = self._create_table()
        self.table.horizontalScrollBar().rangeChanged.connect(self._fit_height)
        self.measures = QLabel()
        self.measures.setObjectName("values_measures")
        self.measures.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for part in (self.title, self.table, self.measures):
            column.addWidget(part)

    def _create_table(self) -> QTableWidget:
        table = QTableWidget(0, len(HEADERS))
        table.setObjectName("values_table")
        table.setAccessibleName("Values at the cursor")
        table.setHorizontalHeaderLabels(HEADERS)
        for column, panel in enumerate(LOSS_PANELS, 1):
            table.horizontalHeaderItem(column).setToolTip(PANEL_HELP[panel])
        table.setIconSize(SHORT_LINE)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 4)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return table

    def show_values(
        self,
        runs: Sequence[RunHistory],
        x: float | None,
        options: FigureOptions,
        ground: str = "#000000",
    ) -> None:
        """Show the numbers at a step or epoch, the latest where it is None."""
        place = float("inf") if x is None else x
        found = [(run, read_at(run, place, options)) for run in runs]
        readings = [(run, reading) for run, reading in found if reading is not None]
        self.setVisible(bool(readings))
        if not readings:
            return
        self.title.setText(_title([reading for _, reading in readings], x, options))
        rows = [
            (run, reading, name, on_ground(loss_color(name, place), ground))
            for run, reading in readings
            for place, name in enumerate(run.losses)
        ]
        self._fit(len(rows))
        for row, (run, reading, name, color) in enumerate(rows):
            self._show_row(row, name, sample_line(color, runs.index(run), SHORT_LINE), reading)
            self.table.item(row, 0).setToolTip(run.name)
        several = len(readings) > 1
        self.measures.setText("\n".join(_measures(run, r, several) for run, r in readings))

    def _fit(self, rows: int) -> None:
        if self.table.rowCount() == rows:
            return
        self.table.setRowCount(rows)
        for row in range(rows):
            for column in range(len(HEADERS)):
                item = QTableWidgetItem()
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(row, column, item)
        self._fit_height()

    def _fit_height(self, *_: int) -> None:
        """Room for all rows, above the bar that is there where the columns are too many."""
        height = self.table.horizontalHeader().sizeHint().height() + 4
        rows = min(self.table.rowCount(), MOST_ROWS)
        height += rows * self.table.verticalHeader().defaultSectionSize()
        if (bar := self.table.horizontalScrollBar()).maximum() > 0:
            height += bar.sizeHint().height()
        self.table.setFixedHeight(height)

    def _show_row(self, row: int, name: str, line: QPixmap, reading: Reading) -> None:
        head = self.table.item(row, 0)
        head.setText(loss_title(name))
        head.setData(Qt.ItemDataRole.DecorationRole, line)
        values = reading.losses.get(name, {})
        for column, panel in enumerate(LOSS_PANELS, 1):
            self.table.item(row, column).setText(_number(values.get(panel), panel))


def _title(readings: Sequence[Reading], x: float | None, options: FigureOptions) -> str:
    last = max(reading.x for reading in readings)
    what = "Latest: " if x is None else ""
    where = f"{options.x} {last:,.0f}"
    if options.x == "step" and len(readings) == 1 and isfinite(readings[0].epoch):
        where += f", epoch {readings[0].epoch:,.0f}"
    mean = options.x == "step" and options.smoothing > 1
    smoothed = f" (losses: mean of {options.smoothing} steps)" if mean else ""
    text = f"{what}{where}{smoothed}"
    return text[0].upper() + text[1:]


def _measures(run: RunHistory, reading: Reading, several: bool) -> str:
    """The total and the measures; of several runs, the first measure of each."""
    parts = [f"total {_number(reading.total, 'total')}"]
    known = {title: value for title, value in reading.measures.items() if isfinite(value)}
    if known:
        shown = list(known.items())[: 1 if several else None]
        parts[0] += f"; after epoch {reading.measured:,.0f}: {shown[0][0]} "
        parts[0] += _number(shown[0][1], shown[0][0])
        parts += [f"{title} {_number(value, title)}" for title, value in shown[1:]]
    text = ", ".join(parts)
    return f"{run.name}: {text}" if several else text[0].upper() + text[1:]


def _number(value: float | None, panel: str) -> str:
    """Short enough for a narrow column."""
    if value is None or not isfinite(value):
        return "\N{EN DASH}"
    if panel == "shares":
        text = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"
    elif abs(value) >= 10:
        text = f"{value:.0f}" if abs(value) >= 100 or value.is_integer() else f"{value:.1f}"
    else:
        text = f"{value:.3f}" if 0 <= value < 1 else f"{value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")
