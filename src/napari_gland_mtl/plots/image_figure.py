"""The images of a training as a figure and as a table: what the dock “Loss weights” shows of them.

Above, the images furthest above the usual, with how they compare in words; below, their course
against the band of all images. The table has all of them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..storage.atomic import new_file
from .axes import place
from .figure import PANEL_IN
from .files import cell, write_picture
from .image_panel import ImagePanel, image_columns
from .image_ranking import MUCH, RankBy, Ranking, rank
from .image_table import LOG_VAR, ImageTable
from .image_words import order_in_words
from .losses import loss_color, on_ground
from .options import LIGHT, FigureTheme
from .run_history import RunHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 10
LINE_IN, HEAD_IN, NAME_IN, WORDS_IN = 0.2, 0.6, 2.0, 3.9
NAME_LETTERS = 30


def ranking_of(run: RunHistory, losses: Sequence[str] = (), by: RankBy = "loss") -> Ranking:
    """The images of a training, those that stand out most first.

    Parameters
    ----------
    run : RunHistory
        Read ``with_images``.
    losses : sequence of str
        Which losses to compare; all but geometry if empty.
    by : {"loss", "uncertainty"}
        Wrong annotations show in the loss; what was learned of each image's uncertainty shows
        which images look unlike the others.

    Raises
    ------
    InvalidInputError
        If nothing is known of its images, a loss is not one of its losses, or no uncertainty of
        each image was learned.
    """
    table = ImageTable(run.images)
    if not len(table):
        raise InvalidInputError(
            f"{run.path} has no numbers of its images: no epoch is done yet, or an earlier version "
            "made it. Wait for the first epoch, or train again."
        )
    unknown = [name for name in losses if name not in table.losses]
    if unknown:
        raise InvalidInputError(
            f"{unknown[0]!r} is no loss of {run.path}. There are {', '.join(table.losses)}."
        )
    return rank(table, losses, by)


def write_images(
    run: RunHistory,
    path: Path | str,
    losses: Sequence[str] = (),
    top: int = TOP,
    theme: FigureTheme = LIGHT,
    overwrite: bool = False,
    by: RankBy = "loss",
) -> Path:
    """Draw the images of a training that stand out most, or write all of them as a table.

    Parameters
    ----------
    run : RunHistory
        Read ``with_images``.
    path : path
        ``.png``, ``.svg`` or ``.pdf`` for the figure, ``.csv`` for the table.
    losses : sequence of str
        Which losses to compare; all but geometry if empty.
    top : int
        How many images the figure shows.
    theme : FigureTheme
    overwrite : bool
        Replace what is there.
    by : {"loss", "uncertainty"}
        As in `ranking_of`.

    Raises
    ------
    InvalidInputError
        If nothing is known of its images or of their uncertainty, or the ending is none of these.
    MissingExtraError, OutputExistsError, OutputNotWritableError
    """
    path, ranking = Path(path), ranking_of(run, losses, by)
    if path.suffix.lower() == ".csv":
        return write_images_csv(ranking, path, overwrite)
    size = image_figure_size(ranking, top)
    return write_picture(
        lambda figure: draw_images(figure, run.name, ranking, top, theme),
        path,
        size,
        theme,
        overwrite,
    )


def write_images_csv(ranking: Ranking, path: Path | str, overwrite: bool = False) -> Path:
    """Write a row per image, those that stand out most first.

    Raises
    ------
    OutputExistsError, OutputNotWritableError
    """
    path = Path(path)
    values = np.column_stack([ranking.ratios, *ranking.values.values()]).tolist()
    with (
        new_file(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["image", "compared", "leading_loss", "times_usual", *ranking.values])
        for row, name in enumerate(ranking.names):
            numbers = [cell(value) for value in values[row]]
            writer.writerow([name, ranking.words(row), ranking.leading[row], *numbers])
    return path


def image_figure_size(ranking: Ranking, top: int = TOP) -> tuple[float, float]:
    """Width and height in inches at which it is easy to read."""
    lines = -(-len(image_columns(ranking.table, ranking.losses, ranking.by)) // 2)
    return 2 * PANEL_IN[0], _list_height(ranking, top) + lines * PANEL_IN[1]


def draw_images(
    figure: Figure,
    title: str,
    ranking: Ranking,
    top: int = TOP,
    theme: FigureTheme = LIGHT,
) -> list[ImagePanel]:
    """Draw the images that stand out most on a figure of matplotlib, whatever was on it.

    Parameters
    ----------
    figure : Figure
    title : str
        Of the training.
    ranking : Ranking
    top : int
        How many images.
    theme : FigureTheme

    Returns
    -------
    list of ImagePanel
        One per loss and kind.
    """
    figure.clear()
    figure.set_facecolor(theme.background)
    width, height = figure.get_size_inches()
    head = _list_height(ranking, top)
    axes = figure.add_axes((0, 0, 1, 1), label="ranking")
    axes.set_position(
        (
            NAME_IN / width,
            1 - (head - 0.1) / height,
            max(0.1, width - NAME_IN - WORDS_IN) / width,
            (head - 0.1 - HEAD_IN) / height,
        )
    )
    _draw_list(axes, ranking, top, theme)
    _draw_head(figure, title, ranking, top, theme)
    columns = image_columns(ranking.table, ranking.losses, ranking.by)
    lines = max(1, -(-len(columns) // 2))
    cell_size = width / 2, (height - head) / lines
    panels = []
    for index, column in enumerate(columns):
        panel = ImagePanel(figure.add_axes((0, 0, 1, 1), label=column), column)
        row, side = divmod(index, 2)
        place(panel.axes, side * cell_size[0], head + row * cell_size[1], *cell_size)
        _draw_courses(panel, ranking, top, theme)
        panels.append(panel)
    return panels


def _draw_courses(panel: ImagePanel, ranking: Ranking, top: int, theme: FigureTheme) -> None:
    """The images that are furthest above in a panel's loss; why there is none, where it is so."""
    loss = panel.column.removeprefix(LOG_VAR)
    shown = _leading(ranking, loss, top)
    panel.draw(ranking.table, shown, theme)
    if not shown:
        why = "none of the images above" if loss in ranking.deciding else "no image is ranked by it"
        panel.axes.set_title(why, loc="right", fontsize=theme.points, color=theme.text, pad=4)


