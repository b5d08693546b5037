"""Which images stand out: the most uncertain first, compared with the others in words.

An image is compared with the median of all images, loss by loss; the loss in which it stands out
most decides. Where no uncertainty was learned the losses themselves are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .image_table import LOG_VAR, ImageTable
from .losses import loss_title
from .reduction import Floats

MUCH, MORE = 3.0, 1.5
"""Times the usual from which an image wants a look, and from which it is said to differ."""

LEAST_SHARE = 0.1
"""Of the mean: what is usual is no less, or a loss that is 0 for most images would make each
other one stand out without bounds."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images, those that stand out most first.

    Attributes
    ----------
    table : ImageTable
    losses : tuple of str
        Those that were compared.
    names : tuple of str
    ratios : ndarray, (n,)
        Times the usual uncertainty, sigma^2 over the median's, or the usual loss; NaN where
        nothing is known.
    leading : tuple of str
        The loss in which each stands out most; empty where nothing is known.
    values : dict of str to ndarray, (n,)
        By column, ``log_var_<loss>`` and ``<loss>``, in the order of `names`.
    """

    table: ImageTable
    losses: tuple[str, ...]
    names: tuple[str, ...]
    ratios: Floats
    leading: tuple[str, ...]
    values: dict[str, Floats]

    def words(self, place: int) -> str:
        """How an image compares with the others."""
        several = len(self.losses) > 1
        ratio, loss = float(self.ratios[place]), self.leading[place]
        return compared(ratio, self.table.learned, loss, several)

    def short(self, place: int) -> str:
        """The same in few words, for a narrow column: ``4.1x usual (topology)``."""
        ratio, loss = float(self.ratios[place]), self.leading[place]
        if not math.isfinite(ratio) or 1 / MORE < ratio < MORE:
            return compared(ratio, self.table.learned, loss)
        of = f" ({loss_title(loss).lower()})" if len(self.losses) > 1 else ""
        return f"{times(ratio)} usual{of}"

    @property
    def standing_out(self) -> int:
        """How many want a look."""
        return int((self.ratios >= MUCH).sum())


def rank(table: ImageTable, losses: Sequence[str] = ()) -> Ranking:
    """Sort the images of a training.

    Parameters
    ----------
    table : ImageTable
    losses : sequence of str
        Which losses to compare; all if empty.
    """
    chosen = tuple(name for name in table.losses if not losses or name in losses)
    prefixes = [LOG_VAR, ""] if table.learned else [""]
    values = {f"{p}{name}": table.latest(f"{p}{name}") for p in prefixes for name in chosen}
    by_loss = _ratios(table, chosen, values, learned=False)
    by_kind = _ratios(table, chosen, values, learned=True) if table.learned else by_loss
    ratios, leading = _leading(by_kind)
    # Of equally uncertain images, as all are in the warm-up, those of the largest loss.
    order = np.lexsort((-_known(_leading(by_loss)[0]), -_known(ratios)))
    return Ranking(
        table,
        chosen,
        tuple(table.names[place] for place in order),
        ratios[order],
        tuple(chosen[leading[place]] if np.isfinite(ratios[place]) else "" for place in order),
        {name: column[order] for name, column in values.items()},
    )


def compared(ratio: float, learned: bool, loss: str, several: bool = True) -> str:
    """How an image compares with the median, in words.

    Examples
    --------
    >>> compared(4.12, True, "topology")
    '4.1x the usual uncertainty (topology): look at its annotation'
    >>> compared(1.2, True, "topology")
    'about as usual'
    """
    if not math.isfinite(ratio):
        return "not known"
    what = "uncertainty" if learned else "loss"
    of = f" ({loss_title(loss).lower()})" if several else ""
    if ratio >= MUCH:
        cure = "check its class" if loss == "classification" else "look at its annotation"
        return f"{times(ratio)} the usual {what}{of}: {cure}"
    if ratio >= MORE or ratio <= 1 / MORE:
        return f"{times(ratio)} the usual {what}{of}"
    return "about as usual"


def times(ratio: float) -> str:
    """``4.1x``; short, however large."""
    if ratio > 999:
        return ">999x"
    return f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.1f}x" if ratio >= 0.05 else "<0.1x"


def _ratios(
    table: ImageTable, losses: Sequence[str], values: dict[str, Floats], learned: bool
) -> Floats:
    """(n, losses): times the usual, of each loss."""
    columns = [
        _uncertainty_ratio(values[f"{LOG_VAR}{name}"]) if learned else _loss_ratio(values[name])
        for name in losses
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def _uncertainty_ratio(log_var: Floats) -> Floats:
    known = log_var[np.isfinite(log_var)]
    return np.exp(log_var - np.median(known)) if len(known) else log_var


def _loss_ratio(loss: Floats) -> Floats:
    known = loss[np.isfinite(loss)]
    if not len(known):
        return loss
    usual = max(float(np.median(known)), LEAST_SHARE * float(known.mean()))
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
