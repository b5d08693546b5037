"""EBHI-Seg: colon glands of another laboratory, in other stains and at half the scale of GlaS.

Its cases are halved once and for all: from one half images are learned, the other is only measured
on, in every experiment.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_gland_mtl.datasets import UNKNOWN_CLASS, Dataset, open_dataset, split_dataset

EBHI_MPP = 1.2
"""By the size of its glands; the images do not say."""


def open_ebhi(folder: Path) -> Dataset:
    """EBHI-Seg with its cases as patients; its classes (polyp …) are none of the model's."""
    dataset = open_dataset(folder, mpp=EBHI_MPP, masks="binary")
    records = tuple(
        replace(record, class_index=UNKNOWN_CLASS, patient=record.name.split("-")[0])
        for record in dataset.records
    )
    return replace(dataset, records=records, classes=())


def halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Cases to learn from, and cases to measure on."""
    return split_dataset(dataset, 0.5, by="patient", seed=0)


def linked(images: Dataset, source: Path, folder: Path) -> Path:
    """A folder of links to these images and masks alone, which a training can be given.

    Images that several of EBHI-Seg's folders have under one name are left out.
    """
    wanted = set(images.names)
    for image in sorted(source.glob("*/image/*.png")):
        if image.stem not in wanted:
            continue
        for kind, path in (("image", image), ("label", image.parents[1] / "label" / image.name)):
            link = folder / kind / image.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(path.resolve())
    return folder
