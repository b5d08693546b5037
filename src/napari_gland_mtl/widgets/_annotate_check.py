"""The topology check of an annotation: a list of violations, a look at each, and Repair.

What breaks the rules of gland structure is found in a thread, again after every edit once it
was asked for. “Repair” mends what needs no guess; the rest stays in the list for the user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from . import _annotation_layers
from ._annotation_area import OpenArea
from ._annotation_store import Snapshot
from ._annotation_task import Task
from ._error_text import error_text
from ._view import canvas_size, world_corners, zoom_to

if TYPE_CHECKING:
    from ..annotations.proofreading import Mended
    from ..metrics.topology import Violation

WAIT_MS = 1200
BLINK_MS, BLINKS = 220, 6
CLOSE_UP_PX = 90
"""Px of the area around a violation that are brought into view."""
LISTED = 500
LIST_HEIGHT = 110
UNDO = "Undo the repair"


@dataclass(frozen=True)
class _Checked:
    area: OpenArea
    found: list[Violation]


@dataclass(frozen=True)
class _Repaired:
    area: OpenArea
    before: Snapshot
    mended: Mended


class CheckPanel(QWidget):
    """Lists the violations of an area, shows them and mends them.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    failed : Signal(str)
    """

    failed = Signal(str)

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._area: OpenArea | None = None
        self._found: list[Violation] = []
        self._mark: Any = None
        self._undo: _Repaired | None = None
        self._following = False
        self._blinks_left = 0
        self._words = ""
        self._create()
        self._arrange()
        self._timer = _timer(self, WAIT_MS, self._check, single=True)
        self._blinker = _timer(self, BLINK_MS, self._blink, single=False)
        self._check_task = Task("topology", self)
        self._check_task.done.connect(self._on_checked)
        self._repair_task = Task("repair", self)
        self._repair_task.done.connect(self._on_repaired)
        for task in (self._check_task, self._repair_task):
            task.failed.connect(self._on_failed)
        self.show_found([])

    @property
    def running(self) -> bool:
        """Whether a check or a repair is still to come."""
        return bool(self._timer.isActive() or self._check_task.running or self._repair_task.running)

    @property
    def bridges(self) -> list[Any]:
        """What runs threads."""
        return [self._check_task.bridge, self._repair_task.bridge]

    def set_area(self, area: OpenArea | None) -> None:
        """Check another area when asked to; marks of the last one go."""
        if area is self._area:
            return
        self.remove_mark()
        self._timer.stop()
        self._check_task.forget()
        self._area, self._following, self._words = area, False, ""
        self.undo_button.setVisible(self._undo is not None and self._undo.area is area)
        self.show_found([])

    def check(self) -> None:
        """Look for violations now, and after every edit from now on."""
        self._following = True
        self._words = ""
        self._check()

    def repair(self) -> None:
        """Mend what needs no guess, as one step that Ctrl-Z undoes."""
        area = self._area
        if area is None or self._repair_task.running:
            return
        area.tidy()
        self._following = True
        self.repair_button.setEnabled(False)
        before = area.snapshot()
        self._repair_task.start(_mending(area, before))

    def on_edited(self) -> None:
        """The area may have been changed: the list follows."""
        if self._area is not None and self._following:
            self._timer.start()

    def show_found(self, found: Sequence[Violation]) -> None:
        """List violations."""
        self._found = list(found)
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems([violation_text(v) for v in self._found[:LISTED]])
        self.list.blockSignals(False)
        self.list.setVisible(bool(self._found))
        self.repair_button.setEnabled(bool(self._found))
        self.label.setText(" ".join(text for text in (self._words, self._summary()) if text))
        self.label.setVisible(bool(self.label.text()))

    def look_at(self, index: int) -> None:
        """Bring a violation into view and mark it."""
        area = self._area
        if area is None or not 0 <= index < len(self._found):
            return
        violation = self._found[index]
        box = (violation.y0, violation.x0, violation.y1, violation.x1)
        layer = area.painted_layer
        around = (
            box[0] - CLOSE_UP_PX,
            box[1] - CLOSE_UP_PX,
            box[2] + CLOSE_UP_PX,
            box[3] + CLOSE_UP_PX,
        )
        zoom_to(self._viewer, world_corners(layer, around), canvas_size(self), 1.0)
        self._mark = _annotation_layers.show_mark(self._viewer, layer, box, self._mark)
        self._blinks_left = BLINKS
        self._blinker.start()

    def remove_mark(self) -> None:
        """Take the mark away."""
        self._blinker.stop()
        if self._mark is not None:
            _annotation_layers.remove_layers(self._viewer, [self._mark])
            self._mark = None

    def _summary(self) -> str:
        if not self._following:
            return ""
        count = len(self._found)
        if not count:
            return "No place breaks the rules of gland structure."
        places = "1 place breaks" if count == 1 else f"{count:,} places break"
        more = f" The first {LISTED} are listed." if count > LISTED else ""
        return f"{places} the rules of gland structure. Click one to see it.{more}"

    def _check(self) -> None:
        area = self._area
        if area is not None:
            area.tidy()
            self._check_task.start(_checking(area, area.snapshot()))

    def _on_checked(self, checked: _Checked) -> None:
        if checked.area is self._area:
            if not checked.found:
                self.remove_mark()
            self.show_found(checked.found)

    def _on_repaired(self, done: _Repaired) -> None:
        if done.area is not self._area:
            return
        now = done.area.snapshot()
        if _differ(now, done.before):  # painted on meanwhile: mend what there is now
            self.repair()
            return
        self._apply(done)
        self._words = _repair_text(done.mended)
        self.remove_mark()
        self._check()

    def _on_failed(self, error: BaseException) -> None:
        self.repair_button.setEnabled(bool(self._found))  # it can be tried again
        self.failed.emit(error_text(error))

    def _apply(self, done: _Repaired) -> None:
        _annotation_layers.set_labels(done.area.regions_layer, done.mended.regions)
        if done.area.glands_layer is not None:
            _annotation_layers.set_labels(done.area.glands_layer, done.mended.glands)
        if done.mended.mended:
            self._undo = done
            self.undo_button.show()

    def _undo_repair(self, *_: Any) -> None:
        done, self._undo = self._undo, None
        self.undo_button.hide()
        if done is None or done.area is not self._area:
            return
        area = done.area
        _revert(area.regions_layer, done.before.regions, done.mended.regions)
        if area.glands_layer is not None:
            _revert(area.glands_layer, done.before.glands, done.mended.glands)
        self._words = "The repair was undone."
        self._check()

    def _blink(self) -> None:
        self._blinks_left -= 1
        if self._mark is not None:
            self._mark.visible = self._blinks_left % 2 == 0
        if self._blinks_left <= 0:
            self._blinker.stop()

    def _create(self) -> None:
        self.check_button = _button(
            "check_button",
            "Check",
            "Find places that no gland can have: lumen at the stroma, holes, loose pieces.",
            lambda: self.check(),
        )
        self.repair_button = _button(
            "repair_button",
            "Repair",
            "Mend what needs no guess: specks, small holes, lumen one pixel from the stroma. "
            "Ctrl-Z undoes it in the selected layer.",
            lambda: self.repair(),
        )
        self.undo_button = _button(
            "undo_repair_button", UNDO, "Put back what the repair changed.", self._undo_repair
        )
        self.undo_button.hide()
        self.list = QListWidget()
        self.list.setObjectName("violation_list")
        self.list.setToolTip("Click a place to see it.")
        self.list.setFixedHeight(LIST_HEIGHT)
        self.list.itemClicked.connect(lambda _: self.look_at(self.list.currentRow()))
        self.list.currentRowChanged.connect(self.look_at)
        self.label = QLabel()
        self.label.setObjectName("check_label")
        self.label.setWordWrap(True)

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.check_button)
        row.addWidget(self.repair_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        for widget in (self.label, self.list, self.undo_button):
            layout.addWidget(widget)


def violation_text(violation: Violation) -> str:
    """A violation in words."""
    size = f"{violation.pixels:,} px"
    gland = f"Gland {violation.gland}" if violation.gland else "A gland"
    return {
        "outside_parent": f"Lumen outside any gland ({size})",
        "touches_outside": f"{gland}: lumen touches what is outside ({size})",
        "extra_pieces": f"{gland}: a second piece ({size})",
        "holes": f"{gland}: a hole ({size})",
    }[violation.rule]


def _repair_text(mended: Mended) -> str:
    if not mended.mended:
        return "Nothing could be mended without a guess: mend the places below by hand."
    text = "1 place was mended." if mended.mended == 1 else f"{mended.mended:,} places were mended."
    return f"{text} The rest needs your eye." if mended.left else text


def _checking(area: OpenArea, snapshot: Snapshot) -> Callable[[], _Checked]:
    def check() -> _Checked:
        from ..annotations.proofreading import violations

        return _Checked(area, violations(area.store.area(snapshot)))

    return check


def _mending(area: OpenArea, snapshot: Snapshot) -> Callable[[], _Repaired]:
    def repair() -> _Repaired:
        from ..annotations.proofreading import mend_area

        return _Repaired(area, snapshot, mend_area(area.store.area(snapshot)))

    return repair


def _differ(first: Snapshot, second: Snapshot) -> bool:
    return not (
        np.array_equal(first.glands, second.glands)
        and np.array_equal(first.regions, second.regions)
    )


def _revert(layer: Any, before: Any, after: Any) -> None:
    """Put back what was changed, and not what was painted over it since."""
    now = np.asarray(layer.data)
    _annotation_layers.set_labels(layer, np.where((before != after) & (now == after), before, now))


def _button(name: str, text: str, tip: str, slot: Callable[..., None]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.clicked.connect(slot)
    return button


def _timer(parent: QWidget, interval: int, slot: Callable[[], None], single: bool) -> QTimer:
    timer = QTimer(parent)
    timer.setInterval(interval)
    timer.setSingleShot(single)
    timer.timeout.connect(slot)
    return timer
