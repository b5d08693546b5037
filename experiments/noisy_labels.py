"""Whether uncertainty per image helps where a third of the training labels are wrong.

    python experiments/noisy_labels.py GLAS OUT --reduced

Trained with clean labels, and with labels made wrong in a third of the images: half of the glands
dropped, their borders moved, the class flipped, or all three; measured on clean images. A second
table says whether the images with wrong labels are found: the area under the ROC curve of what the
network learned of each image's uncertainty, beside that of its plain loss and of the order in which
the dock “Loss weights” lists the images. OUT, shared with the other experiments, receives
noisy_labels.md, .csv and .svg.
"""

from __future__ import annotations

import sys
from statistics import mean
from typing import Any

from _command_line import Given, main
from _detection import LOG_VAR, found_by_ranking, found_out, spread
from _figures import draw_rows
from _noise import KINDS
from _publish import by_seed, publish, table_of, title_of
from _run import CLEAN, Run
from _settings import LETTERS
from _tables import MEASURES, NOTHING, Row, as_markdown, cell
from table1 import equal, learned
from weightings import ALL, weighted

from napari_gland_mtl.storage.run_files import IMAGES_FILE

WEIGHTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "equal": ("equal", equal(ALL)),
    "uncertainty": ("uncertainty per loss", learned(ALL)),
    "instance": ("uncertainty per image", weighted(ALL, "instance")),
    "instance_pixel": ("uncertainty per image and pixel", weighted(ALL, "instance_pixel")),
}
LABELS = {
    CLEAN: "clean labels",
    "dropped": "half of the glands dropped",
    "moved": "borders moved by 12 um",
    "flipped": "class flipped",
    "all": "all three",
}
RANKING = "ranking"


def rows_of(given: Given) -> list[Row]:
    """A row per kind of labels and weighting."""
    return [
        Row(
            f"{labels}-{name}",
            f"{LABELS[labels]}, {label}",
            [given.run(changes, seed, labels) for seed in given.seeds],
        )
        for labels in (CLEAN, *KINDS)
        if labels in given.arguments.labels
        for name, (label, changes) in WEIGHTINGS.items()
        if given.wanted(name)
    ]


def plan(given: Given) -> list[Run]:
    """The runs of all rows."""
    return by_seed(rows_of(given))


def areas_of(given: Given, row: Row) -> dict[str, list[float]]:
    """How well the noisy images are found: number -> its area under the curve for every seed."""
    found: dict[str, list[float]] = {}
    for run in row.runs:
        result = given.place.result(run)
        if result is None or not result["noisy"]:
            continue
        path, noisy = given.place.folder(run) / IMAGES_FILE, result["noisy"]
        areas = found_out(path, run.settings["losses"], noisy)
        if (area := found_by_ranking(path, noisy)) is not None:
            areas[RANKING] = area
        for name, area in areas.items():
            found.setdefault(name, []).append(area)
    return found


def spreads_of(given: Given, row: Row) -> dict[str, list[float]]:
    """How far apart the images' log sigma^2 are: number -> its SD over the images, per seed."""
    found: dict[str, list[float]] = {}
    for run in row.runs:
        if given.place.result(run) is None:
            continue
        path = given.place.folder(run) / IMAGES_FILE
        for name, value in spread(path, run.settings["losses"]).items():
            found.setdefault(name, []).append(value)
    return found


def draw(given: Given) -> str:
    """Write both tables in their three forms."""
    rows = rows_of(given)
    title = title_of(given, "A third of the training labels made wrong")
    areas = {row.name: areas_of(given, row) for row in rows}
    spreads = {row.name: spreads_of(given, row) for row in rows}
    body = f"{table_of(given, rows, MEASURES)}\n\n{_detection_table(rows, areas, spreads)}"

    def numbers(row: Row) -> dict[str, Any]:
        found = {f"auc_{name}": mean(values) for name, values in areas[row.name].items()}
        return found | {f"sd_{name}": mean(sds) for name, sds in spreads[row.name].items()}

    text = publish(given, "noisy_labels", title, rows, body, numbers)
    path, weightings = given.place.out / "noisy_labels.svg", sum(map(given.wanted, WEIGHTINGS))
    draw_rows(path, title, rows, given.place, per_group=weightings)
    return text


Numbers = dict[str, dict[str, list[float]]]
"""Of each row, by name: values of its seeds."""


def _detection_table(rows: list[Row], areas: Numbers, spreads: Numbers) -> str:
    """A line per row with noise; a column per number, and how far the uncertainties differ."""
    shown = [row for row in rows if areas[row.name]]
    names = list(dict.fromkeys(name for row in shown for name in areas[row.name]))
    names.sort(key=lambda name: not name.startswith(LOG_VAR))
    lines = [
        [
            row.label,
            *(cell(areas[row.name].get(name, []), 2) for name in names),
            _spread_words(spreads[row.name]),
        ]
        for row in shown
    ]
    if not lines:
        return "Whether the images with wrong labels are found: no run with noise is done yet."
    heads = ["", *(_heading(name) for name in names), "SD of log sigma^2 over the images"]
    words = (
        "Are the images with wrong labels found? Area under the ROC curve of numbers of the last "
        "epoch in which an image was seen; 0.5 is blind guessing. The dock ranks images by the "
        "mean of their last epochs, against the median image, geometry left out."
    )
    return f"{words}\n\n{as_markdown(heads, lines)}"


def _spread_words(spreads: dict[str, list[float]]) -> str:
    """``c 0.01, s 0.03``: the mean over the seeds."""
    letter = {name: letter for letter, name in LETTERS.items()}
    return (
        ", ".join(
            f"{letter[name.removeprefix(LOG_VAR)]} {mean(values):.3f}"
            for name, values in spreads.items()
        )
        or NOTHING
    )


def _heading(name: str) -> str:
    if name.startswith(LOG_VAR):
        return f"log sigma^2, {name.removeprefix(LOG_VAR)}"
    if name == RANKING:
        return "ranking of the dock"
    return "loss, sum" if name == "loss_sum" else f"loss, {name}"


if __name__ == "__main__":
    option = {
        "nargs": "+",
        "choices": (CLEAN, *KINDS),
        "default": [CLEAN, *KINDS],
        "help": "which labels to train with",
    }
    sys.exit(main(__doc__ or "", list(WEIGHTINGS), plan, draw, ("--labels", option)))
