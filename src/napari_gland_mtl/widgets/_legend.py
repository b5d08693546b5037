"""What the colours over an image mean, as rows of a swatch and a name."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ._layer_styles import LegendEntry

SWATCH = QSize(18, 14)


class LegendBox(QWidget):
    """The legend of a result."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("legend")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)

    def show_entries(self, entries: Sequence[LegendEntry]) -> None:
        """Show these rows instead of others."""
        layout = self.layout()
        while layout.count():
            layout.takeAt(0).widget().deleteLater()
        for entry in entries:
            layout.addWidget(_LegendRow(entry))


class _LegendRow(QWidget):
    def __init__(self, entry: LegendEntry) -> None:
        super().__init__()
        self.setObjectName("legend_row")
        picture = QLabel()
        picture.setPixmap(swatch(entry))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(picture)
        layout.addWidget(QLabel(entry.name), 1)


def swatch(entry: LegendEntry) -> QPixmap:
    """A filled rectangle for an area, an empty one for an outline."""
    pixmap = QPixmap(SWATCH)
    pixmap.fill(QColor(0, 0, 0, 0))
    painter = QPainter(pixmap)
    color = QColor(entry.color)
    area = pixmap.rect().adjusted(1, 1, -2, -2)
    if entry.outline:
        painter.setPen(QPen(color, 3))
        painter.drawRect(area)
    else:
        painter.fillRect(pixmap.rect(), color)
        painter.setPen(QPen(QColor(128, 128, 128), 1))
        painter.drawRect(pixmap.rect().adjusted(0, 0, -1, -1))
    painter.end()
    return pixmap
