"""What a slide's segmentation comes to: counts, areas, and a statement in words.

The network judges fields of glands. For a slide the class activations are averaged over all
that lies in glands, and the glands are counted by what each of them looks like; both are given,
since a small cancer hardly moves an average.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ..segmentation import LEAST_GLAND_SHARE, UNDECIDED_BELOW, probability_text

if TYPE_CHECKING:
    from ..inference.slide_labels import SlideLabeller
    from .slide_work import SlideWork


def slide_summary(work: SlideWork, labeller: SlideLabeller, analysed_px: int) -> dict[str, Any]:
    """The summary that is stored with a slide; JSON-able.

    Parameters
    ----------
    work : SlideWork
    labeller : SlideLabeller
        At the end of its sweep.
    analysed_px : int
        Pixels that have a region.

    Returns
    -------
    dict
        ``glands``, ``glands_by_class``, ``gland_area_um2``, ``gland_area_um2_by_class``,
        ``analysed_area_um2``, ``class_probabilities``, ``class_is_supported``, ``statement``,
        ``violations_raw``, ``violations``, ``tiles``, ``tiles_done``, ``tiles_failed``,
        ``cut_glands``, ``engines`` (what computed the
        tiles), ``decoding``, ``seconds`` (by stage).
    """
    layout = work.store.layout
    area = labeller.gland_area * layout.mpp**2
    analysed = analysed_px * layout.mpp**2
    probabilities = _softmax(labeller.class_logits)
    by_class = {
        name: {"glands": int(count), "area_um2": float(pixels) * layout.mpp**2}
        for name, count, pixels in zip(
            layout.classes,
            labeller.glands_by_class,
            labeller.gland_area_by_class,
            strict=True,
        )
    }
    supported = analysed > 0 and area >= LEAST_GLAND_SHARE * analysed
    summary = {
        "glands": int(labeller.glands),
        "glands_by_class": {name: found["glands"] for name, found in by_class.items()},
        "gland_area_um2": float(area),
        "gland_area_um2_by_class": {name: found["area_um2"] for name, found in by_class.items()},
        "analysed_area_um2": float(analysed),
        "class_probabilities": dict(zip(layout.classes, probabilities, strict=True)),
        "class_is_supported": bool(supported),
        "violations_raw": asdict(labeller.violations_raw),
        "violations": asdict(labeller.violations),
        "tiles": len(work.plan.tiles),
        "tiles_done": len(work.store.done_tiles()),
        "tiles_failed": len(work.store.failed),
        "cut_glands": int(labeller.cut),
        "engines": work.store.engines,
        "decoding": work.plan.config.decoding.model_dump(mode="json"),
        "seconds": {name: round(value, 2) for name, value in work.clock.seconds.items()},
    }
    return {**summary, "statement": statement(summary)}


def statement(summary: dict[str, Any]) -> str:
    """What was found, in a sentence or two for the user."""
    glands, area = summary["glands"], summary["gland_area_um2"]
    if not glands:
        return "No glands were found."
    if not summary["class_is_supported"]:
        return f"{_count(glands)}; too little gland tissue to tell the class of the slide."
    name, probability = max(summary["class_probabilities"].items(), key=lambda item: item[1])
    shares = ", ".join(
        f"{count:,} {kind} ({summary['gland_area_um2_by_class'][kind] / area:.0%} of their area)"
        for kind, count in summary["glands_by_class"].items()
    )
    looks = "are undecided" if probability < UNDECIDED_BELOW else f"look {name}"
    return (
        f"{_count(glands)}: {shares}. All of them together {looks} "
        f"(probability {probability_text(probability)})."
    )


def _count(glands: int) -> str:
    return "1 gland" if glands == 1 else f"{glands:,} glands"


def _softmax(logits: Any) -> list[float]:
    values = np.nan_to_num(np.asarray(logits, dtype=np.float64))
    exponentials = np.exp(values - values.max())
    return [float(value) for value in exponentials / exponentials.sum()]
