"""What a training says of each of its images: losses and, where it was learned, uncertainty.

``images.csv`` has a row per image and epoch. From its rows come how an image stands now (the mean
of its last rows, since a single epoch sees only a few patches of it), its course over the epochs,
and the course of all images to compare it with. Nothing here draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..storage.growing_names import NamedColumns
from .losses import LOSS_TITLES
from .reduction import Floats
from .run_history import IMAGE_COLUMN

RECENT = 5
"""How many of the last epochs in which an image was seen tell how it stands."""

LOG_VAR = "log_var_"
BAND = (10.0, 50.0, 90.0)
"""Per cent of the images below the band, its middle and its upper edge."""

_NO_LOSS = ("epoch", IMAGE_COLUMN, "patches")


@dataclass(frozen=True, eq=False)
class Band:
    """The course of all images.

    Attributes
    ----------
    x : ndarray, (n,)
        Epochs.
    low, middle, high : ndarray, (n,)
        The 10th percentile of the images, the median and the 90th.
    """

    x: Floats
    low: Floats
    middle: Floats
    high: Floats


class ImageTable:
    """The numbers of the images of one training.

    Parameters
    ----------
    named : NamedColumns
        As `RunHistory.images` gives them.
    """

    def __init__(self, named: NamedColumns) -> None:
        self._columns, self.names = named.columns, named.names
        self._bands: dict[str, Band] = {}
        self._places = {name: place for place, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses, those of this package first and in their usual order."""
        found = [n for n in self._columns if n not in _NO_LOSS and not n.startswith(LOG_VAR)]
        known = [name for name in LOSS_TITLES if name in found]
        return (*known, *(name for name in found if name not in known))

    @cached_property
    def learned(self) -> bool:
        """Whether the training learns an uncertainty of each image."""
        return any(name.startswith(LOG_VAR) for name in self._columns)

    @property
    def last_epoch(self) -> int:
        """The last epoch that was read; 0 before the first."""
        epochs = self._columns.get("epoch")
        return int(epochs[-1]) if epochs is not None and len(epochs) else 0

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self._columns

    def latest(self, column: str) -> Floats:
        """How each image stands: the mean of its last rows; NaN where nothing is known.

        Parameters
        ----------
        column : str
            A loss, or ``log_var_<loss>``.

        Returns
        -------
        ndarray, (n,)
            In the order of `names`.
        """
        rows = self._last_rows
        if column not in self._columns or not rows.size:
            return np.full(len(self), np.nan)
        values = np.where(rows >= 0, self._columns[column][rows], np.nan)
        known = np.isfinite(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1))

    def course(self, name: str, column: str) -> tuple[Floats, Floats]:
        """One image over the epochs in which its value is known; empty for an unknown name.

        Returns
        -------
        epochs, values : ndarray, (n,)
        """
        if column not in self._columns or name not in self._places:
            return np.empty(0), np.empty(0)
        rows = self._rows_of(self._places[name])
        values = self._columns[column][rows]
        known = np.isfinite(values)
        return self._columns["epoch"][rows][known], values[known]

    def band(self, column: str) -> Band:
        """Median and 10-90 % band of all images at each epoch."""
        if column not in self._bands:
            self._bands[column] = self._band(column)
        return self._bands[column]

    def _band(self, column: str) -> Band:
        empty = np.empty(0)
        values, epochs = self._columns.get(column, empty), self._columns.get("epoch", empty)
        known = np.isfinite(values)
        values, epochs = values[known], epochs[known]
        order = np.lexsort((values, epochs))
        x, starts, counts = np.unique(epochs, return_index=True, return_counts=True)
        # Rows come by epoch; where they do not, the places must be those of the sorted rows.
        starts = np.cumsum(counts) - counts
        return Band(x, *(_percentile(values[order], starts, counts, part) for part in BAND))

    @cached_property
    def _grouped(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Rows by image and then as they came, and where each image begins in them."""
        codes = self._columns.get(IMAGE_COLUMN, np.empty(0)).astype(np.intp)
        order = np.argsort(codes, kind="stable")
        return order, np.searchsorted(codes[order], np.arange(len(self) + 1))

    def _rows_of(self, place: int) -> npt.NDArray[np.intp]:
        order, begins = self._grouped
        return order[begins[place] : begins[place + 1]]

    @cached_property
    def _last_rows(self) -> npt.NDArray[np.intp]:
        """(n, RECENT) rows of each image; -1 where it was seen less often."""
        order, begins = self._grouped
        if not len(order):
            return np.empty((0, RECENT), np.intp)
        wanted = begins[1:, None] - 1 - np.arange(RECENT)
        return np.where(wanted >= begins[:-1, None], order[np.maximum(wanted, 0)], -1)


def _percentile(
    values: Floats, starts: npt.NDArray[np.intp], counts: npt.NDArray[np.intp], part: float
) -> Floats:
    """A percentile of each group of sorted values, in between where it falls between two."""
    if not len(values):
        return np.empty(0)
    place = starts + part / 100 * (counts - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, starts + counts - 1)
    share = place - below
    return np.asarray((1 - share) * values[below] + share * values[above])
