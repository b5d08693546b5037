"""Ways of weighting the losses against each other, side by side with the same budget.

    python experiments/weightings.py GLAS OUT --reduced

Equal and fixed weights, the best of a random search, the convex pair of two losses (fixed and
trained), one optimiser per loss, weights learned from uncertainty (per loss, per image, per pixel),
and multi-objective descent (the extra "multi-objective"). The search takes K candidates, judges
them on patients split off the training images, and trains with the best one again; its cost is
counted. Every prediction of one region everywhere is a minimum of the geometry loss and so a
Pareto-stationary point, in which multi-objective descent stays: the rows of L_c + L_s + L_t show
how it does without that loss.

OUT, shared with the other experiments, receives weightings.md, .csv and .svg.
"""

from __future__ import annotations

import sys
from statistics import mean
from typing import Any

import numpy as np
from _command_line import Given, main, positive
from _figures import draw_rows
from _publish import by_seed, publish, table_of, title_of
from _run import Run
from _settings import LETTERS, losses
from _step_cost import EQUAL, step_costs
from _tables import MEASURES, NOTHING, Column, Result, Row, cell, seconds
from table1 import HAND, equal, learned

ALL = "cstg"
SEARCH_SEED = 0
JUDGED = ("class_accuracy", "pixel_accuracy", "object_f1", "object_dice")


def weighted(which: str, weighting: str) -> dict[str, Any]:
    """A weighting of some losses that has no settings of its own."""
    return {"losses": losses(which), "weighting": weighting}


def convex(weighting: str) -> dict[str, Any]:
    """The convex pair of classification and segmentation, from equal shares."""
    return {**weighted("cs", weighting), "convex_share": 0.5}


ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "equal": ("equal", equal(ALL)),
    "fixed": ("fixed, the paper's", HAND),
    "grid": ("fixed, by search", {}),
    "alternating": ("one optimiser per loss", weighted(ALL, "alternating")),
    "uncertainty": ("learned uncertainty", learned(ALL)),
    "instance": ("uncertainty per image", weighted(ALL, "instance")),
    "instance_pixel": ("uncertainty per image and pixel", weighted(ALL, "instance_pixel")),
    "mgda": ("MGDA", weighted(ALL, "mgda")),
    "pcgrad": ("PCGrad", weighted(ALL, "pcgrad")),
    "upgrad": ("UPGrad", weighted(ALL, "upgrad")),
    "cst-equal": ("L_c + L_s + L_t, equal", equal("cst")),
    "cst-upgrad": ("L_c + L_s + L_t, UPGrad", weighted("cst", "upgrad")),
    "cs-equal": ("L_c + L_s, equal", equal("cs")),
    "cs-convex": ("L_c + L_s, convex, half each", convex("convex")),
    "cs-convex-trained": ("L_c + L_s, convex, trained", convex("convex_trained")),
    "cs-uncertainty": ("L_c + L_s, learned uncertainty", learned("cs")),
}


def candidates(given: Given) -> list[Run]:
    """The search: weights drawn evenly from all that sum to 1, judged on other patients."""
    rng = np.random.default_rng(SEARCH_SEED)
    drawn = rng.dirichlet(np.ones(len(LETTERS)), size=given.arguments.candidates).round(3)
    part = "inner" if given.arguments.split == "validation" else "validation"
    return [given.run(fixed(weights.tolist()), SEARCH_SEED, part=part) for weights in drawn]


def fixed(weights: list[float]) -> dict[str, Any]:
    """All four losses with these weights."""
    given = dict(zip(losses(ALL), weights, strict=True))
    return {**weighted(ALL, "fixed"), "loss_weights": given}


def best_of(given: Given) -> dict[str, Any] | None:
    """The weights that the search found; None until all candidates are done."""
    runs = candidates(given)
    results = [given.place.result(run) for run in runs]
    if any(result is None for result in results):
        return None
    scores = [score(result) for result in results if result is not None]
    chosen: dict[str, float] = runs[int(np.argmax(scores))].settings["loss_weights"]
    return fixed(list(chosen.values()))


def score(result: Result) -> float:
    """Mean of the four measures by which a training chooses its best weights, too."""
    found = [result["measures"].get(name) for name in JUDGED]
    return mean(value or 0.0 for value in found)


def rows_of(given: Given) -> list[Row]:
    """The rows asked for; that of the search is empty until it is done."""
    found = []
    for name, (label, changes) in ROWS.items():
        if not given.wanted(name):
            continue
        settings = best_of(given) if name == "grid" else changes
        runs = [] if settings is None else [given.run(settings, seed) for seed in given.seeds]
        found.append(Row(name, label, runs))
    return found


