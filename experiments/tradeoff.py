"""The paper's Fig. 2: what is gained and lost as weight goes from one loss to another.

    python experiments/tradeoff.py GLAS OUT --reduced

Two curves over lambda: (1 - lambda) L_c + lambda L_s, and L_s + lambda L_t + (1 - lambda) L_g. The
learned weights of the same losses are drawn as a star, at the lambda to which their final weights
exp(-log sigma^2) come; on the second curve those of L_t and L_g alone, whatever that of L_s is, so
that the star need not lie on the curve. Bars are standard deviations over the seeds. OUT, shared
with the other experiments, receives tradeoff.md, .csv and .svg.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
from _command_line import Given, main, positive
from _figures import OURS, PAPERS, figure_of, legend_below, save
from _publish import by_seed, publish, table_of, title_of
from _run import Run
from _settings import losses
from _tables import MEASURES, NOTHING, Column, Row, spread
from table1 import learned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REDUCED_POINTS, FULL_POINTS = 5, 9


@dataclass(frozen=True)
class Curve:
    """A weighted sum of losses that lambda moves, and where learned weights lie on it."""

    name: str
    label: str
    which: str
    pair: tuple[str, str]
    measures: tuple[str, ...]

    def changes(self, share: float) -> dict[str, Any]:
        """Settings at one lambda."""
        rest = round(1 - share, 6)
        if self.name == "cs":  # as the convex pair, which is a row of the weightings
            changes = {"weighting": "convex", "convex_share": rest}
        else:
            weights = {"segmentation": 1.0, "topology": share, "geometry": rest}
            changes = {"weighting": "fixed", "loss_weights": weights}
        return {"losses": losses(self.which), **changes}

    def share(self, weights: dict[str, float]) -> float:
        """The lambda that learned weights come to: the share of the loss it multiplies."""
        first, second = (weights[name] for name in self.pair)
        return first / (first + second)


CURVES = (
    Curve(
        "cs",
        "(1 - lambda) L_c + lambda L_s",
        "cs",
        ("segmentation", "classification"),
        ("class_accuracy", "pixel_accuracy", "object_dice"),
    ),
    Curve(
        "stg",
        "L_s + lambda L_t + (1 - lambda) L_g",
        "stg",
        ("topology", "geometry"),
        ("pixel_accuracy", "object_dice"),
    ),
)


def lambdas(given: Given) -> list[float]:
    """Evenly from 0.1 to 0.9."""
    usual = REDUCED_POINTS if given.arguments.reduced else FULL_POINTS
    count = given.arguments.points or usual
    return [round(float(value), 4) for value in np.linspace(0.1, 0.9, count)]


def curve_rows(given: Given, curve: Curve) -> dict[float, Row]:
    """A row per lambda."""
    return {
        share: Row(
            f"{curve.name}-{share:g}",
            f"{curve.label}, lambda {share:g}",
            [given.run(curve.changes(share), seed) for seed in given.seeds],
        )
        for share in lambdas(given)
    }


def learned_row(given: Given, curve: Curve) -> Row:
    """The same losses with learned weights."""
    runs = [given.run(learned(curve.which), seed) for seed in given.seeds]
    return Row(f"{curve.name}-learned", f"{curve.label}, learned", runs)


def curves_of(given: Given) -> list[Curve]:
    """The curves asked for."""
    return [curve for curve in CURVES if given.wanted(curve.name)]


def rows_of(given: Given) -> list[Row]:
    """All rows of the curves asked for."""
    return [
        row
        for curve in curves_of(given)
        for row in (*curve_rows(given, curve).values(), learned_row(given, curve))
    ]


def plan(given: Given) -> list[Run]:
    """The runs of all rows."""
    return by_seed(rows_of(given))


def learned_shares(given: Given, curve: Curve) -> list[float]:
    """The learned lambda of every seed that is done."""
    results = learned_row(given, curve).results(given.place)
    return [curve.share(result["weights"]) for result in results if result["weights"]]


def draw(given: Given) -> str:
    """Write the table in its three forms."""
    rows, title = rows_of(given), title_of(given, "Fig. 2 of the paper: accuracy against lambda")
    shares = {
        learned_row(given, curve).name: learned_shares(given, curve) for curve in curves_of(given)
    }
    extra = [("lambda learned", lambda row: _share_words(shares.get(row.name, [])))]

    def numbers(row: Row) -> dict[str, Any]:
        found = shares.get(row.name, [])
        return {"lambda": mean(found) if found else _asked(given, row)}

    body = table_of(given, rows, MEASURES, extra)
    text = publish(given, "tradeoff", title, rows, body, numbers)
    _draw_curves(given, title)
    return text


def _share_words(found: list[float]) -> str:
    return f"{mean(found):.3f}" if found else NOTHING


def _asked(given: Given, row: Row) -> float | None:
    for curve in curves_of(given):
        for share, other in curve_rows(given, curve).items():
            if other.name == row.name:
                return share
    return None


def _draw_curves(given: Given, title: str) -> None:
    panels = [(curve, name) for curve in curves_of(given) for name in curve.measures]
    figure, axes = figure_of(title, len(panels), height=3.6)
    for panel, (curve, name) in zip(axes, panels, strict=True):
        column = next(column for column in MEASURES if column.name == name)
        _draw_curve(panel, given, curve, column)
        panel.set(title=curve.label, xlabel="lambda", ylabel=column.heading, xlim=(0, 1))
        panel.title.set_fontsize("small")
        panel.grid(alpha=0.3)
    if panels:
        legend_below(figure, axes[0])
    save(figure, given.place.out / "tradeoff.svg")


def _draw_curve(axes: Axes, given: Given, curve: Curve, column: Column) -> None:
    points = []
    for share, row in curve_rows(given, curve).items():
        middle, deviation = spread(row.values(given.place, column))
        if middle is not None:
            points.append((share, middle, deviation or 0.0))
    if points:
        x, y, error = zip(*points, strict=True)
        axes.errorbar(x, y, yerr=error, fmt="o-", color=OURS, capsize=3, label="fixed lambda")
    star, above = spread(learned_row(given, curve).values(given.place, column))
    at, beside = spread(learned_shares(given, curve))
    if star is not None and at is not None:
        axes.errorbar(
            at,
            star,
            xerr=beside,
            yerr=above,
            fmt="*",
            color=PAPERS,
            capsize=3,
            markersize=15,
            label="learned weights",
        )


if __name__ == "__main__":
    option = {"type": positive, "metavar": "N", "help": "values of lambda; 5 reduced, else 9"}
    names = [curve.name for curve in CURVES]
    sys.exit(main(__doc__ or "", names, plan, draw, ("--points", option), reduced_seeds=1))
