"""Where things stand in the dock: one column, or controls beside the panels where it is wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QGridLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from ._scrolling import scrolling

SIDE_WIDTH, PANEL_WIDTH = 410, 300


class Arrangement(QWidget):
    """Arranges by its own shape.

    Parameters
    ----------
    controls : sequence of QWidget
        From top to bottom.
    panels : QWidget
        Scrolls.
    values : QWidget
        In sight whichever panel is pointed at.
    """

    def __init__(self, controls: Sequence[QWidget], panels: QWidget, values: QWidget) -> None:
        super().__init__()
        # Otherwise napari would fill half of the dock with a stretch.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._controls = QWidget()
        column = QVBoxLayout(self._controls)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        for part in controls:
            column.addWidget(part)
        self._panels, self._values = panels, values
        self._side, self._side_column = _scroll_area()
        self.main, self._main_column = _scroll_area()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._grid.setRowStretch(0, 1)
        self.wide: bool | None = None
        self._place(wide=False)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Arrange by the shape of the dock."""
        super().resizeEvent(event)
        self._place(wide=self.width() >= max(SIDE_WIDTH + PANEL_WIDTH, self.height()))

    def _place(self, wide: bool) -> None:
        if wide == self.wide:
            return
        self.wide = wide
        self._side.setVisible(wide)
        self._grid.addWidget(self._side, 0, 0)
        self._grid.addWidget(self.main, 0, 1)
        if wide:
            self._side.setFixedWidth(SIDE_WIDTH)
            self._side_column.insertWidget(0, self._controls)
            self._side_column.insertWidget(1, self._values)
        else:
            self._main_column.insertWidget(0, self._controls)
            self._grid.addWidget(self._values, 1, 0, 1, 2)
        self._main_column.insertWidget(0 if wide else 1, self._panels)


def _scroll_area() -> tuple[QScrollArea, QVBoxLayout]:
    """Something that scrolls up and down, and the column inside it."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(6)
    column.addStretch(1)
    area = scrolling(content)
    return area, column
