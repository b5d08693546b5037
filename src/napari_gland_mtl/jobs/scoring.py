"""Add up how well predictions agree with the truth, image after image.

Which measures there are, and what an image without glands counts for, is said in `metrics`;
here a prediction and a sample are turned into what those take, and their results into a report.
What nobody annotated (code 0) counts for nothing; the topology of a prediction needs no truth and
is looked at as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..datasets.dataset import Sample
from ..errors import DatasetError
from ..metrics.annotated_part import cut_to_annotated
from ..metrics.components import instances_from_mask
from ..metrics.pixels import PixelScores, classification_accuracy
from ..metrics.scores import ObjectScores
from ..metrics.topology import count_violations
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy


@dataclass(frozen=True)
class Prediction:
    """What is compared with one image's truth.

    Attributes
    ----------
    glands : ndarray of int32, (Y, X)
    regions : ndarray of uint8, (Y, X), or None
        None where only instances were predicted.
    class_probabilities : dict of str to float
        Empty where no class was predicted.
    violations_raw : int or None
        In the network's output before repair, where that is known.
    hierarchy : RegionHierarchy
    """

    glands: npt.NDArray[np.int32]
    regions: npt.NDArray[np.uint8] | None = None
    class_probabilities: dict[str, float] | None = None
    violations_raw: int | None = None
    hierarchy: RegionHierarchy = GLAND_REGIONS


class Scores:
    """Everything that is summed up over the images of one evaluation."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._objects = ObjectScores()
        self._pixels = PixelScores(GLAND_REGIONS)
        self._true_classes: list[str] = []
        self._found_classes: list[str] = []
        self._violations = 0
        self._violations_raw: int | None = 0
        self._images: list[dict[str, Any]] = []

    def names_differ(self, prediction: Prediction) -> bool:
        """Whether classes are known on both sides and have nothing in common."""
        predicted = set(prediction.class_probabilities or ())
        return bool(self._classes and predicted and not predicted & set(self._classes))

    def add(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Measure one image; returns its own values."""
        _check_size(sample, prediction)
        objects = self._objects.add(*_comparable_glands(sample, prediction), sample.mpp)
        hausdorff = objects.object_hausdorff_px
        measures: dict[str, Any] = {
            "name": sample.name,
            "class": self._true_class(sample),
            "class_found": _likeliest(prediction),
            "pixel_accuracy": self._add_pixels(sample, prediction),
            "glands_annotated": len(objects.areas[0]),
            "glands_found": len(objects.areas[1]),
            "object_f1": objects.f1,
            "object_dice": objects.object_dice,
            "object_hausdorff_px": hausdorff,
            "object_hausdorff_um": hausdorff * sample.mpp,
            "topology_violations_raw": self._add_raw_violations(prediction),
            "topology_violations": self._add_violations(prediction),
        }
        if measures["class"] in (prediction.class_probabilities or ()):
            self._true_classes.append(measures["class"])
            self._found_classes.append(measures["class_found"])
        self._images.append(measures)
        return measures

    def summary(self) -> dict[str, Any]:
        """Measures over all images added; None where nothing was there to be measured."""
        classes = classification_accuracy(self._true_classes, self._found_classes)
        pixels = self._pixels.accuracy
        return {
            "images": len(self._images),
            "classification_accuracy": classes["pooled"],
            "pixel_accuracy": pixels["pooled"],
            "pixel_accuracy_mean": pixels["mean"],
            **self._objects.summary(),
            "topology_violations_raw": self._violations_raw,
            "topology_violations": self._violations,
            "per_image": list(self._images),
        }

    def _true_class(self, sample: Sample) -> str | None:
        return self._classes[sample.class_index] if sample.class_index >= 0 else None

    def _add_pixels(self, sample: Sample, prediction: Prediction) -> float | None:
        if prediction.regions is None or prediction.hierarchy.names != GLAND_REGIONS.names:
            return None
        return self._pixels.add(sample.regions, prediction.regions)

    def _add_violations(self, prediction: Prediction) -> int:
        count = _count_violations(prediction)
        self._violations += count
        return count

    def _add_raw_violations(self, prediction: Prediction) -> int | None:
        if prediction.violations_raw is None or self._violations_raw is None:
            self._violations_raw = None
        else:
            self._violations_raw += prediction.violations_raw
        return prediction.violations_raw


def _count_violations(prediction: Prediction) -> int:
    """In the labels as they are; glands without regions count as made of epithelium."""
    hierarchy, regions = prediction.hierarchy, prediction.regions
    if regions is None:
        gland, background = hierarchy.code(hierarchy.gland), hierarchy.code(hierarchy.background)
        regions = np.where(prediction.glands > 0, gland, background).astype(np.uint8)
    return count_violations(regions, prediction.glands, hierarchy).total


def _comparable_glands(
    sample: Sample, prediction: Prediction
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """True and predicted glands, where something was annotated."""
    true, annotated = _true_glands(sample), sample.regions != NOT_ANNOTATED
    if annotated.all():
        return true, prediction.glands
    return np.where(annotated, true, 0), cut_to_annotated(prediction.glands, annotated)


def _true_glands(sample: Sample) -> npt.NDArray[np.int32]:
    if sample.instances is not None:
        return sample.instances
    glands: npt.NDArray[np.int32] = instances_from_mask(GLAND_REGIONS.is_gland(sample.regions))
    return glands


def _likeliest(prediction: Prediction) -> str | None:
    probabilities = prediction.class_probabilities
    return max(probabilities, key=lambda name: probabilities[name]) if probabilities else None


def _check_size(sample: Sample, prediction: Prediction) -> None:
    image, labels = sample.image.shape[:2], prediction.glands.shape
    if image != labels:
        raise DatasetError(
            f"The prediction for {sample.name!r} is {labels[1]} x {labels[0]} px, the image "
            f"{image[1]} x {image[0]} (width x height). They must be the same."
        )
