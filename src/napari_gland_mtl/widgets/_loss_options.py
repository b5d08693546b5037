"""How the figure is drawn: over what, how smooth, which panels; and what is saved of it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSlider,
    QWidget,
)

from ..plots import FigureOptions
from ..plots.options import PANEL_HELP, PANELS, SMOOTHING

STEPS = (1, 5, 10, 25, 50, 100, 250, 500, 1000)
"""Where the slider of the smoothing stops."""


class FigureForm(QWidget):
    """The controls above the figure."""

    changed = Signal()
    save_picture_clicked = Signal()
    save_numbers_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.x = self._create_x()
        self.log = self._create_log()
        self.smoothing, self.smoothing_label = self._create_smoothing()
        self.panels = self._create_panels()
        self.save = self._create_save()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.x, 0, 0)
        grid.addWidget(self.log, 0, 1)
        grid.addWidget(self.smoothing_label, 1, 0)
        grid.addWidget(self.smoothing, 1, 1)
        grid.addWidget(self.panels, 2, 0)
        grid.addWidget(self.save, 2, 1)
        grid.setColumnStretch(1, 1)

    def _create_x(self) -> QComboBox:
        box = QComboBox()
        box.setObjectName("x_axis")
        box.setAccessibleName("Axis")
        box.addItem("by step", "step")
        box.addItem("by epoch", "epoch")
        box.setToolTip("A point per step, or the mean of each epoch.")
        box.currentIndexChanged.connect(self._on_x)
        return box

    def _create_log(self) -> QCheckBox:
        box = QCheckBox("Log scale")
        box.setObjectName("log_scale")
        box.setToolTip("Losses and weights on a logarithmic axis, which tells small values apart.")
        box.toggled.connect(self._emit)
        return box

    def _create_smoothing(self) -> tuple[QSlider, QLabel]:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setObjectName("smoothing")
        slider.setAccessibleName("Smoothing")
        slider.setRange(0, len(STEPS) - 1)
        slider.setPageStep(1)
        slider.setValue(STEPS.index(SMOOTHING))
        slider.setToolTip(
            "Losses are drawn as the mean of so many steps; of one training alone, the steps "
            "themselves lie faintly behind."
        )
        label = QLabel()
        label.setObjectName("smoothing_label")
        label.setBuddy(slider)
        # As wide as its longest text, or the row would jump while the slider moves.
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance("Mean of 1000 steps") + 4)
        slider.valueChanged.connect(self._on_smoothing)
        label.setText(f"Mean of {SMOOTHING} steps")
        return slider, label

    def _create_panels(self) -> QPushButton:
        button, menu = _menu_button("Panels", "panels", "Which panels are shown.")
        for name, title in PANELS.items():
            action = menu.addAction(title)
            action.setData(name)
            action.setCheckable(True)
            action.setChecked(True)
            action.setToolTip(PANEL_HELP[name])
            action.toggled.connect(self._on_panel)
        return button

    def _create_save(self) -> QPushButton:
        button, menu = _menu_button("Save", "save", "Save the figure, or its numbers.")
        picture = menu.addAction("Picture (PNG, SVG, PDF)…")
        picture.setToolTip("The panels as they are shown, on one page.")
        picture.triggered.connect(lambda *_: self.save_picture_clicked.emit())
        numbers = menu.addAction("Numbers (CSV)…")
        numbers.setToolTip("All numbers of the trainings that are shown, nothing smoothed.")
        numbers.triggered.connect(lambda *_: self.save_numbers_clicked.emit())
        return button

    # ---------------------------------------------------------------- values

    def options(self) -> FigureOptions:
        """What was chosen."""
        panels = tuple(a.data() for a in self.panels.menu().actions() if a.isChecked())
        return FigureOptions(
            x=self.x.currentData(),
            smoothing=STEPS[self.smoothing.value()],
            log_scale=self.log.isChecked(),
            panels=panels,
        )

    def _on_x(self, *_: Any) -> None:
        steps = self.x.currentData() == "step"
        self.smoothing.setEnabled(steps)
        self.smoothing_label.setEnabled(steps)
        self._emit()

    def _on_smoothing(self, value: int) -> None:
        self.smoothing_label.setText(
            "Not smoothed" if STEPS[value] == 1 else f"Mean of {STEPS[value]} steps"
        )
        self._emit()

    def _on_panel(self, *_: Any) -> None:
        actions = self.panels.menu().actions()
        if any(action.isChecked() for action in actions):
            self._emit()
        else:
            # A figure without panels shows nothing: the last one stays.
            self.sender().setChecked(True)

    def _emit(self, *_: Any) -> None:
        self.changed.emit()


class _StayingMenu(QMenu):
    """Stays open while its ticks are changed."""

    def mouseReleaseEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        action = self.actionAt(event.pos())
        if action is not None and action.isCheckable():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)


def _menu_button(text: str, name: str, tip: str) -> tuple[QPushButton, QMenu]:
    button = QPushButton()
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(tip)
    menu = _StayingMenu(button)
    menu.setObjectName(f"{name}_menu")
    menu.setToolTipsVisible(True)
    button.setMenu(menu)
    return button, menu
