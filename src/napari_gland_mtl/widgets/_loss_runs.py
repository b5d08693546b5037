"""The list of trainings, with a tick for each that is shown, and following the newest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ._loss_legend import LINE, sample_line

if TYPE_CHECKING:
    from ..jobs.runs import RunEntry

MOST_ROWS, ROW_MARGIN = 4, 8
_PATH = Qt.ItemDataRole.UserRole
_STATE = Qt.ItemDataRole.UserRole + 1


class RunList(QWidget):
    """Which trainings are shown."""

    chosen = Signal()
    """Others are ticked now."""

    def __init__(self) -> None:
        super().__init__()
        self._color = "#888888"
        self._entries: dict[Path, RunEntry] = {}
        self._by_hand: dict[Path, str] = {}
        self._ticked: list[Path] = []
        self._followed: Path | None = None
        self.list = self._create_list()
        self.follow = self._create_follow()
        self.open_button = self._create_open_button()
        self._refresh()
        row = QHBoxLayout()
        row.addWidget(self.follow, 1)
        row.addWidget(self.open_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.list)
        column.addLayout(row)

    def _create_list(self) -> QListWidget:
        found = QListWidget()
        found.setObjectName("runs")
        found.setAccessibleName("Trainings")
        found.setToolTip(
            "Trainings, the newest first. Tick several to compare them: each has its own kind of "
            "line. Space ticks the selected one."
        )
        found.setIconSize(LINE)
        found.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        found.itemChanged.connect(self._on_item_changed)
        return found

    def _create_follow(self) -> QCheckBox:
        box = QCheckBox("Follow the newest")
        box.setObjectName("follow_newest")
        box.setToolTip("When a training starts, here or in another window, show it.")
        box.setChecked(True)
        box.toggled.connect(self._follow_newest)
        return box

    def _create_open_button(self) -> QPushButton:
        button = QPushButton("Open…")
        button.setObjectName("open_run")
        button.setToolTip(
            "Open a run folder that is not in the list, such as one of the command line."
        )
        button.clicked.connect(self._ask)
        return button

    # ---------------------------------------------------------------- what is shown

    @property
    def ticked(self) -> tuple[Path, ...]:
        """Run folders that are shown, in the order in which they were ticked."""
        return tuple(self._ticked)

    def name_of(self, path: Path) -> str:
        """How a training is called."""
        entry = self._entries.get(path)
        return entry.name if entry else self._by_hand.get(path, path.name)

    def show_entries(self, entries: Sequence[RunEntry]) -> None:
        """List these trainings, besides those that were opened by hand."""
        self._entries = {entry.path.absolute(): entry for entry in entries}
        gone = [path for path in self._ticked if not self._known(path) and not path.exists()]
        for path in gone:
            self._ticked.remove(path)
        if not self._follow_newest() and gone:
            self.chosen.emit()
        self._refresh()

    def show_only(self, path: Path) -> None:
        """Tick this training alone; it need not be in the list."""
        path = (path.parent if path.is_file() else path).absolute()
        if path not in self._entries:
            self._by_hand.setdefault(path, path.name)
        self._set_ticked([path])

    def set_color(self, color: str) -> None:
        """The colour of the sample lines."""
        if color != self._color:
            self._color = color
            self._refresh()

    def forget(self, path: Path) -> None:
        """Untick a training that cannot be read."""
        self._by_hand.pop(path, None)
        if path in self._ticked:
            self._set_ticked([other for other in self._ticked if other != path])

    def _known(self, path: Path) -> bool:
        return path in self._entries or path in self._by_hand

    def _follow_newest(self, *_: Any) -> bool:
        """Show the newest running training in place of the last one that was followed."""
        if not self.follow.isChecked():
            return False
        running = [path for path, entry in self._entries.items() if entry.state == "running"]
        newest = (running or ([] if self._ticked else list(self._entries)))[:1]
        if not newest or newest[0] in (self._followed, *self._ticked):
            return False
        others = [path for path in self._ticked if path != self._followed]
        alone = not others or (others == self._ticked[:1] and self._followed is None)
        self._followed = newest[0]
        self._set_ticked(newest if alone else [*newest, *others])
        return True

    def _set_ticked(self, paths: list[Path]) -> None:
        if paths != self._ticked:
            self._ticked = paths
            self._refresh()
            self.chosen.emit()

    def _on_item_changed(self, item: QListWidgetItem) -> None:
        path = item.data(_PATH)
        wanted = item.checkState() == Qt.CheckState.Checked
        if wanted and path not in self._ticked:
            self._set_ticked([*self._ticked, path])
        elif not wanted and path in self._ticked:
            self._set_ticked([other for other in self._ticked if other != path])

    # ---------------------------------------------------------------- the list

    def _refresh(self) -> None:
        """Change the rows in place: the selected one stays, and nothing flickers.

        A row that says the same as before is left alone: a training changes every other second,
        and to paint its row takes time from it.
        """
        by_hand = [path for path in self._by_hand if path not in self._entries]
        paths = [*by_hand, *self._entries]
        self.list.blockSignals(True)
        while self.list.count() > len(paths):
            self.list.takeItem(self.list.count() - 1)
        while self.list.count() < len(paths):
            self.list.addItem(QListWidgetItem())
        for row, path in enumerate(paths):
            self._show_row(self.list.item(row), path)
        self.list.blockSignals(False)
        rows = min(max(1, len(paths)), MOST_ROWS)
        self.list.setFixedHeight(rows * self._row_height() + 2 * self.list.frameWidth())

    def _row_height(self) -> int:
        """Room above and below the text: rows that touch are hard to read and to click."""
        return int(self.list.fontMetrics().height()) + ROW_MARGIN

    def _show_row(self, item: QListWidgetItem, path: Path) -> None:
        place = self._ticked.index(path) if path in self._ticked else None
        state = repr((path, self._text(path), place, self._color))
        if item.data(_STATE) == state:
            return
        shown = place is not None
        item.setData(_STATE, state)
        item.setData(_PATH, path)
        item.setText(self._text(path))
        item.setSizeHint(QSize(0, self._row_height()))
        item.setToolTip(str(path))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked)
        item.setIcon(QIcon(sample_line(self._color, place)))

    def _text(self, path: Path) -> str:
        entry = self._entries.get(path)
        if entry is None:
            return self.name_of(path)
        epochs = f", epoch {entry.epoch} of {entry.epochs}" if entry.epochs else ""
        return f"{entry.name} ({entry.state}{epochs})"

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Open the run folder of a training")
        if chosen:
            path = Path(chosen).absolute()
            if path not in self._entries:
                self._by_hand.setdefault(path, path.name)
            # Who asks for this one wants to see it, whatever starts meanwhile.
            self.follow.setChecked(False)
            self._set_ticked([*(other for other in self._ticked if other != path), path])
