"""One panel of the figure: lines of several runs on one pair of axes.

Lines are reduced to what the pixels can show, the axes stay while lines come and go, and nothing
is measured to be laid out: a panel is drawn in a few hundredths of a second however long the
training was. Colours are losses, line styles are runs; lines of a run that lie on one another are
drawn in turns (`coincident`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from .axes import set_ticks
from .coincident import ALONE, Turn, markers_in_turn, style_in_turn, turns
from .curves import POSITIVE, TEXT_COLOR, Curve, panel_curves
from .losses import on_ground
from .options import PANELS, FigureOptions, FigureTheme, X
from .reduction import Floats, kept_points
from .run_history import RunHistory

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

RUN_STYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.2, 1.6)),
    (0, (7, 2, 1.2, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (9, 4)),
)
"""By the place of a run among those that are shown."""

MOST_MARKED = 60
FAINT = 0.2
WITH_LEGEND = "measures"
SHORT = {
    "score": "Score",
    "object_dice": "Dice",
    "object_f1": "F1",
    "pixel_accuracy": "Pixels",
    "classification_accuracy": "Class",
}
"""Measures in the narrow space beside the panel's title."""
WITH_ZERO = ("total", "log_var")
FROM_ZERO = ("shares", "violations")


@dataclass(frozen=True)
class _View:
    """What the points that are drawn depend on, the numbers aside."""

    numbers: tuple[X, int]
    columns: int
    limits: tuple[float, float]
    alone: bool


@dataclass(frozen=True)
class _Line:
    curve: Curve
    x: Floats
    y: Floats
    faint: bool = False
    turn: Turn = ALONE


@dataclass(frozen=True)
class _Reduced:
    view: _View
    state: tuple[object, object]
    curves: list[Curve]
    lines: list[_Line]


