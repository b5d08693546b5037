"""Gland tables as CSV: one row per gland, the unit in each column's name (``area_um2``)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..segmentation import GlandTable
from .atomic import new_file

# Finer than any measurement; a whole slide's coordinates keep a hundredth of a micrometre.
_DIGITS = 7


def write_table(path: Path | str, table: GlandTable, overwrite: bool = False) -> None:
    """Write a gland table.

    Parameters
    ----------
    path : path
        A CSV file (UTF-8, comma, decimal point). It appears only when it is complete.
    table : dict of str to ndarray
        Columns of equal length. Without rows the header is written alone. Numbers get seven
        significant digits; a value that is not known (NaN) is left empty.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    InvalidInputError
        If the columns have different lengths.
    OutputExistsError, OutputNotWritableError
    """
    check_table(table)
    with (
        new_file(Path(path), overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(
            [_text(value) for value in row] for row in zip(*table.values(), strict=True)
        )


def check_table(table: GlandTable) -> None:
    """Raise InvalidInputError unless all columns are one-dimensional and equally long."""
    shapes = {name: np.shape(column) for name, column in table.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        raise InvalidInputError(f"The columns of a gland table must be equally long, not {shapes}.")


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.{_DIGITS}g}"
    return str(value)
