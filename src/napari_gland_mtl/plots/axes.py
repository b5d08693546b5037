"""Where a pair of axes stands in its figure, and its ticks.

Both go by the size in inches alone: nothing is drawn to be measured, which would take as long as
the drawing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN = 0.50, 0.10, 0.24, 0.22
"""Room around the axes for their words, in inches."""


def set_ticks(axes: Axes, log: bool) -> None:
    """As many ticks as have room, in plain numbers; those of x are whole: steps and epochs."""
    from matplotlib.ticker import (
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullLocator,
        ScalarFormatter,
    )

    box = axes.bbox
    density = axes.get_figure(root=True).dpi / 100  # type: ignore[union-attr]
    wide = max(2, int(box.width / density / 80))
    # Where a single epoch is shown, one tick must do: the second would lie between two epochs.
    axes.xaxis.set_major_locator(MaxNLocator(wide, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    few = max(2, int(box.height / density / 28))
    if log:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=few))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(few))
        axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}"


def place(axes: Axes, left: float, top: float, width: float, height: float) -> None:
    """Put axes with the room for their words into a rectangle of the figure, in inches.

    Parameters
    ----------
    axes : Axes
    left, top, width, height : float
        `top` is counted from the figure's top.
    """
    figure = axes.get_figure(root=True)
    whole_width, whole_height = figure.get_size_inches()  # type: ignore[union-attr]
    inner_width = max(0.1, width - LEFT_IN - RIGHT_IN)
    inner_height = max(0.1, height - TOP_IN - BOTTOM_IN)
    bottom = whole_height - top - height + BOTTOM_IN
    axes.set_position(
        (
            (left + LEFT_IN) / whole_width,
            bottom / whole_height,
            inner_width / whole_width,
            inner_height / whole_height,
        )
    )