class Panel:
    """Draws one of the panels on axes of matplotlib, again and again.

    Parameters
    ----------
    axes : Axes
    name : str
        One of `PANELS`.
    """

    def __init__(self, axes: Axes, name: str) -> None:
        self.axes, self.name = axes, name
        self.curves: list[list[Curve]] = []
        self._artists: list[Artist] = []
        self._reduced: dict[RunHistory, _Reduced] = {}

    def draw(self, runs: Sequence[RunHistory], options: FigureOptions, theme: FigureTheme) -> None:
        """Show these runs instead of what was shown; the canvas is not rendered here."""
        for artist in self._artists:
            artist.remove()
        self._artists = []
        self._style(options, theme)
        view = self._view(runs, options)
        self.axes.set_xlim(*view.limits)
        self._reduced = {run: self._reduce(run, view, options) for run in runs}
        self.curves = [self._reduced[run].curves for run in runs]
        for run, style in zip(runs, cycle(RUN_STYLES), strict=False):
            for line in self._reduced[run].lines:
                self._plot(line, theme, style)
        self._fit()
        if self.name == WITH_LEGEND and any(self.curves):
            self._legend(theme)

    def prepare(self, run: RunHistory, runs: Sequence[RunHistory], options: FigureOptions) -> None:
        """Do the part of `draw` that takes long for a long run; that one has less to do then.

        Parameters
        ----------
        run : RunHistory
            One of those that will be drawn.
        runs : sequence of RunHistory
            All of them.
        options : FigureOptions
        """
        self._reduced[run] = self._reduce(run, self._view(runs, options), options)

    def _view(self, runs: Sequence[RunHistory], options: FigureOptions) -> _View:
        columns = max(16, int(self.axes.bbox.width))
        numbers = (options.x, options.smoothing)
        return _View(numbers, columns, x_limits(runs, options), len(runs) == 1)

    def _reduce(self, run: RunHistory, view: _View, options: FigureOptions) -> _Reduced:
        """The lines of a run as they are drawn; computed again only when something changed."""
        # Columns are made anew when they grow, and live as long as they are remembered here.
        state = (run.steps, run.epochs)
        before = self._reduced.get(run)
        if before and before.view == view and all(map(is_, before.state, state)):
            return before
        curves = panel_curves(run, self.name, options)
        points = [_points(curve.x, curve.y, view) for curve in curves]
        lines = []
        for curve, (x, y), turn in zip(curves, points, turns(points), strict=True):
            if view.alone and curve.raw is not None:
                lines.append(_Line(curve, *_points(curve.x, curve.raw, view), faint=True))
            lines.append(_Line(curve, x, y, turn=turn))
        return _Reduced(view, state, curves, lines)

    def _style(self, options: FigureOptions, theme: FigureTheme) -> None:
        axes, size = self.axes, theme.points
        log = options.log_scale and self.name in POSITIVE
        if axes.get_yscale() != ("log" if log else "linear"):
            axes.set_yscale("log" if log else "linear")
        axes.set_facecolor(theme.background)
        axes.set_title(PANELS[self.name], loc="left", fontsize=size + 1, color=theme.text, pad=4)
        axes.grid(True, color=theme.grid, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=theme.text, labelsize=size, length=2, color=theme.grid, pad=2)
        for spine in axes.spines.values():
            spine.set_color(theme.grid)
        set_ticks(axes, log)
        if self.name in WITH_ZERO:
            self._artists.append(axes.axhline(0, color=theme.text, linewidth=0.8, alpha=0.6))

    def _plot(self, line: _Line, theme: FigureTheme, style: Any) -> None:
        faint = line.faint
        marked = not faint and len(line.x) <= MOST_MARKED
        self._artists += self.axes.plot(
            line.x,
            line.y,
            color=_color(line.curve, theme),
            linestyle="-" if faint else style_in_turn(style, line.turn),
            linewidth=0.8 if faint else 1.4,
            alpha=FAINT if faint else 1.0,
            zorder=1.5 if faint else 2.0,
            marker="o" if marked else "",
            **markers_in_turn(len(line.x), line.turn, 2.5),
            scalex=False,
            scaley=False,
        )

    def _fit(self) -> None:
        """Limits of y such that every line is seen, faint ones aside."""
        log = self.axes.get_yscale() == "log"
        lines = [line.y for run in self._reduced.values() for line in run.lines if not line.faint]
        values = np.concatenate(lines) if lines else np.empty(0)
        values = values[values > 0] if log else values
        if not len(values):
            self.axes.set_ylim(0.1 if log else 0.0, 1.0)
            return
        low, high = float(values.min()), float(values.max())
        if log:
            self.axes.set_ylim(low / 1.15, high * 1.15)
            return
        # Shares that differ little must not look as if they differed much.
        low = min(low, 0.0) if self.name in FROM_ZERO else low
        room = 0.05 * (high - low) or max(0.05 * abs(high), 0.05)
        self.axes.set_ylim(low if self.name in FROM_ZERO else low - room, high + room)

    def _legend(self, theme: FigureTheme) -> None:
        from matplotlib.lines import Line2D

        shown = {curve.key: curve for curves in self.curves for curve in curves}
        handles = [
            Line2D([], [], color=_color(curve, theme), linewidth=2.5, label=SHORT[curve.key])
            for curve in shown.values()
        ]
        # Beside the title: inside the axes it would lie over the lines.
        legend = self.axes.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(handles),
            fontsize=theme.points - 0.5,
            labelcolor=theme.text,
            frameon=False,
            borderpad=0.2,
            borderaxespad=0,
            handlelength=0.6,
            handletextpad=0.3,
            columnspacing=0.7,
        )
        self._artists.append(legend)


def _color(curve: Curve, theme: FigureTheme) -> str:
    if curve.color == TEXT_COLOR:
        return theme.text
    return on_ground(curve.color, theme.background)


def x_limits(runs: Sequence[RunHistory], options: FigureOptions) -> tuple[float, float]:
    """The first and the last step or epoch of all runs; the same for all panels."""
    tables = [run.steps if options.x == "step" else run.epochs for run in runs]
    found = [table[options.x] for table in tables if options.x in table]
    if not found:
        return 0.0, 1.0
    low, high = min(float(x[0]) for x in found), max(float(x[-1]) for x in found)
    # A little room, or the first and last points would lie under the frame.
    room = 0.01 * (high - low) or 0.5
    return low - room, high + room


def _points(x: Floats, y: Floats, view: _View) -> tuple[Floats, Floats]:
    known = np.isfinite(y)
    x, y = (x, y) if known.all() else (x[known], y[known])
    kept = kept_points(x, y, view.columns, view.limits)
    return x[kept], y[kept]
