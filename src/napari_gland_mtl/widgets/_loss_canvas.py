"""One panel of the figure as a widget.

The panel is drawn to a picture (`_loss_picture`); the cursor's line is painted over it, which costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen

from ..plots import FigureOptions, FigureTheme, RunHistory
from ..plots.options import PANEL_HELP, PANELS
from ._loss_picture import PictureCanvas


class PanelCanvas(PictureCanvas):
    """Shows one panel.

    Parameters
    ----------
    name : str
        Of the panel.
    """

    pointed = Signal(float)
    """The mouse is at this step or epoch."""
    left = Signal()
    """The mouse has gone, or Escape was pressed."""
    key_moved = Signal(int)
    """An arrow key was pressed: -1 or 1; Home and End are -2 and 2."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from ..plots.panel import Panel

        self.name = name
        self.setObjectName(f"panel_{name}")
        self.setAccessibleName(PANELS[name])
        self.setToolTip(PANEL_HELP[name])
        self.accept_keys()
        self.panel = Panel(self.axes, name)
        self._content: tuple[Sequence[RunHistory], FigureOptions, FigureTheme] | None = None
        self._cursor: float | None = None

    # ---------------------------------------------------------------- drawing

    def show_runs(
        self, runs: Sequence[RunHistory], options: FigureOptions, theme: FigureTheme
    ) -> None:
        """Draw these when it is in view."""
        self._content = (runs, options, theme)
        self.set_stale()

    def pieces(self) -> list[Callable[[], None]]:
        """What is to be called, one after another, to draw it; `update` shows it then."""
        count = len(self._content[0]) if self._content else 0
        return [
            self._begin,
            *(partial(self._prepare, index) for index in range(count)),
            self._draw,
            self._render,
        ]

    def _begin(self) -> None:
        if self._content is not None:
            self.begin_picture(self._content[2].background)

    def _prepare(self, index: int) -> None:
        if self._content is not None and index < len(self._content[0]):
            runs, options, _ = self._content
            self.panel.prepare(runs[index], runs, options)

    def _draw(self) -> None:
        if self._content is not None:
            self.panel.draw(*self._content)

    def _render(self) -> None:
        if self._content is not None:
            self.render_picture()

    def paint_over(self, painter: QPainter) -> None:
        """Draw the cursor."""
        x = self._pixel(self._cursor)
        if x is not None and self._content is not None:
            bottom, top = self._vertical()
            painter.setPen(QPen(QColor(self._content[2].text), 1, Qt.PenStyle.DashLine))
            painter.drawLine(int(x), int(top), int(x), int(bottom))

    # ---------------------------------------------------------------- the cursor

    def show_cursor(self, x: float | None) -> None:
        """Draw the cursor's line at a step or epoch, or none."""
        if x != self._cursor:
            self._cursor = x
            self.update()

    def _pixel(self, x: float | None) -> float | None:
        if x is None:
            return None
        low, high = self.panel.axes.get_xlim()
        left, right = self._horizontal()
        return left + (x - low) / (high - low) * (right - left) if low <= x <= high else None

    def position_of(self, x: float) -> int:
        """The widget's column of pixels where a step or epoch lies."""
        found = self._pixel(x)
        return -1 if found is None else round(found)

    def _horizontal(self) -> tuple[float, float]:
        box = self.panel.axes.get_position()
        return box.x0 * self.width(), box.x1 * self.width()

    def _vertical(self) -> tuple[float, float]:
        box = self.panel.axes.get_position()
        return (1 - box.y0) * self.height(), (1 - box.y1) * self.height()

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Tell where the mouse is."""
        left, right = self._horizontal()
        low, high = self.panel.axes.get_xlim()
        share = (event.position().x() - left) / max(1.0, right - left)
        if 0 <= share <= 1 and self._content is not None:
            self.pointed.emit(low + share * (high - low))

    def leaveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Tell that the mouse has gone."""
        self.left.emit()
        super().leaveEvent(event)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Move the cursor by keys."""
        moves = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Home: -2,
            Qt.Key.Key_End: 2,
        }
        if event.key() in moves:
            self.key_moved.emit(moves[event.key()])
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)
