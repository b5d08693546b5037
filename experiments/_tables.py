"""Tables of runs: mean and spread over the seeds, as Markdown to read and CSV to compute with.

Whatever is printed says how it was made: the setting, the command, the seeds, the machine's kind
and the time it took.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _run import Run
from _runs import Place

from napari_gland_mtl.checkpoint import replace_file

NOTHING = "-"
VIOLATIONS = "violations_per_annotated_gland"

Result = dict[str, Any]
Value = Callable[[Result], float | None]


def measure(name: str) -> Value:
    """Takes one measure out of a result."""

    def value(result: Result) -> float | None:
        found: float | None = result["measures"].get(name)
        return found

    return value


def seconds(result: Result) -> float | None:
    """Time of a run, training and measuring."""
    parts = (result.get("training_seconds"), result.get("measuring_seconds"))
    return float(sum(part for part in parts if part is not None))


@dataclass(frozen=True)
class Column:
    """One measure of a table: its heading, what it shows, and its decimals."""

    heading: str
    name: str
    value: Value
    decimals: int = 3


MEASURES = (
    Column("class accuracy", "class_accuracy", measure("class_accuracy")),
    Column("pixel accuracy", "pixel_accuracy", measure("pixel_accuracy")),
    Column("object F1", "object_f1", measure("object_f1")),
    Column("F1 pooled", "object_f1_pooled", measure("object_f1_pooled")),
    Column("object Dice", "object_dice", measure("object_dice")),
    Column("Dice pooled", "object_dice_pooled", measure("object_dice_pooled")),
    Column("Hausdorff px", "hausdorff_px", measure("object_hausdorff_px"), 1),
    Column("pooled px", "hausdorff_px_pooled", measure("object_hausdorff_px_pooled"), 1),
    Column("Hausdorff um", "hausdorff_um", measure("object_hausdorff_um"), 1),
    Column("pooled um", "hausdorff_um_pooled", measure("object_hausdorff_um_pooled"), 1),
    Column("violations / annotated gland", VIOLATIONS, measure(VIOLATIONS), 2),
    Column("s / run", "seconds", seconds, 0),
)


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, and its runs, one per seed."""

    name: str
    label: str
    runs: Sequence[Run]

    def results(self, place: Place) -> list[Result]:
        """Those of its runs that are done."""
        found = (place.result(run) for run in self.runs)
        return [result for result in found if result is not None]

    def values(self, place: Place, column: Column) -> list[float]:
        """A column's value of every seed that has one."""
        found = (column.value(result) for result in self.results(place))
        return [value for value in found if value is not None]


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n - 1); None where there are too few."""
    return (mean(values) if values else None, stdev(values) if len(values) > 1 else None)


def cell(values: Sequence[float], decimals: int) -> str:
    """Mean ± standard deviation, the latter from two values on.

    Examples
    --------
    >>> cell([0.8, 0.9], 2), cell([0.8], 2), cell([], 2)
    ('0.85 ± 0.07', '0.80', '-')
    """
    middle, deviation = spread(values)
    if middle is None:
        return NOTHING
    text = f"{middle:.{decimals}f}"
    return text if deviation is None else f"{text} ± {deviation:.{decimals}f}"


def as_markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_csv(lines: Sequence[dict[str, Any]]) -> str:
    """The same rows as CSV, with every column that any of them has."""
    text = io.StringIO(newline="")
    columns = dict.fromkeys(name for line in lines for name in line)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def numbers_of(row: Row, place: Place, columns: Sequence[Column]) -> dict[str, Any]:
    """A row for the CSV: mean and deviation of each column, apart."""
    line: dict[str, Any] = {"row": row.name, "seeds": len(row.results(place))}
    for column in columns:
        middle, deviation = spread(row.values(place, column))
        line |= {column.name: middle, f"{column.name}_sd": deviation}
    return line


def footer(place: Place, rows: Sequence[Row], command: str, setting: str) -> str:
    """How a table was made, and what of it is still missing."""
    runs = {run.name: run for row in rows for run in row.runs}
    results = [result for result in map(place.result, runs.values()) if result is not None]
    total = sum(seconds(result) or 0.0 for result in results)
    machines = sorted({kind for result in results for kind in result["machine"].split("; ")})
    failed = [name for name, run in runs.items() if "failed" in (place.result(run) or {})]
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs.values()}))
    lines = [
        f"- {setting}. `{command}`",
        f"- Seeds {seeds}; {len(results)} of {len(runs)} runs are done.",
        f"- On {'; '.join(kind for kind in machines if kind) or 'no machine yet'}.",
        f"- {_duration(total)} in all, training and measuring, without reading the images.",
    ]
    if failed:
        lines.append(
            f"- {len(failed)} runs ended because a loss was no longer finite, and have no "
            f"measures: {', '.join(failed)}."
        )
    if unfinished := _unfinished(place, rows):
        lines.append(f"- Seeds done of each row that lacks some: {unfinished}.")
    return "\n".join(lines)


def _unfinished(place: Place, rows: Sequence[Row]) -> str:
    """Rows with fewer results than runs: means of fewer seeds than the others'."""
    counts = [(row, len(row.results(place))) for row in rows]
    return "; ".join(
        f"{row.label or row.name} {count} of {len(row.runs)}"
        for row, count in counts
        if count < len(row.runs)
    )


def _duration(total: float) -> str:
    if total < 120:
        return f"{total:.0f} s"
    return f"{total / 60:.0f} min" if total < 7200 else f"{total / 3600:.1f} h"


def write(path: Path, text: str) -> None:
    """Write a table, the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (text.rstrip("\n") + "\n").encode())
