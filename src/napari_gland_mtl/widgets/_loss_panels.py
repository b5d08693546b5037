"""The panels of the figure, as many side by side as fit, with one cursor in all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QLabel

from ..plots import FigureOptions, FigureTheme, RunHistory
from ..plots.figure import shown_panels
from ..plots.panel import x_limits
from ._loss_canvas import PanelCanvas
from ._panel_grid import COLUMN_WIDTH, PanelGrid

GROWTH_MS = 2000
SHARE = 0.05
"""Of the window's time that drawing may take while a training grows, which needs every core."""


class LossPanels(PanelGrid):
    """Draws runs on one canvas per panel."""

    cursor_moved = Signal(object)
    """The step or epoch that the cursor is at, or None."""
    growth_drawn = Signal()
    """What has been added was drawn and is about to be shown: so are the words for it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("loss_panels")
        self.cursor: float | None = None
        self._runs: list[RunHistory] = []
        self._options, self._theme = FigureOptions(), FigureTheme()
        self._growth = QTimer(self)
        self._growth.setSingleShot(True)
        self._growth.timeout.connect(self._draw_growth)
        self._drawn_at = float("-inf")
        self._growing = False
        self.empty = QLabel()
        self.empty.setObjectName("nothing_drawn")
        self.empty.setWordWrap(True)
        self._grid.addWidget(self.empty, 0, 0)

    # ---------------------------------------------------------------- what is drawn

    @property
    def runs(self) -> list[RunHistory]:
        """The runs that are shown."""
        return self._runs

    def show_runs(
        self, runs: Sequence[RunHistory], options: FigureOptions, theme: FigureTheme
    ) -> None:
        """Draw these as soon as they are in view."""
        if options.x != self._options.x:
            self._set_cursor(None)
        self._runs, self._options, self._theme = list(runs), options, theme
        self._draw()

    def grow(self) -> None:
        """Draw what has been added; every other second at most."""
        if self._growth.isActive():
            return
        pause = max(GROWTH_MS, self.drawing.total_ms / SHARE)
        passed = 1000 * (time.monotonic() - self._drawn_at)
        self._growth.start(int(max(0.0, pause - passed)))

    def _draw_growth(self) -> None:
        if self.isVisible():
            self._growing = True
            self._draw()
            if not self.drawing.busy:  # no panel is in view
                self._tell_growth()

    def _show_pictures(self) -> None:
        super()._show_pictures()
        self._tell_growth()

    def _tell_growth(self) -> None:
        if self._growing:
            self._growing = False
            self.growth_drawn.emit()

    def _draw(self) -> None:
        self._growth.stop()
        self._drawn_at = time.monotonic()
        self.drawing.total_ms = 0.0
        self._show_panels(shown_panels(self._runs, self._options) if self._runs else [])

    def _fill(self, canvas: PanelCanvas) -> None:
        canvas.show_runs(self._runs, self._options, self._theme)

    # ---------------------------------------------------------------- arranging

    def _arrange(self) -> None:
        super()._arrange()
        self.empty.setVisible(not self._names)
        if not self._names:
            self._grid.addWidget(self.empty, 0, 0)

    def _create_canvas(self, name: str) -> PanelCanvas:
        canvas = PanelCanvas(name)
        canvas.pointed.connect(self._set_cursor)
        canvas.left.connect(self._clear_cursor)
        canvas.key_moved.connect(self._move_cursor)
        return canvas

    # ---------------------------------------------------------------- the cursor

    def _clear_cursor(self) -> None:
        self._set_cursor(None)

    def _set_cursor(self, x: float | None) -> None:
        self.cursor = x
        for canvas in self.canvases.values():
            canvas.show_cursor(x)
        self.cursor_moved.emit(x)

    def _move_cursor(self, direction: int) -> None:
        low, high = self._ends()
        here = high if self.cursor is None else self.cursor
        # A step at a time where steps can be told apart, a pixel otherwise.
        pace = max(1.0, (high - low) / COLUMN_WIDTH)
        moved = {-2: low, 2: high}.get(direction, here + direction * pace)
        self._set_cursor(min(max(moved, low), high))

    def _ends(self) -> tuple[float, float]:
        low, high = x_limits(self._runs, self._options)
        return max(low, 1.0), high
