"""Measures of a trained network on images that it has not seen, as the tables show them.

What a network was not trained for is not measured: its regions mean nothing where the
classification alone was learned, nor its class where that was left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _run import Run

import napari_gland_mtl as gm
from napari_gland_mtl.checkpoint import load_model
from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.inference.decoding import DecodingConfig
from napari_gland_mtl.jobs.evaluate import prediction_of
from napari_gland_mtl.jobs.scoring import Scores
from napari_gland_mtl.metrics.pixels import classification_accuracy
from napari_gland_mtl.slides import slide_from_array

OBJECTS = ("object_f1", "object_dice", "object_hausdorff_px", "object_hausdorff_um")


def measured(model_path: Path, images: Dataset, run: Run, device: str) -> dict[str, float | None]:
    """Measures over all images; None where there is none.

    Returns
    -------
    dict
        ``class_accuracy``, ``pixel_accuracy`` (pooled); ``object_f1`` and the other object measures
        as the mean over the images, and pooled under ``..._pooled``; ``violations`` (topology
        violations before repair), ``glands`` (found), ``glands_annotated``, and
        ``violations_per_annotated_gland``: per gland found a network would look the better, the
        more glands it makes up.
    """
    model = load_model(model_path)
    scores, classes = Scores(images.classes), _Classes(images.classes)
    settings = {**run.measuring, "decoding": DecodingConfig(**run.measuring["decoding"])}
    for sample in images:
        slide = slide_from_array(sample.image, mpp=sample.mpp, name=sample.name)
        found = gm.segment(slide, model, device=device, **settings)
        classes.add(sample.class_index, found.class_probabilities)
        if _has_regions(run):  # the distances between shapeless regions take long
            scores.add(sample, prediction_of(found))
    accuracy = classes.accuracy if run.counts("classification") else None
    return {"class_accuracy": accuracy, **_of_regions(scores.summary(), run)}


@dataclass
class _Classes:
    """True and likeliest class of every image whose class is known."""

    names: tuple[str, ...]
    true: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def add(self, index: int, probabilities: dict[str, float]) -> None:
        if index >= 0 and self.names[index] in probabilities:
            self.true.append(self.names[index])
            self.found.append(max(probabilities, key=lambda name: probabilities[name]))

    @property
    def accuracy(self) -> float | None:
        return classification_accuracy(self.true, self.found)["pooled"]


def _has_regions(run: Run) -> bool:
    return any(name != "classification" for name in run.settings["losses"])


def _of_regions(summary: dict[str, Any], run: Run) -> dict[str, float | None]:
    violations = summary["topology_violations_raw"]
    regions: dict[str, float | None] = {"pixel_accuracy": summary["pixel_accuracy"]}
    for name in OBJECTS:
        regions |= {name: summary[name]["mean"], f"{name}_pooled": summary[name]["pooled"]}
    annotated, found = (_total(summary, f"glands_{which}") for which in ("annotated", "found"))
    regions |= {"violations": violations, "glands": found, "glands_annotated": annotated}
    regions["violations_per_annotated_gland"] = violations / annotated if annotated else None
    return regions if _has_regions(run) else dict.fromkeys(regions)


def _total(summary: dict[str, Any], name: str) -> int:
    return sum(image[name] for image in summary["per_image"])
