"""The sentences a pathologist reads about a result.

They say what was found and how sure the network is, and that it is no diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..segmentation import (
    UNDECIDED_BELOW,
    Segmentation,
    TopologyViolations,
    probability_text,
)
from ._layer_styles import gland_classes

Window = tuple[int, int, int, int]

TOO_LITTLE_TISSUE = "Too little gland tissue to tell the class."
FAILED_LISTED = 3
DISCLAIMER = (
    "Research result, not a diagnosis. On tissue unlike its training images the model can be sure "
    "and wrong."
)


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


def slide_area_sentence(summary: Mapping[str, Any]) -> str:
    """How much tissue was looked at, and how much of it is glands."""
    analysed, glands = summary["analysed_area_um2"], summary["gland_area_um2"]
    text = f"{area_text(analysed)} of tissue were analysed"
    if analysed > 0:
        text += f"; glands cover {area_text(glands)} ({glands / analysed:.0%})"
    return f"{text}."


def slide_class_rows(summary: Mapping[str, Any]) -> dict[str, str]:
    """Number of glands that look like each class, and their area."""
    areas = summary["gland_area_um2_by_class"]
    return {
        name: f"{count:,}; {area_text(areas[name])}" if count else "0"
        for name, count in summary["glands_by_class"].items()
    }


def slide_part_sentence(summary: Mapping[str, Any]) -> str:
    """How much is still to be done; empty if nothing is."""
    done = summary["tiles_done"] + summary["tiles_failed"]
    if done >= summary["tiles"]:
        return ""
    return f"Incomplete: {done:,} of {summary['tiles']:,} tiles are done."


def maps_sentence(names: Sequence[str]) -> str:
    """Where the maps of class probability are."""
    if not names:
        return ""
    layers = " and ".join(f"“{name}”" for name in names)
    return f"Hidden in the layer list: {layers}, a map of the class's probability."


def slide_trouble_sentence(summary: Mapping[str, Any]) -> str:
    """What could not be done; empty if all was."""
    sentences = []
    failed, cut = summary["tiles_failed"], summary["cut_glands"]
    if failed:
        tiles = "1 tile" if failed == 1 else f"{failed:,} tiles"
        sentences.append(f"{tiles} of {summary['tiles']:,} could not be read: not annotated there.")
    if cut:
        glands = "1 gland was" if cut == 1 else f"{cut:,} glands were"
        sentences.append(f"{glands} too large to be looked at as a whole, and cut.")
    return " ".join(sentences)


def failed_tiles_sentence(failed: Sequence[tuple[Window, str]]) -> str:
    """Which tiles could not be read, and why; the first of them with their place."""
    count = len(failed)
    lines = ["1 tile could not be read" if count == 1 else f"{count:,} tiles could not be read"]
    lines[0] += "; the slide stays unannotated there, and the run goes on:"
    for (y0, x0, y1, x1), reason in failed[:FAILED_LISTED]:
        lines.append(f"y {y0} to {y1}, x {x0} to {x1} px of the labels: {reason}")
    if count > FAILED_LISTED:
        lines.append(f"and {count - FAILED_LISTED:,} more.")
    return "\n".join(lines)


def area_text(um2: float) -> str:
    """``0.34 mm²``; small areas in ``µm²``."""
    return f"{um2 / 1e6:.2f} mm²" if um2 >= 1e4 else f"{um2:,.0f} µm²"


def duration_text(seconds: float) -> str:
    """A rounded length of time: ``4 s``, ``2 min``, ``1 h 10 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
