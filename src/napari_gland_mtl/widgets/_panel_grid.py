"""Canvases side by side, as many in a row as fit, each made and drawn when the window has time.

The curves of trainings and the courses of images are both such grids; what a canvas shows, and
which there are, is for the subclass to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qtpy.QtWidgets import QGridLayout, QWidget

from ._loss_picture import MIN_WIDTH
from ._piecewise import Piecewise

COLUMN_WIDTH = 300
MOST_COLUMNS = 4


class PanelGrid(QWidget):
    """A grid of `PictureCanvas`.

    Attributes
    ----------
    canvases : dict of str to PictureCanvas
        Those made so far, by name.
    drawing : Piecewise
        What is still to be done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(MIN_WIDTH)
        self.canvases: dict[str, Any] = {}
        self._names: list[str] = []
        self._columns = 0
        self.drawing = Piecewise(self)
        self.drawing.emptied.connect(self._show_pictures)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)

    def _create_canvas(self, name: str) -> Any:
        """A canvas of that name; what it says when it comes into view is seen to."""
        raise NotImplementedError

    def _fill(self, canvas: Any) -> None:
        """Give a canvas what it is to show now."""
        raise NotImplementedError

    def _show_panels(self, names: Sequence[str]) -> None:
        """Show these, in this order, and no others."""
        if list(names) != self._names:
            self._names = list(names)
            self._arrange()
        for name in self._names:
            self._show(name)

    def _show(self, name: str) -> None:
        """Draw a panel when it is in view; a canvas takes too long to be made with others."""
        if name in self.canvases:
            self._fill(self.canvases[name])
        else:
            self.drawing.add(name, partial(self._add_canvas, name))

    def _add_canvas(self, name: str) -> None:
        canvas = self.canvases[name] = self._create_canvas(name)
        canvas.exposed.connect(self._on_exposed)
        self._arrange()
        self._show(name)

    def _on_exposed(self, canvas: Any) -> None:
        self.drawing.add(canvas, *canvas.pieces())

    def _show_pictures(self) -> None:
        """All at once: each paint event has the graphics system compose the whole window."""
        for canvas in self.canvases.values():
            canvas.update()

    def _arrange(self) -> None:
        self._columns = self._fitting()
        while self._grid.count():
            self._grid.takeAt(0)
        for name, canvas in self.canvases.items():
            canvas.setVisible(name in self._names)
        for index, name in enumerate(name for name in self._names if name in self.canvases):
            self._grid.addWidget(self.canvases[name], *divmod(index, self._columns))

    def _fitting(self) -> int:
        fitting = max(1, min(MOST_COLUMNS, self.width() // COLUMN_WIDTH))
        return min(fitting, max(1, len(self._names)))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """As many panels in a row as fit."""
        super().resizeEvent(event)
        if self._fitting() != self._columns:
            self._arrange()
