"""Measures of a model in words: their names, how they are written, which way is better.

One place for the model's card, the line of a running training and the table after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NO_CHANGE = 0.005
"""Differences of a share that are too small to be called better or worse."""


@dataclass(frozen=True)
class Measure:
    """How a measure is spoken of.

    Attributes
    ----------
    title : str
        Its name.
    about : str
        What it says, in a sentence.
    digits : int
        Behind the point.
    lower : bool
        Whether lower is better.
    """

    title: str
    about: str
    digits: int = 2
    lower: bool = False

    @property
    def margin(self) -> float:
        """Differences below it are no difference."""
        return NO_CHANGE if self.digits == 2 else 0.5

    def text(self, value: Any) -> str:
        """The value as it is written; a dash where there is none."""
        if not isinstance(value, (int, float)) or np.isnan(value):
            return "-"
        return f"{value:,.{self.digits}f}"


MEASURES = {
    "object_dice": Measure(
        "Object Dice", "How well each gland covers its true one: 1 is perfect, 0 is nothing."
    ),
    "object_f1": Measure(
        "Glands found (F1)", "How many glands are found, and how few that are none: 1 is perfect."
    ),
    "object_hausdorff_um": Measure(
        "Farthest outline (µm)",
        "How far outlines stray from the true ones; less is better.",
        0,
        True,
    ),
    "pixel_accuracy": Measure("Pixels right", "Share of the annotated pixels with their region."),
    "classification_accuracy": Measure(
        "Class right", "Share of the areas whose class is said right."
    ),
    "topology_violations_raw": Measure(
        "Rule breaks", "Places that break the rules of gland structure, before repair.", 0, True
    ),
    "score": Measure("Overall", "Mean of the shares above; the best epoch is chosen by it."),
}


def change(name: str, before: Any, after: Any) -> int:
    """1 if a measure got better, -1 if worse, 0 if it stayed or is not known."""
    measure = MEASURES.get(name)
    known = all(isinstance(v, (int, float)) and not np.isnan(v) for v in (before, after))
    if measure is None or not known or abs(after - before) < measure.margin:
        return 0
    return 1 if (after < before) == measure.lower else -1


def change_text(name: str, before: Any, after: Any) -> str:
    """``better``, ``worse``, ``as before``, or nothing where it is not known."""
    if not all(isinstance(v, (int, float)) and not np.isnan(v) for v in (before, after)):
        return ""
    return {1: "better", -1: "worse", 0: "as before"}[change(name, before, after)]


def measures_line(measures: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """The main measures in one line, each with the start model's."""
    parts = []
    for name in ("object_dice", "object_f1", "pixel_accuracy"):
        if name in measures:
            measure = MEASURES[name]
            before = f" (start {measure.text(start[name])})" if name in start else ""
            parts.append(f"{measure.title} {measure.text(measures[name])}{before}")
    return "  ·  ".join(parts)


def verdict(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What a training has brought, in plain words, also if that is nothing."""
    if not after:
        return (
            "There were no validation areas, so nobody measured whether the new model is better. "
            "Look at what it finds before you rely on it, or set one area to “validation”."
        )
    if not before:
        return f"On the validation areas the new model reaches {measures_line(after, {})}."
    name = "score" if "score" in before and "score" in after else "object_dice"
    measure = MEASURES[name]
    old, new = (measure.text(measures.get(name)) for measures in (before, after))
    values = f"{measure.title.lower()} {old} → {new}"
    way = change(name, before.get(name), after.get(name))
    if way > 0:
        return f"On the validation areas the new model is better than the start model: {values}."
    if way < 0:
        return (
            f"On the validation areas the new model is worse than the start model: {values}. Keep "
            "using the start model. More areas, or a lower learning rate, may help."
        )
    return (
        f"On the validation areas the new model is about as good as the start model: {values}. "
        "More areas, above all of what it gets wrong, may help."
    )
