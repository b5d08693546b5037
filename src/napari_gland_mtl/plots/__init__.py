"""Figures of a training: what its losses, their learned weights and its measures did.

The dock widget, the command line and a script draw with the same functions. Nothing heavy is
imported until something is drawn.
"""

from .figure import draw
from .files import write_csv, write_figure
from .losses import LOSS_COLORS, LOSS_TITLES, loss_color, loss_title
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
    "RunHistory",
    "draw",
    "in_short",
    "in_words",
    "loss_color",
    "loss_title",
    "write_csv",
    "write_figure",
]
