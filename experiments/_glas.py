"""GlaS as the experiments divide it: by patient, the same for every run, read once per process.

``validation`` trains on 65 images and measures on the 20 of six other patients; ``inner`` divides
those 65 once more, for choices that must not look at the 20; ``test`` trains on all 85 and measures
on testA and testB, which a full copy of GlaS holds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from napari_gland_mtl.datasets import Dataset, open_dataset
from napari_gland_mtl.errors import DatasetError

HELD_OUT_PATIENTS = ("3", "5", "8", "11", "13", "16")
INNER_PATIENTS = ("1", "4", "7")
PARTS = ("validation", "test", "inner")

Division = tuple[Dataset, Dataset]


@dataclass(frozen=True)
class Glas:
    """A copy of GlaS; images are read when they are first needed and then kept."""

    folder: Path

    @cached_property
    def training_images(self) -> Dataset:
        """The 85 training images."""
        return _remembering(open_dataset(self.folder, split="train"))

    @cached_property
    def test_images(self) -> Dataset:
        """Parts A and B of the contest's test images."""
        return _remembering(open_dataset(self.folder, split="test"))

    def divided(self, part: str) -> Division:
        """Images to train on, and images to measure on.

        Raises
        ------
        DatasetError
            If one of the two would be empty.
        """
        if part == "test":
            return self.training_images, self.test_images
        known, held_out = _divided(self.training_images, HELD_OUT_PATIENTS)
        return _divided(known, INNER_PATIENTS) if part == "inner" else (known, held_out)

    def fingerprint(self, part: str) -> str:
        """Tells the images of a division, and which side they are on, from any others."""
        sides = [
            [[r.name, r.class_index, r.patient, r.mpp] for r in side.records]
            for side in self.divided(part)
        ]
        return hashlib.sha256(json.dumps(sides).encode()).hexdigest()[:16]


def _divided(dataset: Dataset, patients: tuple[str, ...]) -> Division:
    """Images of other patients, and those of these."""
    inside = [i for i, record in enumerate(dataset.records) if record.patient in patients]
    outside = [i for i, record in enumerate(dataset.records) if record.patient not in patients]
    if not inside or not outside:
        raise DatasetError(
            f"Of the {len(dataset)} images {len(inside)} are of the patients "
            f"{', '.join(patients)} and {len(outside)} of others; both are needed. Is Grade.csv, "
            "which names the patients, beside the images?"
        )
    return dataset.subset(outside), dataset.subset(inside)


def _remembering(dataset: Dataset) -> Dataset:
    """Deriving the lumen takes most of the reading, and a process does many runs."""
    records = tuple(replace(record, read=cache(record.read)) for record in dataset.records)
    return replace(dataset, records=records)
