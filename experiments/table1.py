"""The paper's Table 1: which losses help, and whether learned weights beat those set by hand.

    python experiments/table1.py GLAS OUT --reduced

Eleven rows (single losses, equal weights, the paper's hand-tuned ones, learned uncertainty with
two, three and four losses), each with several seeds and the same budget; the last weights are
measured (their running average), and nothing is chosen by the images measured on. The paper's
numbers, of its 80 test images and larger networks, stand beside. OUT receives a folder per run,
and table1.md, table1.csv and table1.svg.
"""

from __future__ import annotations

import sys
from typing import Any

from _command_line import Given, main
from _figures import draw_rows
from _publish import Extra, by_seed, publish, table_of, title_of
from _run import Run
from _settings import losses
from _tables import MEASURES, NOTHING, Row

HAND_TUNED = {"classification": 0.1, "segmentation": 0.6, "topology": 0.22, "geometry": 0.08}


def equal(which: str) -> dict[str, Any]:
    """The plain sum of some losses."""
    return {"losses": losses(which), "weighting": "equal"}


def learned(which: str) -> dict[str, Any]:
    """Weights learned from the losses' uncertainty."""
    return {"losses": losses(which), "weighting": "uncertainty"}


HAND = {"losses": losses("cstg"), "weighting": "fixed", "loss_weights": HAND_TUNED}

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "c": ("L_c", equal("c")),
    "s": ("L_s", equal("s")),
    "t": ("L_t", equal("t")),
    "cs-equal": ("L_c + L_s, equal", equal("cs")),
    "cst-equal": ("L_c + L_s + L_t, equal", equal("cst")),
    "cstg-equal": ("all four, equal", equal("cstg")),
    "cstg-hand": ("all four, 0.1 / 0.6 / 0.22 / 0.08", HAND),
    "stg-equal": ("L_s + L_t + L_g, equal", equal("stg")),
    "cs-learned": ("L_c + L_s, learned", learned("cs")),
    "cst-learned": ("L_c + L_s + L_t, learned", learned("cst")),
    "cstg-learned": ("all four, learned", learned("cstg")),
}
# Class accuracy, pixel accuracy, object Dice, Hausdorff (its unit is not stated).
PAPER: dict[str, tuple[float | None, float | None, float | None, float | None]] = {
    "c": (0.87, None, None, None),
    "s": (None, 0.79, 0.81, 8.2),
    "t": (None, 0.75, 0.77, 8.6),
    "cs-equal": (0.90, 0.79, 0.80, 8.4),
    "cst-equal": (0.94, 0.78, 0.80, 8.4),
    "cstg-equal": (0.91, 0.81, 0.83, 7.6),
    "cstg-hand": (0.95, 0.86, 0.85, 7.1),
    "stg-equal": (None, 0.83, 0.84, 7.3),
    "cs-learned": (0.95, 0.78, 0.80, 8.4),
    "cst-learned": (0.94, 0.79, 0.81, 8.2),
    "cstg-learned": (0.95, 0.85, 0.87, 7.0),
}
PAPER_COLUMNS = ("class_accuracy", "pixel_accuracy", "object_dice", "hausdorff")


def rows_of(given: Given) -> list[Row]:
    """The rows asked for."""
    return [
        Row(name, label, [given.run(changes, seed) for seed in given.seeds])
        for name, (label, changes) in ROWS.items()
        if given.wanted(name)
    ]


def plan(given: Given) -> list[Run]:
    """The runs of all rows."""
    return by_seed(rows_of(given))


def draw(given: Given) -> str:
    """Write the table in its three forms."""
    rows, title = rows_of(given), title_of(given, "Table 1 of the paper")
    published = {row.name: dict(zip(PAPER_COLUMNS, PAPER[row.name], strict=True)) for row in rows}
    body = table_of(given, rows, MEASURES, [_paper_column(name) for name in PAPER_COLUMNS])
    text = publish(given, "table1", title, rows, body, _paper_numbers)
    draw_rows(given.place.out / "table1.svg", title, rows, given.place, published)
    return text


def _paper_column(name: str) -> Extra:
    place = PAPER_COLUMNS.index(name)

    def words(row: Row) -> str:
        value = PAPER[row.name][place]
        return NOTHING if value is None else f"{value:g}"

    return f"paper: {name.replace('_', ' ')}", words


def _paper_numbers(row: Row) -> dict[str, Any]:
    return {f"paper_{n}": v for n, v in zip(PAPER_COLUMNS, PAPER[row.name], strict=True)}


if __name__ == "__main__":
    sys.exit(main(__doc__ or "", list(ROWS), plan, draw))
