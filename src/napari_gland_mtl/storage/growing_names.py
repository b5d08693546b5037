"""A growing table one column of which are names, such as ``images.csv``: a row per image and epoch.

Names may hold commas, quotes and any letter. In the columns they stand as numbers, places in a
list of names, so that what is done with the table needs no strings.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .growing_table import GrowingTable


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """What was read so far; it does not change any more.

    Attributes
    ----------
    columns : dict of str to ndarray
        Empty cells are NaN. In the column of names each is a place in `names`.
    names : tuple of str
        Each once, in the order in which they were first seen.
    """

    columns: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class NamedGrowingTable(GrowingTable):
    """Follows a CSV file whose first row names the columns, one of which holds names.

    Parameters
    ----------
    path : path
        It need not exist yet.
    column : str
        The column with names.
    """

    def __init__(self, path: Path, column: str) -> None:
        self._column = column
        super().__init__(path)

    @property
    def named(self) -> NamedColumns:
        """The columns with their names; they belong together whatever is read meanwhile."""
        return self._named

    def _begin_again(self) -> None:
        super()._begin_again()
        self._places: dict[str, int] = {}
        self._named = NamedColumns()

    def _parsed(self, text: str) -> npt.NDArray[np.float64]:
        width = len(self._names)
        found = self._names.index(self._column) if self._column in self._names else -1
        rows = [
            [
                self._place(cell) if place == found else _number(cell)
                for place, cell in enumerate(row)
            ]
            for row in csv.reader(text.split("\n"))
            if len(row) == width
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, width)

    def _place(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    def _append(self, rows: npt.NDArray[np.float64]) -> None:
        super()._append(rows)
        self._named = NamedColumns(self._columns, tuple(self._places))


def _number(cell: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.nan
