"""One panel of the images' figure: a few images over the epochs, against all of them.

The band holds the middle 80 % of the images, the dashed line is their median: an image that stays
above the band is fitted worse, or is more uncertain, than nine in ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .axes import set_ticks
from .image_ranking import RankBy
from .image_table import LOG_VAR, Band, ImageTable
from .losses import loss_color, loss_title, on_ground
from .options import FigureTheme
from .reduction import Floats, kept_points

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_MARKED = 60
BAND_ALPHA = 0.22


def image_columns(
    table: ImageTable, losses: Sequence[str] = (), by: RankBy = "loss"
) -> tuple[str, ...]:
    """Which panels there are: the losses, and log sigma^2 of each where it is learned.

    Parameters
    ----------
    table : ImageTable
    losses : sequence of str
        Of which losses; all if empty.
    by : {"loss", "uncertainty"}
        Which of the two come first.
    """
    chosen = [name for name in table.losses if not losses or name in losses]
    learned = [f"{LOG_VAR}{name}" for name in chosen]
    wanted = [*chosen, *learned] if by == "loss" else [*learned, *chosen]
    return tuple(column for column in wanted if table.has(column))


def column_title(column: str) -> str:
    """``log σ² of topology`` or ``Topology loss``."""
    name = column.removeprefix(LOG_VAR)
    title = loss_title(name)
    return f"log σ² of {title.lower()}" if name != column else f"{title} loss"


class ImagePanel:
    """Draws one column of the images' numbers on axes of matplotlib, again and again.

    Parameters
    ----------
    axes : Axes
    column : str
        One of `image_columns`.
    """

    def __init__(self, axes: Axes, column: str) -> None:
        self.axes, self.column = axes, column
        self._artists: list[Artist] = []

    def draw(self, table: ImageTable, shown: Sequence[tuple[str, str]], theme: FigureTheme) -> None:
        """Show images, each with a mark at its end, which may be empty; nothing is rendered."""
        for artist in self._artists:
            artist.remove()
        self._artists = []
        band = table.band(self.column)
        courses = [table.course(name, self.column) for name, _ in shown]
        self._style(theme)
        self._draw_band(band, theme)
        place = table.losses.index(self.column.removeprefix(LOG_VAR))
        color = on_ground(loss_color(table.losses[place], place), theme.background)
        for (_, mark), (x, y) in zip(shown, courses, strict=True):
            self._draw_image(x, y, color, theme, mark)
        self._fit(band, courses)

    def _style(self, theme: FigureTheme) -> None:
        axes, size = self.axes, theme.points
        axes.set_facecolor(theme.background)
        title = column_title(self.column)
        axes.set_title(title, loc="left", fontsize=size + 1, color=theme.text, pad=4)
        axes.grid(True, color=theme.grid, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=theme.text, labelsize=size, length=2, color=theme.grid, pad=2)
        for spine in axes.spines.values():
            spine.set_color(theme.grid)
        set_ticks(axes, log=False)

    def _draw_band(self, band: Band, theme: FigureTheme) -> None:
        if not len(band.x):
            return
        # A polygon of a thousand epochs would be drawn many times over on a few hundred pixels.
        kept = kept_points(band.x, band.middle, self._pixels())
        x = band.x[kept]
        # A single epoch has no width to fill: half an epoch to either side shows it.
        wide = np.array([x[0] - 0.5, x[0] + 0.5]) if len(x) == 1 else x
        low, high = (np.resize(part[kept], len(wide)) for part in (band.low, band.high))
        middle = np.resize(band.middle[kept], len(wide))
        self._artists += [
            self.axes.fill_between(
                wide, low, high, color=theme.text, alpha=BAND_ALPHA, linewidth=0, zorder=1.2
            ),
            *self.axes.plot(
                wide, middle, color=theme.text, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1.6
            ),
        ]

    def _draw_image(self, x: Floats, y: Floats, color: str, theme: FigureTheme, mark: str) -> None:
        if not len(x):
            return
        kept = kept_points(x, y, self._pixels())
        # A course of one epoch has no line that would show where its mark belongs.
        marked = len(kept) == 1 or (len(kept) <= MOST_MARKED and not mark)
        self._artists += self.axes.plot(
            x[kept],
            y[kept],
            color=color,
            linewidth=1.1 if mark else 1.5,
            marker="o" if marked else "",
            markersize=2.5,
            zorder=2,
        )
        if mark:
            self._artists.append(
                self.axes.annotate(
                    mark,
                    (x[-1], y[-1]),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=theme.points - 1.5,
                    color=theme.text,
                )
            )

    def _pixels(self) -> int:
        return max(16, int(self.axes.bbox.width))

    def _fit(self, band: Band, courses: Sequence[tuple[Floats, Floats]]) -> None:
        """All that is drawn is seen, and nothing that was drawn before counts."""
        values = np.concatenate([band.low, band.high, *(y for _, y in courses)])
        if not len(values):
            self.axes.set_xlim(0, 1)
            self.axes.set_ylim(0, 1)
            return
        first, last = float(band.x[0]), float(band.x[-1])
        room = 0.02 * (last - first) or 0.5
        self.axes.set_xlim(first - room, last + room)
        low, high = float(values.min()), float(values.max())
        room = 0.06 * (high - low) or max(0.05 * abs(high), 0.05)
        self.axes.set_ylim(low - room, high + room)
