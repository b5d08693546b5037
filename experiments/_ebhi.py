"""EBHI-Seg: colon glands of another laboratory, in other stains and at half the scale of GlaS.

Its cases are halved once and for all: from one half images are learned, the other is only measured
on, in every experiment.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_gland_mtl.datasets import UNKNOWN_CLASS, Dataset, open_dataset, split_dataset
from napari_gland_mtl.errors import InvalidInputError

EBHI_MPP = 1.2
"""By the size of its glands; the images do not say."""


def open_ebhi(folder: Path) -> Dataset:
    """EBHI-Seg with its cases as patients; its classes (polyp …) are none of the model's.

    Images that two of its folders have under one name are called "Polyp/GT…", and count as a case
    of that name, apart from the other images of theirs. Of the one case with such images all are
    in the half that is learned from, as it happens; counted otherwise, other cases would be.
    """
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

    Raises
    ------
    InvalidInputError
        If the folder holds anything else: a training that uses it may be under way, so that
        nothing is taken out of it.
    """
    links = _links(images, source, folder)
    others = [path for path in _held(folder) if links.get(path) != path.resolve()]
    if others:
        raise InvalidInputError(
            f"{folder} holds {len(others)} files that are not of the images in {source}: "
            f"{others[0].name} and so on. Name another folder for the runs, or delete {folder} "
            "if no training uses it."
        )
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(target)
    return folder


def _links(images: Dataset, source: Path, folder: Path) -> dict[Path, Path]:
    """Each link that is wanted, and the file it leads to."""
    wanted = set(images.names)
    found = [path for path in sorted(source.glob("*/image/*.png")) if path.stem in wanted]
    pairs = {"image": found, "label": [path.parents[1] / "label" / path.name for path in found]}
    return {
        folder / kind / path.name: path.resolve() for kind, paths in pairs.items() for path in paths
    }


def _held(folder: Path) -> list[Path]:
    """What is in the folder by now, but for what the system hides there."""
    found = [path for kind in ("image", "label") for path in sorted(folder.glob(f"{kind}/*"))]
    return [path for path in found if not path.name.startswith(".")]
