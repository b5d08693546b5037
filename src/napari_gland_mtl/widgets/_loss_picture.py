"""A figure of matplotlib as a widget: drawn to a picture, which a paint event only copies.

Whoever arranges such canvases draws one anew by its pieces, one after another, so that none of
them holds up the window.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

DPI = 96
HEIGHT = 150
MIN_WIDTH = 220


class PictureCanvas(QWidget):
    """Shows one pair of axes."""

    exposed = Signal(object)
    """It came into view and does not show the present state."""

    def __init__(self) -> None:
        super().__init__()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(MIN_WIDTH)
        self.setFixedHeight(HEIGHT)
        self._figure = Figure(dpi=DPI)
        self._agg = FigureCanvasAgg(self._figure)
        self.axes = self._figure.add_axes((0, 0, 1, 1))
        self._picture: QImage | None = None
        self._stale = True
        self.renders = 0

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough for its ticks."""
        return QSize(300, HEIGHT)

    def begin_picture(self, background: str) -> None:
        """The axes get the size that the widget has now."""
        from ..plots.axes import place

        self._stale = False
        width, height, ratio = self.width() / DPI, self.height() / DPI, self.devicePixelRatioF()
        self._figure.set_dpi(DPI * ratio)
        self._figure.set_size_inches(width, height, forward=False)
        self._figure.set_facecolor(background)
        place(self.axes, 0, 0, width, height)

    def render_picture(self) -> None:
        """Make the picture; `update` shows it then."""
        self._agg.draw()
        width, height = self._agg.get_width_height(physical=True)
        buffer = bytes(self._agg.buffer_rgba())
        image = QImage(buffer, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self._picture = image.copy()
        self._picture.setDevicePixelRatio(self.devicePixelRatioF())
        self.renders += 1

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Copy the picture and draw over it what changes often."""
        if self._stale:
            self.exposed.emit(self)
        if self._picture is None:
            return
        painter = QPainter(self)
        painter.drawImage(QRectF(self.rect()), self._picture)
        self.paint_over(painter)
        painter.end()

    def paint_over(self, painter: QPainter) -> None:
        """Draw over the picture; nothing unless overridden."""

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Show the old picture stretched until it is drawn anew."""
        self._stale = True
        super().resizeEvent(event)

    def set_stale(self) -> None:
        """Have it drawn anew, at once if it is in view.

        To be painted first, as one that was never in view has to be, would only show the old
        picture again, and have the whole window put together for it.
        """
        self._stale = True
        if self._picture is None or self.visibleRegion().isEmpty():
            self.update()
        else:
            self.exposed.emit(self)

    def accept_keys(self) -> None:
        """Take the mouse and the keyboard."""
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