def _list_height(ranking: Ranking, top: int) -> float:
    return HEAD_IN + LINE_IN * max(1, min(top, len(ranking.names))) + 0.3


def _draw_list(axes: Axes, ranking: Ranking, top: int, theme: FigureTheme) -> None:
    """Bars: how many times the usual; a line where an image wants a look."""
    shown = range(min(top, len(ranking.names)))
    ratios = np.nan_to_num(ranking.ratios[: len(shown)], nan=0.0)
    colors = [_bar_color(ranking, row, theme) for row in shown]
    axes.barh(list(shown), ratios, color=colors, height=0.65)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, max(1.15 * float(ratios.max(initial=0.0)), 1.2 * MUCH))
    axes.axvline(1, color=theme.text, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_facecolor(theme.background)
    axes.set_yticks(list(shown), [f"{row + 1}. {_short(ranking.names[row])}" for row in shown])
    axes.tick_params(colors=theme.text, labelsize=theme.points, length=0, color=theme.grid)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    for row in shown:
        axes.annotate(
            ranking.words(row),
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=theme.points,
            color=theme.text,
        )


def _draw_head(figure: Figure, title: str, ranking: Ranking, top: int, theme: FigureTheme) -> None:
    what = "uncertainty (σ²)" if ranking.by == "uncertainty" else "loss"
    lines = (
        f"{title}: {order_in_words(ranking, top)}",
        f"Bars: times the usual {what}, the median of all images. Below: their course in the loss "
        "of the bar's colour. Band: middle 80 % of all images; dashed: median.",
    )
    height = figure.get_size_inches()[1]
    for place_, (line, size) in enumerate(zip(lines, (1.5, -1.0), strict=True)):
        figure.text(
            0.012,
            1 - (0.1 + 0.23 * place_) / height,
            line,
            va="top",
            fontsize=theme.points + size,
            color=theme.text,
        )


def _leading(ranking: Ranking, loss: str, top: int) -> list[tuple[str, str]]:
    """The images furthest above the usual in a loss, with their numbers in the list."""
    rows = range(min(top, len(ranking.names)))
    return [(ranking.names[row], str(row + 1)) for row in rows if ranking.leading[row] == loss]


def _bar_color(ranking: Ranking, row: int, theme: FigureTheme) -> str:
    loss = ranking.leading[row]
    if not loss:
        return theme.grid
    return on_ground(loss_color(loss, ranking.table.losses.index(loss)), theme.background)


def _short(name: str) -> str:
    """A name that fits beside its bar: its end tells images of one slide apart."""
    return name if len(name) <= NAME_LETTERS else f"…{name[1 - NAME_LETTERS :]}"
