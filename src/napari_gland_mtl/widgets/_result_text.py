"""The sentences a pathologist reads about a result.

They say what was found and how sure the network is, and that it is no diagnosis.
"""

from __future__ import annotations

import numpy as np

from ..segmentation import Segmentation, TopologyViolations, probability_text
from ._layer_styles import gland_classes

UNDECIDED_BELOW = 0.6
TOO_LITTLE_TISSUE = "Too little gland tissue to tell the class."
DISCLAIMER = "Research result, not a diagnosis. The probability is not calibrated."


def class_sentence(class_probabilities: dict[str, float], supported: bool = True) -> str:
    """The image's class in words, with its probability, if there is tissue to support it."""
    if not supported:
        return TOO_LITTLE_TISSUE
    ranked = sorted(class_probabilities.items(), key=lambda item: item[1], reverse=True)
    if not ranked or np.isnan(ranked[0][1]):
        return "No class was computed."
    name, probability = ranked[0]
    if probability < UNDECIDED_BELOW:
        listed = ", ".join(f"{n} {probability_text(p)}" for n, p in ranked)
        return f"Undecided (probabilities: {listed})."
    return f"Looks {name} (probability {probability_text(probability)})."


def gland_sentence(segmentation: Segmentation) -> str:
    """How many glands, how many of them uncut, and the median area of these."""
    areas = np.asarray(segmentation.table.get("area_um2", ()))
    cut = np.asarray(segmentation.table.get("touches_border", np.zeros(len(areas))), dtype=bool)
    count = len(segmentation.table.get("label", ()))
    if not count:
        return "No gland was found."
    noun = "gland" if count == 1 else "glands"
    text = f"{count:,} {noun}"
    whole = areas[~cut]
    if cut.any():
        text += f", {len(whole):,} of them not cut by the border"
    if len(whole):
        text += f", median area {float(np.median(whole)):,.0f} µm²"
    return f"{text}."


def topology_sentence(raw: TopologyViolations, now: TopologyViolations) -> str:
    """What the repair did, and what is left (only hand editing leaves anything)."""
    places = "place" if raw.total == 1 else "places"
    if raw.total:
        text = f"{raw.total:,} {places} in the raw output broke the rules of gland structure"
        text += ", none after repair." if not now.total else f"; {now.total:,} do now."
        return text
    if now.total:
        return f"{now.total:,} places break the rules of gland structure."
    return "No place breaks the rules of gland structure."


def topology_details(raw: TopologyViolations, now: TopologyViolations) -> str:
    """The counts per rule, before and after repair, for a tooltip."""
    rules = {
        "outside_parent": "lumen outside any gland",
        "touches_outside": "lumen touching stroma",
        "extra_pieces": "glands in more than one piece",
        "holes": "holes in glands",
    }
    lines = [f"{text}: {getattr(raw, n)} → {getattr(now, n)}" for n, text in rules.items()]
    return "Before repair → shown:\n" + "\n".join(lines)


def class_counts(segmentation: Segmentation) -> tuple[dict[str, int], int]:
    """Number of glands that look like each class, and of those without a probability."""
    classes = tuple(segmentation.class_probabilities)
    likeliest = gland_classes(segmentation.table, classes)
    counts = {name: int(np.sum(likeliest == i)) for i, name in enumerate(classes)}
    return counts, int(np.sum(likeliest < 0))


def duration_text(seconds: float) -> str:
    """A rounded length of time: ``4 s``, ``2 min``, ``1 h 10 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
