"""The annotated areas with a tick each, and whether an area teaches or tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ._finetune_parts import Candidate, planned_parts

if TYPE_CHECKING:
    from ..annotations.area import Part
    from ..annotations.project import StoredArea

COLUMNS = ("Area", "Slide", "Use for", "Class", "Glands", "Pixels", "µm/px")
AREA, SLIDE, USE, CLASS, GLANDS, PIXELS, SIZE = range(len(COLUMNS))
SLIDE_WIDTH, USE_WIDTH = 80, 148
ROWS_SHOWN = 4, 12
"""At least and at most; more are scrolled to."""
PARTS = ("auto", "training", "validation")
ERROR_COLOR = "#a1260d"
UNKNOWN = "unknown"

Key = tuple[Path, str]


@dataclass(frozen=True)
class SeenArea:
    """An annotated area of a project.

    Attributes
    ----------
    project : Path
    stored : StoredArea
        What its attributes say.
    """

    project: Path
    stored: StoredArea

    @property
    def key(self) -> Key:
        """What recognises it."""
        return self.project, self.stored.key

    @property
    def problem(self) -> str:
        """Why it cannot teach anything; empty if it can."""
        if self.stored.error:
            return str(self.stored.error)
        if not self.stored.annotated_px:
            return "Nothing is annotated in this area yet."
        return ""


class AreaTable(QTableWidget):
    """One row per area; new ones are ticked if something is annotated in them.

    Attributes
    ----------
    changed : Signal
        Other areas are ticked, or one is used otherwise.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setObjectName("area_table")
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for column, width in ((SLIDE, SLIDE_WIDTH), (USE, USE_WIDTH)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            header.resizeSection(column, width)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.areas: list[SeenArea] = []
        self._unticked: set[Key] = set()
        self._parts: dict[Key, Part] = {}
        self._filling = False
        self.itemChanged.connect(self._on_item_changed)
        self._fit()

    def show_areas(self, areas: Sequence[SeenArea]) -> None:
        """List these areas; ticks and uses of those that were there stay."""
        self.areas = list(areas)
        self._filling = True
        self.setRowCount(len(self.areas))
        for row, area in enumerate(self.areas):
            self._fill_row(row, area)
        self._filling = False
        self._show_plan()
        self._fit()
        self.changed.emit()

    def ticked(self) -> list[SeenArea]:
        """The areas that take part."""
        return [area for area in self.areas if not area.problem and area.key not in self._unticked]

    def plan(self) -> dict[Key, Part]:
        """``training`` or ``validation`` for each ticked area."""
        plan = planned_parts([self._candidate(area) for area in self.ticked()])
        return cast("dict[Key, Part]", plan)

    def tick(self, row: int, ticked: bool = True) -> None:
        """Tick an area, or take its tick away."""
        state = Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        self.item(row, AREA).setCheckState(state)

    def tick_all(self, ticked: bool) -> None:
        """Tick all areas, or none."""
        keys = {area.key for area in self.areas}
        self._unticked = self._unticked - keys if ticked else self._unticked | keys
        self.show_areas(self.areas)

    def use_for(self, row: int, part: Part) -> None:
        """Set what an area is used for."""
        combo = cast(QComboBox, self.cellWidget(row, USE))
        combo.setCurrentIndex(PARTS.index(part))

    def _fit(self) -> None:
        """As high as its rows, within reason."""
        low, high = ROWS_SHOWN
        rows = min(max(len(self.areas), low), high)
        extra = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth()
        extra += self.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(extra + rows * self.verticalHeader().defaultSectionSize())

    def _candidate(self, area: SeenArea) -> Candidate:
        info = area.stored.info
        group = info.patient or info.slide
        return Candidate(area.key, group, self._part(area), info.class_name)

    def _part(self, area: SeenArea) -> Part:
        return self._parts.get(area.key, area.stored.info.part)

    def _fill_row(self, row: int, area: SeenArea) -> None:
        problem = area.problem
        for column, text in _cells(area).items():
            item = QTableWidgetItem(text)
            item.setToolTip(problem or _about(area))
            if problem:
                item.setForeground(QColor(ERROR_COLOR if area.stored.error else "gray"))
            if column in (GLANDS, PIXELS, SIZE):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
        self._fill_tick(row, area)
        self._fill_use(row, area)

    def _fill_tick(self, row: int, area: SeenArea) -> None:
        item, plain = self.item(row, AREA), Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        item.setFlags(plain if area.problem else plain | Qt.ItemFlag.ItemIsUserCheckable)
        ticked = not area.problem and area.key not in self._unticked
        item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)

    def _fill_use(self, row: int, area: SeenArea) -> None:
        combo = cast("QComboBox | None", self.cellWidget(row, USE)) or self._create_use(row)
        combo.blockSignals(True)
        combo.setCurrentIndex(0 if area.stored.error else PARTS.index(self._part(area)))
        combo.blockSignals(False)
        combo.setEnabled(not area.problem)

    def _create_use(self, row: int) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName(f"use_combo_{row}")
        combo.addItems(["auto", "training", "validation"])
        combo.setToolTip(
            "Training areas teach the model, validation areas measure it. Auto divides by slide, "
            "so that no slide does both."
        )
        combo.currentIndexChanged.connect(partial(self._on_used, row))
        self.setCellWidget(row, USE, combo)
        return combo

    def _show_plan(self) -> None:
        """Say which side the automatic areas are on."""
        plan = self.plan()
        for row, area in enumerate(self.areas):
            combo = cast(QComboBox, self.cellWidget(row, USE))
            side = plan.get(area.key)
            combo.setItemText(0, f"auto: {side}" if side else "auto")

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if self._filling or item.column() != AREA:
            return
        key = self.areas[item.row()].key
        if item.checkState() == Qt.CheckState.Checked:
            self._unticked.discard(key)
        else:
            self._unticked.add(key)
        self._show_plan()
        self.changed.emit()

    def _on_used(self, row: int, index: int) -> None:
        self._parts[self.areas[row].key] = cast("Part", PARTS[index])
        self._show_plan()
        self.changed.emit()


def _cells(area: SeenArea) -> Mapping[int, str]:
    stored = area.stored
    if stored.error:
        unread: dict[int, str] = dict.fromkeys(range(len(COLUMNS)), "")
        return {**unread, AREA: "cannot be read", SLIDE: area.project.name}
    info: Any = stored.info
    return {
        AREA: info.name,
        USE: "",
        CLASS: info.class_name or UNKNOWN,
        GLANDS: f"{stored.glands:,}" if info.way == "glands" else "-",
        PIXELS: pixels_text(stored.annotated_px),
        SIZE: f"{info.mpp:.3g}",
        SLIDE: info.slide,
    }


def _about(area: SeenArea) -> str:
    info = area.stored.info
    way = "whole glands" if info.way == "glands" else "regions"
    rest = ", everything in it" if info.complete else ""
    return f"{info.slide}, {info.name}: annotated as {way}{rest}.\n{area.project}"


def pixels_text(pixels: int) -> str:
    """``950``, ``26 k`` or ``1.2 M``."""
    if pixels < 1000:
        return f"{pixels:,}"
    return f"{pixels / 1e3:.0f} k" if pixels < 1e6 else f"{pixels / 1e6:.1f} M"
