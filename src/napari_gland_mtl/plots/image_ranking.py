"""Which images stand out, by their loss or their learned uncertainty, in order and in words.

An image is compared with the median of all images, loss by loss; the loss in which it stands out
most decides. By loss unless asked otherwise: wrong annotations show there, while log sigma^2 is
predicted from the image alone and shows which images look unlike the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..errors import InvalidInputError
from .image_table import LOG_VAR, ImageTable
from .losses import loss_title
from .reduction import Floats

RankBy = Literal["loss", "uncertainty"]
RANKED_BY: tuple[RankBy, ...] = get_args(RankBy)

SMOOTHNESS = "geometry"
"""Says how smooth a prediction is and hardly how well it fits: where labels were made wrong on
purpose it was smaller for these images, and hid them if it could decide."""

NOT_LEARNED = (
    "No uncertainty of each image was learned in this training. To have it learned, choose "
    "“Learned uncertainty per image” in “Fine-tune”, or --weighting instance on the command line."
)

MUCH, MORE = 3.0, 1.5
"""Times the usual from which an image wants a look, and from which it is said to differ."""

LEAST_SHARE = 0.1
"""Of the mean: what is usual is no less, or a loss that is 0 for most images would make each
other one stand out without bounds."""

LEAST_USUAL = {"classification": math.log(2) / MUCH}
"""Nor less than this: once classes are known by heart, 50 times nearly nothing is chance. A look
is wanted from log 2 on, where the true class has no more than half of the probability."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images, those that stand out most first.

    Attributes
    ----------
    table : ImageTable
    losses : tuple of str
        Those that are shown.
    deciding : tuple of str
        Those of them that were compared.
    by : {"loss", "uncertainty"}
    names : tuple of str
    ratios : ndarray, (n,)
        Times the usual loss, or the usual uncertainty: sigma^2 over the median's. NaN where
        nothing is known.
    leading : tuple of str
        The loss in which each stands out most; empty where nothing is known.
    values : dict of str to ndarray, (n,)
        By column, ``<loss>`` and ``log_var_<loss>``, in the order of `names`; first those by
        which the images are ranked.
    """

    table: ImageTable
    losses: tuple[str, ...]
    deciding: tuple[str, ...]
    by: RankBy
    names: tuple[str, ...]
    ratios: Floats
    leading: tuple[str, ...]
    values: dict[str, Floats]

    def words(self, place: int) -> str:
        """How an image compares with the others."""
        several = len(self.deciding) > 1
        ratio, loss = float(self.ratios[place]), self.leading[place]
        return compared(ratio, self.by, loss, several)

    def short(self, place: int) -> str:
        """The same in few words, for a narrow column: ``4.1x usual (topology)``."""
        ratio, loss = float(self.ratios[place]), self.leading[place]
        if not math.isfinite(ratio) or 1 / MORE < ratio < MORE:
            return compared(ratio, self.by, loss)
        of = f" ({loss_title(loss).lower()})" if len(self.deciding) > 1 else ""
        return f"{times(ratio)} usual{of}"

    @property
    def standing_out(self) -> int:
        """How many want a look."""
        return int((self.ratios >= MUCH).sum())


def rank(table: ImageTable, losses: Sequence[str] = (), by: RankBy = "loss") -> Ranking:
    """Sort the images of a training.

    Parameters
    ----------
    table : ImageTable
    losses : sequence of str
        Which losses to compare; `deciding_losses` if empty.
    by : {"loss", "uncertainty"}
        Whether to compare the losses or what was learned of their uncertainty.

    Raises
    ------
    InvalidInputError
        If no uncertainty of each image was learned.
    """
    _check_by(table, by)
    shown = tuple(name for name in table.losses if not losses or name in losses)
    deciding = shown if losses else deciding_losses(shown)
    prefixes = ([LOG_VAR, ""] if by == "uncertainty" else ["", LOG_VAR])[: 1 + table.learned]
    values = {f"{p}{name}": table.latest(f"{p}{name}") for p in prefixes for name in shown}
    by_loss = _ratios(table, deciding, values, "loss")
    ratios, leading = _leading(_ratios(table, deciding, values, by))
    # Of equally uncertain images, as all are in the warm-up, those of the largest loss.
    order = np.lexsort((-_known(_leading(by_loss)[0]), -_known(ratios)))
    known = np.isfinite(ratios)
    return Ranking(
        table,
        shown,
        deciding,
        by,
        tuple(table.names[place] for place in order),
        ratios[order],
        tuple(deciding[leading[place]] if known[place] else "" for place in order),
        {name: column[order] for name, column in values.items()},
    )


def deciding_losses(losses: Sequence[str]) -> tuple[str, ...]:
    """Which losses are compared unless some are chosen: all that fit the annotation."""
    return tuple(name for name in losses if name != SMOOTHNESS) or tuple(losses)


def compared(ratio: float, by: RankBy, loss: str, several: bool = True) -> str:
    """How an image compares with the median, in words.

    Examples
    --------
    >>> compared(4.12, "loss", "topology")
    '4.1x the usual loss (topology): look at its annotation'
    >>> compared(1.2, "loss", "topology")
    'about as usual'
    """
    if not math.isfinite(ratio):
        return "not known"
    of = f" ({loss_title(loss).lower()})" if several else ""
    said = f"{times(ratio)} the usual {by}{of}"
    if ratio >= MUCH:
        return f"{said}: {_cure(by, loss)}"
    return said if ratio >= MORE or ratio <= 1 / MORE else "about as usual"


def _cure(by: RankBy, loss: str) -> str:
    """What to do about an image that stands out; its annotation shows in the loss alone."""
    if by == "uncertainty":
        return "look at the image"
    return "check its class" if loss == "classification" else "look at its annotation"


def _check_by(table: ImageTable, by: str) -> None:
    if by not in RANKED_BY:
        raise InvalidInputError(
            f"Images cannot be ranked by {by!r}. Rank them by {' or by '.join(RANKED_BY)}."
        )
    if by == "uncertainty" and not table.learned:
        raise InvalidInputError(f"{NOT_LEARNED} What there is can be ranked by loss.")


def times(ratio: float) -> str:
    """``4.1x``; short, however large."""
    if ratio > 999:
        return ">999x"
    return f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x" if ratio >= 0.05 else "<0.1x"


def _ratios(
    table: ImageTable, losses: Sequence[str], values: dict[str, Floats], by: RankBy
) -> Floats:
    """(n, losses): times the usual, of each loss."""
    columns = [
        _loss_ratio(values[name], LEAST_USUAL.get(name, 0.0))
        if by == "loss"
        else _uncertainty_ratio(values[LOG_VAR + name])
        for name in losses
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def _uncertainty_ratio(log_var: Floats) -> Floats:
    known = log_var[np.isfinite(log_var)]
    return np.exp(log_var - np.median(known)) if len(known) else log_var


def _loss_ratio(loss: Floats, least: float) -> Floats:
    known = loss[np.isfinite(loss)]
    if not len(known):
        return loss
    usual = max(float(np.median(known)), LEAST_SHARE * float(known.mean()), least)
    return loss / usual if usual > 0 else np.where(np.isfinite(loss), 1.0, np.nan)


def _leading(ratios: Floats) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The largest ratio of each image, and which loss it is of."""
    if not ratios.shape[1]:
        return np.full(len(ratios), np.nan), np.zeros(len(ratios), np.intp)
    filled = np.where(np.isfinite(ratios), ratios, -np.inf)
    place = np.argmax(filled, axis=1)
    best = filled[np.arange(len(filled)), place]
    return np.where(np.isfinite(best), best, np.nan), place


def _known(ratios: Floats) -> Floats:
    """Images of which nothing is known come last."""
    return np.where(np.isfinite(ratios), ratios, -1.0)