def plan(given: Given) -> list[Run]:
    """The rows known by now; last the search, and when it is done its row."""
    rows = rows_of(given)
    first = by_seed([row for row in rows if row.name != "grid"])
    searched = [row for row in rows if row.name == "grid"]
    return [*first, *(candidates(given) if searched else []), *by_seed(searched)]


def draw(given: Given) -> str:
    """Write the table in its three forms."""
    rows, title = rows_of(given), title_of(given, "Weightings")
    costs = _costs(given)
    extra = [
        ("s with search", lambda row: cell(_with_search(row, given), 0)),
        ("time per step / equal", lambda row: _words(costs.get(row.name))),
        ("weights at the end", lambda row: _weights(row, given)),
    ]
    body = table_of(given, rows, [*MEASURES, STEP], extra)
    if costs:
        body += f"\n\n{COST_WORDS}"
    if given.wanted("grid"):
        body += f"\n\n{_search_words(given)}"

    def numbers(row: Row) -> dict[str, Any]:
        named = _mean_weights(row, given)
        return {
            "seconds_with_search": mean(searched)
            if (searched := _with_search(row, given))
            else None,
            "step_relative_to_equal": costs.get(row.name),
            **{f"weight_{name}": value for name, value in named.items()},
        }

    search = [Row("search", "", candidates(given))] if given.wanted("grid") else []
    text = publish(
        given, "weightings", title, rows, body, numbers, [*MEASURES, STEP], also_counted=search
    )
    draw_rows(given.place.out / "weightings.svg", title, rows, given.place)
    return text


COST_WORDS = (
    "Time per step / equal: all of them side by side in one process, a few steps each in turn. "
    "The seconds are those of the runs, beside whatever else the machine was at."
)
STEP = Column("s / step", "step_seconds", lambda result: result.get("step_seconds"), 3)


def _costs(given: Given) -> dict[str, float]:
    """Time of a step relative to equal weights of all four losses, by row."""
    changes = {name: settings for name, (_, settings) in ROWS.items() if given.wanted(name)}
    if "grid" in changes:  # whatever weights it finds, they cost the same
        changes["grid"] = HAND
    runs = {name: given.run(settings, 0) for name, settings in changes.items()}
    runs[EQUAL] = given.run(equal(ALL), 0)
    return step_costs(given.place, runs, measure=not given.arguments.tables_only)


def _words(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{ratio:.2f}"


def _with_search(row: Row, given: Given) -> list[float]:
    """Seconds of a run with all that had to be trained before it."""
    own = [seconds(result) or 0.0 for result in row.results(given.place)]
    if row.name != "grid":
        return own
    before = _search_seconds(given)
    return [before + value for value in own]


def _search_seconds(given: Given) -> float:
    results = map(given.place.result, candidates(given))
    return sum(seconds(result) or 0.0 for result in results if result is not None)


def _mean_weights(row: Row, given: Given) -> dict[str, float]:
    """Weights of the last step, their mean over the seeds."""
    found = [result["weights"] for result in row.results(given.place) if result["weights"]]
    names = found[0] if found else {}
    return {name: mean(weights[name] for weights in found) for name in names}


def _weights(row: Row, given: Given) -> str:
    if row.name == "alternating":
        return "in turn"
    weights = _mean_weights(row, given)
    letter = {name: letter for letter, name in LETTERS.items()}
    words = [f"{letter[name]} {value:.2f}" for name, value in weights.items()]
    return ", ".join(words) or NOTHING


def _search_words(given: Given) -> str:
    """What the search cost, and what it found."""
    runs = candidates(given)
    cost, left = _search_seconds(given), len(given.place.missing(runs))
    chosen = best_of(given)
    words = [
        f"The search took {len(runs) - left} of {len(runs)} trainings, {cost:.0f} s before the "
        "row's own, judged by the mean of class accuracy, pixel accuracy, object F1 and object "
        "Dice on patients split off the training images."
    ]
    if chosen is not None:
        weights = ", ".join(f"{value:g}" for value in chosen["loss_weights"].values())
        words.append(f"It chose {weights} (c, s, t, g).")
    return " ".join(words)


if __name__ == "__main__":
    option = {"type": positive, "default": 12, "metavar": "K", "help": "candidates of the search"}
    sys.exit(main(__doc__ or "", list(ROWS), plan, draw, ("--candidates", option)))
