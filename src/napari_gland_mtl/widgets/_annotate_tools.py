"""What is done to the open area: tools to draw with, its class, whether all glands are there."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..regions import GLAND_REGIONS
from . import _annotation_layers
from ._annotation_area import OpenArea

CLASSES = ("", "benign", "malignant")
UNKNOWN = "unknown"
GLANDS_HINT = (
    "Click around a gland and double-click to end; the next outline is the next gland. To change "
    "one, press “Pick”, click it, then paint. Ctrl-Z undoes."
)
REGIONS_HINT = "Paint as much as you are sure of. What stays empty is ignored."
ERASE = "not annotated"


class AreaTools(QWidget):
    """The tools for one area.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    changed : Signal
        The class or the tick was changed by the user.
    """

    changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._area: OpenArea | None = None
        self._picking = False
        self.hint = QLabel()
        self.hint.setObjectName("tools_hint")
        self.hint.setWordWrap(True)
        self.gland_tools = self._create_gland_tools()
        self.next_tick = _tick(
            "next_gland_tick",
            "Each new outline is another gland",
            "After every outline drawn with the polygon tool the next free label is chosen.",
        )
        self.next_tick.setChecked(True)
        self.region_caption = QLabel("Paint over, where lumen or epithelium is wrong:")
        self.region_caption.setWordWrap(True)
        self.region_tools = self._create_region_tools()
        self.complete_tick = _tick(
            "complete_tick",
            "All glands in this area are outlined",
            "Then all the rest of the area is stroma. Without the tick only the glands and a thin "
            "ring around each are learned from.",
        )
        self.class_combo = QComboBox()
        self.class_combo.setObjectName("class_combo")
        for name in CLASSES:
            self.class_combo.addItem(name or UNKNOWN, name)
        self.class_combo.setToolTip(
            "What the glands of this area are. Of an unknown class nothing is learned about it."
        )
        self.complete_tick.toggled.connect(self._on_changed)
        self.class_combo.currentIndexChanged.connect(self._on_changed)
        self._arrange()

    def set_area(self, area: OpenArea | None) -> None:
        """Show the tools for an area."""
        before = None if self._area is None else self._area.glands_layer
        if before is not None:
            before.events.paint.disconnect(self._on_outline)
            before.events.selected_label.disconnect(self._on_picked)
        self._area, self._picking = area, False
        if area is None:
            return
        glands = area.glands_layer
        if glands is not None:
            glands.events.paint.connect(self._on_outline)
            glands.events.selected_label.connect(self._on_picked)
        for widget in (self.gland_tools, self.next_tick, self.complete_tick, self.region_caption):
            widget.setVisible(glands is not None)
        self.hint.setText(REGIONS_HINT if glands is None else GLANDS_HINT)
        self.show_info()

    def show_info(self) -> None:
        """Show the settings of the area."""
        if self._area is None:
            return
        info = self._area.info
        for control in (self.class_combo, self.complete_tick):
            control.blockSignals(True)
        if self.class_combo.findData(info.class_name) < 0:  # written by another program
            self.class_combo.addItem(info.class_name, info.class_name)
        self.class_combo.setCurrentIndex(self.class_combo.findData(info.class_name))
        self.complete_tick.setChecked(info.complete)
        for control in (self.class_combo, self.complete_tick):
            control.blockSignals(False)

    def new_gland(self, *_: Any) -> None:
        """Let the next outline be a new gland."""
        area = self._area
        if area is not None and area.glands_layer is not None:
            label = _annotation_layers.next_free_label(area.glands)
            layer = area.glands_layer
            mode = str(layer.mode) if str(layer.mode) in ("paint", "polygon") else "polygon"
            _annotation_layers.paint_with(self._viewer, layer, label, mode)

    def pick(self, *_: Any) -> None:
        """Let a click choose the gland that is painted on."""
        if self._area is not None and self._area.glands_layer is not None:
            layer = self._area.glands_layer
            _annotation_layers.paint_with(self._viewer, layer, layer.selected_label, "pick")
            self._picking = True

    def erase(self, *_: Any) -> None:
        """Erase glands."""
        if self._area is not None and self._area.glands_layer is not None:
            _annotation_layers.paint_with(self._viewer, self._area.glands_layer, 0, "erase")

    def paint_region(self, code: int) -> None:
        """Paint a region; 0 takes away what was painted."""
        if self._area is not None:
            mode = "paint" if code else "erase"
            _annotation_layers.paint_with(self._viewer, self._area.regions_layer, code, mode)

    def _on_outline(self, event: Any = None) -> None:
        area = self._area
        layer = None if area is None else area.glands_layer
        if layer is None or not self.next_tick.isChecked() or str(layer.mode) != "polygon":
            return
        if layer.selected_label != layer.colormap.background_value:
            # napari says that it paints before it has painted.
            free = _annotation_layers.next_free_label(layer.data)
            layer.selected_label = max(free, layer.selected_label + 1)

    def _on_picked(self, event: Any = None) -> None:
        """What was picked is to be painted on."""
        layer = None if self._area is None else self._area.glands_layer
        if layer is None or not self._picking or str(layer.mode) != "pick":
            return
        if layer.selected_label != layer.colormap.background_value:
            self._picking = False
            # Not before napari has done with the click that picked it.
            QTimer.singleShot(0, partial(_paint, layer))

    def _on_changed(self, *_: Any) -> None:
        if self._area is not None:
            self._area.change(
                class_name=self.class_combo.currentData(),
                complete=self.complete_tick.isChecked(),
            )
            self.changed.emit()

    def _create_gland_tools(self) -> QWidget:
        return _row(
            _button(
                "new_gland_button",
                "New gland",
                "Outline another gland, under the next free label (key M).",
                self.new_gland,
            ),
            _button("pick_button", "Pick", "Click a gland, then paint to enlarge it.", self.pick),
            _button("erase_button", "Erase", "Erase glands, or parts of them.", self.erase),
        )

    def _create_region_tools(self) -> QWidget:
        buttons = []
        for code, region in enumerate(GLAND_REGIONS.regions, 1):
            tip = f"Paint {region.name}."
            button = _button(
                f"{region.name}_button",
                region.name,
                tip,
                lambda *_, c=code: self.paint_region(c),
            )
            button.setIcon(_icon(region.color))
            buttons.append(button)
        erase = "Take away what was painted: nothing is said there any more."
        buttons.append(_button("unpaint_button", ERASE, erase, lambda *_: self.paint_region(0)))
        grid = QWidget()
        layout = QGridLayout(grid)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for index, button in enumerate(buttons):
            layout.addWidget(button, index // 2, index % 2)
        return grid

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(QLabel("Class"))
        row.addWidget(self.class_combo, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (
            self.hint,
            self.gland_tools,
            self.next_tick,
            self.complete_tick,
            self.region_caption,
            self.region_tools,
        ):
            layout.addWidget(widget)
        layout.addLayout(row)


def _paint(layer: Any) -> None:
    layer.mode = "paint"


def _tick(name: str, text: str, tip: str) -> QCheckBox:
    tick = QCheckBox(text)
    tick.setObjectName(name)
    tick.setToolTip(tip)
    return tick


def _button(name: str, text: str, tip: str, slot: Any) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.clicked.connect(slot)
    return button


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def _icon(color: str) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
