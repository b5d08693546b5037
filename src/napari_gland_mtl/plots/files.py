"""The figure as a picture, and its numbers as a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError, MissingExtraError
from ..storage.atomic import new_file
from .curves import loss_values, rows
from .figure import draw, figure_size
from .options import LIGHT, FigureOptions, FigureTheme
from .reduction import Floats
from .run_history import RunHistory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
TABLE = ".csv"
DPI = 200
_OF_LOSSES = {
    "losses": "loss",
    "weighted": "weighted",
    "log_var": "log_var",
    "sigma": "sigma",
    "weights": "weight",
    "shares": "share_percent",
}


def write_figure(
    runs: Sequence[RunHistory],
    path: Path | str,
    options: FigureOptions | None = None,
    theme: FigureTheme = LIGHT,
    overwrite: bool = False,
) -> Path:
    """Draw the histories of trainings into a file; its ending says of which kind.

    Parameters
    ----------
    runs : sequence of RunHistory
        As far as they were read.
    path : path
        ``.png``, ``.svg`` or ``.pdf``.
    options : FigureOptions, optional
    theme : FigureTheme
    overwrite : bool
        Replace what is there.

    Raises
    ------
    InvalidInputError
        If the ending is none of these.
    MissingExtraError
        If matplotlib is not installed.
    OutputExistsError, OutputNotWritableError
    """
    options = options or FigureOptions()
    size = figure_size(runs, options)
    return write_picture(lambda f: draw(f, runs, options, theme), path, size, theme, overwrite)


def write_picture(
    draw_on: Callable[[Figure], object],
    path: Path | str,
    size: tuple[float, float],
    theme: FigureTheme,
    overwrite: bool,
) -> Path:
    """Draw a figure of so many inches into a file; see `write_figure`."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in PICTURES:
        raise InvalidInputError(
            f"{path.name} does not end with one of {', '.join((*PICTURES, TABLE))}: the ending "
            "says what is written."
        )
    check_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI)
    draw_on(figure)
    # Without a date the same run gives the same file.
    stamp = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind, {})
    # Otherwise the ids inside an SVG are drawn by lot.
    with new_file(path, overwrite=overwrite) as partial, rc_context({"svg.hashsalt": "gland-mtl"}):
        figure.savefig(partial, format=kind[1:], metadata=stamp, facecolor=theme.background)
    return path


def check_matplotlib() -> None:
    """Raise MissingExtraError if matplotlib cannot be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Figures need matplotlib. Install it with: pip install 'napari-gland-mtl[plots]'"
        ) from error


def write_csv(
    runs: Sequence[RunHistory],
    path: Path | str,
    options: FigureOptions | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the numbers behind the figure: a row per run and step, or epoch; nothing smoothed.

    Parameters
    ----------
    runs : sequence of RunHistory
    path : path
    options : FigureOptions, optional
        ``x`` says whether there is a row per step or per epoch. Measures stand in the rows of
        epochs, or of the last step of their epoch.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    OutputExistsError, OutputNotWritableError
    """
    path, options = Path(path), options or FigureOptions()
    tables = [(run.name, table_of(run, options)) for run in runs]
    names = list(dict.fromkeys(name for _, table in tables for name in table))
    with (
        new_file(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["run", *names])
        for run_name, table in tables:
            for row in _rows(table, names):
                writer.writerow([run_name, *row])
    return path


def table_of(run: RunHistory, options: FigureOptions) -> dict[str, Floats]:
    """All numbers of a run by step or epoch: what its files have, and what follows from them."""
    columns = rows(run, options)
    if options.x not in columns:
        return {}
    derived = {
        f"{prefix}_{name}": values
        for panel, prefix in _OF_LOSSES.items()
        for name in run.losses
        if (values := loss_values(columns, panel, name)) is not None
    }
    return {**columns, **derived, **_measures(run, columns, options)}


def _measures(
    run: RunHistory, columns: dict[str, Floats] | object, options: FigureOptions
) -> dict[str, Floats]:
    """Measures beside the rows of steps, at the last one of their epoch."""
    if options.x == "epoch" or not isinstance(columns, dict):
        return {}
    epochs, found = run.epochs, {}
    if "epoch" not in epochs or "epoch" not in columns:
        return {}
    last = np.searchsorted(columns["epoch"], epochs["epoch"], side="right") - 1
    inside = last >= 0
    for name in run.measures:
        values = np.full(len(columns["epoch"]), np.nan)
        values[last[inside]] = epochs[name][inside]
        found[name] = values
    return found


def _rows(table: dict[str, Floats], names: Sequence[str]) -> Iterator[list[str]]:
    if not table:
        return
    length = len(next(iter(table.values())))
    empty = np.full(length, np.nan)
    for values in zip(*(table.get(name, empty).tolist() for name in names), strict=True):
        yield [cell(value) for value in values]


def cell(value: float) -> str:
    """A number as short as it can be without losing any of it; nothing where there is none."""
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
