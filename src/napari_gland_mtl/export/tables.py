"""Gland tables as CSV: one row per gland, the unit in each column's name (``area_um2``)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..segmentation import GlandTable
from ..storage.atomic import new_file

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
    write_table_parts(path, [table], overwrite)


def write_table_parts(
    path: Path | str, parts: Iterable[GlandTable], overwrite: bool = False
) -> None:
    """Write a gland table that comes in parts, one of which is in memory at a time.

    Parameters
    ----------
    path, overwrite
        As for `write_table`.
    parts : iterable of dict of str to ndarray
        With the same columns; at least one, which may have no rows.

    Raises
    ------
    InvalidInputError
        If columns have different lengths, or a part other columns than the first one.
    OutputExistsError, OutputNotWritableError
    """
    with (
        new_file(Path(path), overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        header: list[str] | None = None
        for part in parts:
            check_table(part)
            if header is None:
                header = list(part)
                writer.writerow(header)
            if list(part) != header:
                raise InvalidInputError(
                    f"The parts of a table must have the same columns, not {header} and "
                    f"{list(part)}."
                )
            writer.writerows(
                [_text(value) for value in row] for row in zip(*part.values(), strict=True)
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
