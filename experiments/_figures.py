"""Figures of the experiments' tables, drawn without a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from _runs import Place
from _tables import MEASURES, Row, spread

from napari_gland_mtl.plots.files import check_matplotlib
from napari_gland_mtl.storage.atomic import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Published = Mapping[str, Mapping[str, float | None]]

PANELS = ("class_accuracy", "pixel_accuracy", "object_dice", "violations_per_annotated_gland")
OURS, PAPERS = "#0072b2", "#d55e00"  # told apart in colour blindness, and by their shapes


def draw_rows(
    path: Path,
    title: str,
    rows: Sequence[Row],
    place: Place,
    published: Published | None = None,
    per_group: int = 0,
) -> None:
    """A panel per measure with a point per row: mean and deviation over the seeds.

    Parameters
    ----------
    path : Path
        Of the figure; its ending says the format.
    title : str
    rows : sequence of Row
    place : Place
    published : mapping, optional
        Row -> measure -> a published value, drawn beside.
    per_group : int
        Rows after which a line is drawn; 0 for none.
    """
    figure, panels = figure_of(title, len(PANELS), height=1.6 + 0.36 * len(rows), sharey=True)
    for axes, name in zip(panels, PANELS, strict=True):
        _panel(axes, name, rows, place, published or {})
        for first in range(per_group, len(rows), per_group) if per_group else ():
            axes.axhline(first - 0.5, color="0.5", linewidth=0.8)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    panels[0].invert_yaxis()
    if published:
        legend_below(figure, panels[0])
    save(figure, path)


def figure_of(
    title: str, panels: int, height: float, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side.

    Parameters
    ----------
    title : str
    panels : int
    height : float
        Inches.
    sharey : bool

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * max(panels, 1), height), layout="constrained")
    FigureCanvasAgg(figure)
    # Settings that were changed make it long.
    figure.suptitle(fill(title, 34 * max(panels, 1)), fontsize="medium")
    grid = figure.subplots(1, max(panels, 1), sharey=sharey, squeeze=False)
    return figure, list(grid[0])


def legend_below(figure: Figure, axes: Axes) -> None:
    """The legend of one panel below all of them, where it hides no point."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize="small")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format that its name says, the same bytes for the same numbers."""
    from matplotlib import rc_context

    metadata = {"Date": None} if path.suffix == ".svg" else None
    with new_file(path, overwrite=True) as partial, rc_context({"svg.hashsalt": path.name}):
        figure.savefig(partial, format=path.suffix[1:], metadata=metadata)


def _panel(axes: Axes, name: str, rows: Sequence[Row], place: Place, published: Published) -> None:
    column = next(column for column in MEASURES if column.name == name)
    axes.plot([], [], "o", color=OURS, label="here")  # a legend whichever rows have values
    axes.plot([], [], "D", mfc="none", color=PAPERS, label="paper")
    for height, row in enumerate(rows):
        middle, deviation = spread(row.values(place, column))
        if middle is not None:
            axes.errorbar(middle, height, xerr=deviation, fmt="o", color=OURS, capsize=3)
        theirs = published.get(row.name, {}).get(name)
        if theirs is not None:
            axes.plot(theirs, height, "D", mfc="none", color=PAPERS)
    axes.set_xlabel(column.heading)
    axes.grid(axis="x", alpha=0.3)
    axes.grid(axis="y", alpha=0.15)
