"""The whole figure: all panels that have something to show, and a legend.

The dock widget draws the same panels one by one on canvases of their own; a file gets them on
one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .axes import place
from .curves import has_panel
from .losses import loss_color, loss_title, on_ground
from .options import LIGHT, PANELS, FigureOptions, FigureTheme
from .panel import RUN_STYLES, Panel
from .run_history import RunHistory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_IN = (4.2, 2.0)
LINE_IN = 0.2


def shown_panels(runs: Sequence[RunHistory], options: FigureOptions) -> list[str]:
    """Those of the chosen panels for which at least one run has numbers."""
    chosen = [name for name in PANELS if name in options.panels]
    return [name for name in chosen if any(has_panel(run, name, options) for run in runs)]


def loss_names(runs: Sequence[RunHistory]) -> list[str]:
    """The losses of all runs, each once."""
    return list(dict.fromkeys(name for run in runs for name in run.losses))


def figure_size(runs: Sequence[RunHistory], options: FigureOptions) -> tuple[float, float]:
    """Width and height in inches at which the panels are easy to read."""
    count = len(shown_panels(runs, options))
    columns = min(2, max(1, count))
    return columns * PANEL_IN[0], -(-max(1, count) // columns) * PANEL_IN[1] + _head(runs)


def draw(
    figure: Figure,
    runs: Sequence[RunHistory],
    options: FigureOptions | None = None,
    theme: FigureTheme = LIGHT,
) -> list[Panel]:
    """Draw the histories of trainings on a figure of matplotlib, whatever was on it.

    Parameters
    ----------
    figure : Figure
        Its size decides how many panels stand side by side.
    runs : sequence of RunHistory
        Losses have colours, runs have line styles.
    options : FigureOptions, optional
    theme : FigureTheme

    Returns
    -------
    list of Panel
        Those that were drawn, in their order.
    """
    options = options or FigureOptions()
    figure.clear()
    figure.set_facecolor(theme.background)
    names = shown_panels(runs, options)
    width, height = figure.get_size_inches()
    head = _head(runs)
    columns = max(1, min(len(names), int(width / (0.8 * PANEL_IN[0]))))
    lines = -(-len(names) // columns) if names else 1
    cell = width / columns, (height - head) / lines
    panels = []
    for index, name in enumerate(names):
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), label=name)
        row, column = divmod(index, columns)
        place(axes, column * cell[0], head + row * cell[1], *cell)
        panel = Panel(axes, name)
        panel.draw(runs, options, theme)
        axes.set_xlabel("")
        panels.append(panel)
    _draw_head(figure, runs, options, theme, empty=not names)
    return panels


def _head(runs: Sequence[RunHistory]) -> float:
    """Inches for the legend: a line for the losses, one for each run beyond the first."""
    return 0.35 + (LINE_IN * len(runs) if len(runs) > 1 else 0.0)


def _draw_head(
    figure: Figure,
    runs: Sequence[RunHistory],
    options: FigureOptions,
    theme: FigureTheme,
    empty: bool,
) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    left = 0.1 / width
    look = {"frameon": False, "fontsize": theme.points, "labelcolor": theme.text}
    losses = [
        Line2D(
            [],
            [],
            color=on_ground(loss_color(name, place_), theme.background),
            linewidth=2.5,
            label=loss_title(name),
        )
        for place_, name in enumerate(loss_names(runs))
    ]
    figure.legend(handles=losses, loc="upper left", ncols=4, bbox_to_anchor=(left, 1), **look)
    axis = f"{options.x}s" if len(runs) != 1 else f"{runs[0].name}, by {options.x}"
    figure.text(
        1 - left,
        1 - 0.1 / height,
        f"by {options.x}" if len(runs) != 1 else axis,
        ha="right",
        va="top",
        fontsize=theme.points,
        color=theme.text,
    )
    if len(runs) > 1:
        styles = [
            Line2D(
                [],
                [],
                color=theme.text,
                linestyle=RUN_STYLES[place_ % len(RUN_STYLES)],
                label=run.name,
            )
            for place_, run in enumerate(runs)
        ]
        top = 1 - 0.25 / height
        figure.legend(
            handles=styles, loc="upper left", bbox_to_anchor=(left, top), handlelength=4, **look
        )
    if empty:
        figure.text(0.5, 0.5, "Nothing to draw yet", ha="center", color=theme.text)
