"""Puts an experiment's table into its files, headed by its setting and ended by how it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from _command_line import Given
from _tables import MEASURES, Column, Row, as_csv, as_markdown, cell, footer, numbers_of, write

Extra = tuple[str, Callable[[Row], str]]


def title_of(given: Given, what: str) -> str:
    """What is shown, on which images, in which setting."""
    split = given.arguments.split
    count = len(given.place.glas.divided(split)[1])
    return f"{what}, on {count} {split} images. {given.setting}"


def table_of(
    given: Given, rows: Sequence[Row], columns: Sequence[Column], extra: Sequence[Extra] = ()
) -> str:
    """Rows with mean and spread of each column, and columns in words after them."""
    heads = ["", *(column.heading for column in columns), *(heading for heading, _ in extra)]
    lines = [
        [
            row.label,
            *(cell(row.values(given.place, column), column.decimals) for column in columns),
            *(words(row) for _, words in extra),
        ]
        for row in rows
    ]
    return as_markdown(heads, lines)


def publish(
    given: Given,
    stem: str,
    title: str,
    rows: Sequence[Row],
    body: str,
    numbers: Callable[[Row], dict[str, Any]] | None = None,
    columns: Sequence[Column] = MEASURES,
    also_counted: Sequence[Row] = (),
) -> str:
    """Write ``stem.md`` and ``stem.csv``; returns the former.

    Parameters
    ----------
    given : Given
    stem : str
    title : str
    rows : sequence of Row
        Of the CSV, and for the footer.
    body : str
        The tables.
    numbers : callable, optional
        Further columns of the CSV.
    columns : sequence of Column
        Of the CSV.
    also_counted : sequence of Row
        Runs that took their time, and are in no row.
    """
    place = given.place
    note = footer(place, [*rows, *also_counted], given.command, given.setting)
    text = "\n\n".join([f"## {title}", body, note])
    lines = [
        {**numbers_of(row, place, columns), **(numbers(row) if numbers else {})} for row in rows
    ]
    write(place.out / f"{stem}.md", text)
    write(place.out / f"{stem}.csv", as_csv([{**line, "setting": given.setting} for line in lines]))
    return text


def by_seed(rows: Sequence[Row]) -> list[Any]:
    """All rows with the first seed, then with the next: a table can be looked at early."""
    most = max((len(row.runs) for row in rows), default=0)
    return [row.runs[i] for i in range(most) for row in rows if i < len(row.runs)]
