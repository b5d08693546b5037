"""What a figure of a training shows, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import InvalidInputError

X = Literal["step", "epoch"]
SMOOTHING = 25

PANELS: dict[str, str] = {
    "losses": "Losses",
    "weighted": "Weighted losses",
    "total": "Total that is minimised",
    "log_var": "log σ²",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
    "weights": "Weights",
    "shares": "Share of all weights (%)",
    "measures": "Validation",
    "distance": "Hausdorff distance (µm)",
    "violations": "Topology violations",
}
"""Name of a panel -> its title, in the order in which they are drawn."""

PANEL_HELP: dict[str, str] = {
    "losses": "Each loss as it is, before it is weighted.",
    "weighted": "Each loss times its weight: what it adds to the total.",
    "total": "What the training makes smaller: the weighted losses and, with learned weights, "
    "the sum of all log σ². It may fall below zero.",
    "log_var": "The uncertainty that was learned for each loss, log σ². Higher is less certain.",
    "sigma": "The same as a factor: the square root of exp(log σ²).",
    "weights": "The factor of each loss, exp(-log σ²) where it is learned.",
    "shares": "The weight of each loss in per cent of all weights together.",
    "measures": "Measures on the validation images, 0 to 1: the score that picks the best epoch, "
    "object Dice and F1, accuracy of pixels and of the class.",
    "distance": "Distance between outlines on the validation images; less is better.",
    "violations": "Places of the raw prediction that break the topology, on the validation images.",
}
"""Name of a panel -> what it shows, in a sentence."""


@dataclass(frozen=True)
class FigureTheme:
    """The colours of a figure, and the size of its text."""

    background: str = "#ffffff"
    text: str = "#222222"
    grid: str = "#d9d9d9"
    points: float = 8.0


LIGHT = FigureTheme()
DARK = FigureTheme("#23242b", "#f0f1f2", "#424a54")


@dataclass(frozen=True)
class FigureOptions:
    """What is drawn.

    Parameters
    ----------
    x : str
        ``"step"`` for a point per step, ``"epoch"`` for one per epoch.
    smoothing : int
        Losses are drawn as the mean of this many steps; 1 leaves them as they are.
    log_scale : bool
        Losses, their weights and sigma on a logarithmic axis.
    panels : tuple of str
        Which of `PANELS`.

    Raises
    ------
    InvalidInputError
        If a panel is unknown, or a number makes no sense.
    """

    x: X = "step"
    smoothing: int = SMOOTHING
    log_scale: bool = False
    panels: tuple[str, ...] = tuple(PANELS)

    def __post_init__(self) -> None:
        unknown = [name for name in self.panels if name not in PANELS]
        if unknown or not self.panels:
            raise InvalidInputError(
                f"{', '.join(map(repr, unknown)) or 'Nothing'} is no panel of the figure. There "
                f"are {', '.join(PANELS)}."
            )
        if self.x not in ("step", "epoch"):
            raise InvalidInputError(f"The axis is 'step' or 'epoch', not {self.x!r}.")
        if self.smoothing < 1:
            raise InvalidInputError(
                f"Smoothing is a number of steps, 1 or more, not {self.smoothing}."
            )
