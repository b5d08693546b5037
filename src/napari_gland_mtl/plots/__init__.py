"""Figures of a training: what its losses, their learned weights and its measures did.

The dock widget, the command line and a script draw with the same functions. Nothing heavy is
imported until something is drawn.
"""

from .figure import draw
from .files import write_csv, write_figure
from .image_figure import draw_images, ranking_of, write_images, write_images_csv
from .image_panel import ImagePanel, image_columns
from .image_ranking import RankBy, Ranking, rank
from .image_table import ImageTable
from .image_words import images_in_words
from .losses import LOSS_COLORS, LOSS_TITLES, loss_color, loss_title, on_ground
from .options import DARK, LIGHT, FigureOptions, FigureTheme
from .run_history import RunHistory
from .words import in_short, in_words

__all__ = [
    "DARK",
    "LIGHT",
    "LOSS_COLORS",
    "LOSS_TITLES",
    "FigureOptions",
    "FigureTheme",
    "ImagePanel",
    "ImageTable",
    "RankBy",
    "Ranking",
    "RunHistory",
    "draw",
    "draw_images",
    "image_columns",
    "images_in_words",
    "in_short",
    "in_words",
    "loss_color",
    "loss_title",
    "on_ground",
    "rank",
    "ranking_of",
    "write_csv",
    "write_figure",
    "write_images",
    "write_images_csv",
]
