"""One panel of the figure as a widget.

The panel is drawn to a picture by matplotlib's own renderer; a paint event only copies it and
draws the cursor's line over it, which costs nothing. Whoever arranges the panels draws one anew
by its `pieces`, so that none of them holds up the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..plots import FigureOptions, FigureTheme, RunHistory
from ..plots.options import PANEL_HELP, PANELS

DPI = 96
HEIGHT = 150
MIN_WIDTH = 220


class PanelCanvas(QWidget):
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
    exposed = Signal(object)
    """It came into view and does not show the present state."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from ..plots.panel import Panel

        self.name = name
        self.setObjectName(f"panel_{name}")
        self.setAccessibleName(PANELS[name])
        self.setToolTip(PANEL_HELP[name])
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(MIN_WIDTH)
        self.setFixedHeight(HEIGHT)
        self._figure = Figure(dpi=DPI)
        self._agg = FigureCanvasAgg(self._figure)
        self.panel = Panel(self._figure.add_axes((0, 0, 1, 1)), name)
        self._picture: QImage | None = None
        self._content: tuple[Sequence[RunHistory], FigureOptions, FigureTheme] | None = None
        self._stale = True
        self._cursor: float | None = None
        self.renders = 0

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for its ticks."""
        return QSize(300, HEIGHT)

    # ---------------------------------------------------------------- drawing

    def show_runs(
        self, runs: Sequence[RunHistory], options: FigureOptions, theme: FigureTheme
    ) -> None:
        """Draw these when it is in view."""
        self._content = (runs, options, theme)
        self._stale = True
        self.update()

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
        if self._content is None:
            return
        from ..plots.axes import place

        self._stale = False
        width, height, ratio = self.width() / DPI, self.height() / DPI, self.devicePixelRatioF()
        self._figure.set_dpi(DPI * ratio)
        self._figure.set_size_inches(width, height, forward=False)
        self._figure.set_facecolor(self._content[2].background)
        place(self.panel.axes, 0, 0, width, height)

    def _prepare(self, index: int) -> None:
        if self._content is not None and index < len(self._content[0]):
            runs, options, _ = self._content
            self.panel.prepare(runs[index], runs, options)

    def _draw(self) -> None:
        if self._content is not None:
            self.panel.draw(*self._content)

    def _render(self) -> None:
        if self._content is None:
            return
        self._agg.draw()
        width, height = self._agg.get_width_height(physical=True)
        buffer = bytes(self._agg.buffer_rgba())
        image = QImage(buffer, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self._picture = image.copy()
        self._picture.setDevicePixelRatio(self.devicePixelRatioF())
        self.renders += 1

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Copy the picture and draw the cursor over it."""
        if self._stale:
            self.exposed.emit(self)
        if self._picture is None or self._content is None:
            return
        painter = QPainter(self)
        painter.drawImage(QRectF(self.rect()), self._picture)
        x = self._pixel(self._cursor)
        if x is not None:
            bottom, top = self._vertical()
            painter.setPen(QPen(QColor(self._content[2].text), 1, Qt.PenStyle.DashLine))
            painter.drawLine(int(x), int(top), int(x), int(bottom))
        painter.end()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Show the old picture stretched until it is drawn anew."""
        self._stale = True
        super().resizeEvent(event)

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
