"""What a training's curves say, in plain words.

Not everybody reads log sigma^2 at a glance: the words name the loss that counts least and most,
say which weights stand at a bound, and why a total below zero is normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .curves import panel_window, rows, total_values
from .losses import loss_title
from .options import FigureOptions
from .reduction import Floats, running_mean
from .run_history import RunHistory

RECENT = 1000
ALIKE = 0.02
"""Shares that differ by less are called equal."""

WEIGHTINGS: dict[str, str] = {
    "fixed": "The losses are weighted by fixed numbers that were chosen beforehand",
    "equal": "All losses count alike",
    "convex": "Two losses share a weight of 1, divided beforehand",
    "convex_trained": "Two losses share a weight of 1; how it is divided is learned",
    "alternating": "Each loss has an optimiser of its own and counts alone in its turn",
    "uncertainty": "One uncertainty of each loss is learned, the same for all images",
    "upgrad": "The directions of the losses are joined at each step (UPGrad)",
    "mgda": "The directions of the losses are joined at each step (MGDA)",
    "pcgrad": "The directions of the losses are joined at each step (PCGrad)",
    "aligned_mtl": "The directions of the losses are joined at each step (Aligned-MTL)",
    "imtl_g": "The directions of the losses are joined at each step (IMTL-G)",
}
_ALL = {2: "Both", 3: "All three", 4: "All four"}
NOTHING = "No step is done yet: the first numbers appear after the first step."
NOT_UNCERTAINTY = "The weights are not learned from uncertainty"
NO_LOG_VAR = "there is no log σ² to show: only learned uncertainty has one"


def in_words(run: RunHistory, options: FigureOptions | None = None) -> str:
    """What is seen of a training at present, in a few sentences.

    Parameters
    ----------
    run : RunHistory
    options : FigureOptions, optional
        How the figure beside it is drawn: the total is the one that the figure ends with. By
        default that of the last step alone.

    Returns
    -------
    str
    """
    columns = run.steps or run.epochs
    if not columns or not run.losses:
        return NOTHING
    parts = [_learned(run, columns) if run.learned else _not_learned(run, columns)]
    parts += [_total(run, options or FigureOptions(smoothing=1)), _measures(run)]
    return " ".join(part for part in parts if part)


def in_short(run: RunHistory) -> str:
    """The most important of it in a sentence, where several runs are described."""
    columns = run.steps or run.epochs
    if not columns or not run.losses:
        return NOTHING
    if not run.learned:
        return f"{weighting_words(run.weighting)}."
    return _learned(run, columns).split(". ")[0].removesuffix(".") + "."


def weighting_words(weighting: str) -> str:
    """How the losses of a training are weighted, without a full stop."""
    return WEIGHTINGS.get(weighting, NOT_UNCERTAINTY)


def latest(columns: Mapping[str, Floats], prefix: str) -> dict[str, float]:
    """The last finite value of each column with a prefix, by the rest of its name.

    One that was not seen for the last `RECENT` rows is not at present.
    """
    found = {}
    for name, values in columns.items():
        recent = values[-RECENT:]
        if name.startswith(prefix) and (known := recent[np.isfinite(recent)]).size:
            found[name.removeprefix(prefix)] = float(known[-1])
    return found


def _learned(run: RunHistory, columns: Mapping[str, Floats]) -> str:
    log_vars = latest(columns, "log_var_")
    if len(log_vars) < 2:
        return "There is one loss alone: its weight scales the total and decides nothing."
    if not any(log_vars.values()):
        return _warming_up(run)
    weights = {name: math.exp(-value) for name, value in log_vars.items()}
    total = sum(weights.values())
    shares = {name: weight / total for name, weight in weights.items()}
    if max(shares.values()) - min(shares.values()) < ALIKE:
        return (
            f"The losses are about equally uncertain at present: each has about "
            f"{_percent(1 / len(shares))} of all weights together."
        )
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    sentences = (
        f"{loss_title(least)} is at present the most uncertain loss: its weight is "
        f"{_percent(shares[least])} of all weights together. {loss_title(most)} is the most "
        f"certain and has {_percent(shares[most])}."
    )
    return " ".join(filter(None, [sentences, _at_bound(run, log_vars)]))


def _warming_up(run: RunHistory) -> str:
    steps = run.settings.get("log_var_warmup_steps")
    until = f"for the first {steps:,} steps" if isinstance(steps, int) else "during the warm-up"
    return f"All losses count alike so far: {until} every log σ² is held at 0."


def _at_bound(run: RunHistory, log_vars: Mapping[str, float]) -> str:
    low, high = run.settings.get("log_var_min"), run.settings.get("log_var_max")
    sentences = []
    for bound, kind in ((low, "largest"), (high, "smallest")):
        names = [
            loss_title(name)
            for name, value in log_vars.items()
            if isinstance(bound, int | float)
            and bound
            and math.isclose(value, bound, rel_tol=1e-4, abs_tol=1e-6)
        ]
        if names and isinstance(bound, int | float):
            stand, weight = ("stands" if len(names) == 1 else "stand"), math.exp(-bound)
            sentences.append(
                f"{_and(names)} {stand} at the {kind} weight that is allowed, {weight:.3g}."
            )
    return " ".join(sentences)


def _not_learned(run: RunHistory, columns: Mapping[str, Floats]) -> str:
    said = weighting_words(run.weighting)
    sentence = " ".join(filter(None, [f"{said}; {NO_LOG_VAR}.", _the_same(columns)]))
    if run.weighting in ("equal", "alternating"):
        return sentence
    weights = latest(columns, "weight_")
    total = sum(weights.values())
    if total <= 0:
        return sentence
    listed = [
        f"{loss_title(name)} {_percent(weights[name] / total)}"
        for name in run.losses
        if name in weights
    ]
    return f"{sentence} Shares of all weights: {', '.join(listed)}."


def _the_same(columns: Mapping[str, Floats]) -> str:
    """That the lines of the weights lie on one another, which would else look like a mistake."""
    weights = [values for name, values in columns.items() if name.startswith("weight_")]
    if len(weights) < 2 or not all(np.array_equal(weights[0], other) for other in weights[1:]):
        return ""
    all_of_them = _ALL.get(len(weights), f"All {len(weights)}")
    return f"{all_of_them} weights are the same: their lines lie on one another, drawn in turns."


def _total(run: RunHistory, options: FigureOptions) -> str:
    columns, window = rows(run, options), panel_window(run, "total", options)
    if not columns:
        return ""
    last = {name: values[-RECENT - window :] for name, values in columns.items()}
    total = latest({"total": running_mean(total_values(last), window)}, "total").get("")
    if total is None or total >= 0:
        return ""
    value = f"{total:.2f}".replace("-", "\N{MINUS SIGN}")
    if not run.learned:
        return f"The total is below zero ({value}), which these weights should never give."
    return (
        f"The total is below zero ({value}): that is normal, because learned weights add log σ² "
        "of each loss to it, which is negative for every loss that is well below 1. Only its "
        "fall matters."
    )


def _measures(run: RunHistory) -> str:
    scores, epochs = run.epochs.get("score"), run.epochs.get("epoch")
    if scores is None or epochs is None or not np.isfinite(scores).any():
        return ""
    best = int(np.nanargmax(scores))
    known = np.flatnonzero(np.isfinite(scores))
    text = f"The best validation score so far is {scores[best]:.3f}, of epoch {epochs[best]:.0f}"
    last = int(known[-1])
    if last == best:
        return f"{text}, the latest that was measured."
    return f"{text}; the latest, of epoch {epochs[last]:.0f}, is {scores[last]:.3f}."


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.1g} %"


def _and(names: list[str]) -> str:
    *first, last = [names[0], *(name.lower() for name in names[1:])]
    return f"{', '.join(first)} and {last}" if first else last
