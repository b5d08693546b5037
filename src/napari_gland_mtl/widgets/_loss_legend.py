"""What colours and kinds of lines mean: a row of the losses, and samples for lists."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QLabel

from ..plots import RunHistory, loss_color, loss_title, on_ground
from ..plots.figure import loss_names

LINE = QSize(30, 12)
DASHES: tuple[list[float], ...] = (
    [],
    [4, 2],
    [1, 1.5],
    [5, 2, 1, 2],
    [2.5, 1, 1, 1, 1, 1],
    [7, 3],
)
"""As `plots.panel.RUN_STYLES`, in widths of the pen."""


def sample_line(color: str, place: int | None, size: QSize = LINE) -> QPixmap:
    """A piece of the line of a run; an empty picture where it is not shown.

    Parameters
    ----------
    color : str
        ``#rrggbb``.
    place : int or None
        Of the run among those that are shown.
    size : QSize
    """
    pixmap = QPixmap(size)
    pixmap.fill(QColor(0, 0, 0, 0))
    if place is None:
        return pixmap
    pen = QPen(QColor(color), 2)
    if dashes := DASHES[place % len(DASHES)]:
        pen.setDashPattern(dashes)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter = QPainter(pixmap)
    painter.setPen(pen)
    painter.drawLine(0, size.height() // 2, size.width(), size.height() // 2)
    painter.end()
    return pixmap


class LossLegend(QLabel):
    """The colours of the losses."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("loss_legend")
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setToolTip("The losses have the same colours in every figure and dock.")

    def show_runs(self, runs: Sequence[RunHistory], ground: str = "#000000") -> None:
        """Name the losses of these runs, on a ground of this colour."""
        self.setText(
            " &nbsp; ".join(
                f'<span style="color:{on_ground(loss_color(name, place), ground)}">━━</span>&nbsp;'
                f"{loss_title(name)}"
                for place, name in enumerate(loss_names(runs))
            )
        )
        self.setVisible(bool(self.text()))
