"""What a data set is to the rest: a sequence of annotated images, read one at a time.

Names, classes and patients are known at once, without reading a single image, so that splits
and complaints come before any work; pixels are read when an item is asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError

UNKNOWN_CLASS = -1

Annotation = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int32] | None]
"""Image, regions and instances, as in :class:`Sample`."""


@dataclass(frozen=True)
class Sample:
    """One annotated image.

    Attributes
    ----------
    name : str
        The image file's stem.
    image : ndarray of uint8, (Y, X, 3)
    regions : ndarray of uint8, (Y, X)
        Region codes; 0 where not annotated.
    instances : ndarray of int32, (Y, X), or None
        Gland instances as annotated, None where only regions are.
    class_index : int
        Index into the data set's classes; -1 where unknown.
    patient : str or None
    mpp : float
        Micrometres per pixel.
    """

    name: str
    image: npt.NDArray[np.uint8]
    regions: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32] | None
    class_index: int
    patient: str | None
    mpp: float


@dataclass(frozen=True)
class Record:
    """What is known of a sample before its pixels are read.

    `read` gives the sample's image, regions and instances as in :class:`Sample`. Whoever
    annotated it may have put it to a `part` of a fine-tuning: "training" or "validation".
    Of an annotated area, `area` is its project and key.
    """

    name: str
    class_index: int
    patient: str | None
    mpp: float
    read: Callable[[], Annotation]
    part: str = "auto"
    area: tuple[Path, str] | None = None


@dataclass(frozen=True)
class Origin:
    """How a data set was opened: the arguments of `open_dataset`, to open it again."""

    path: str
    mpp: float | None = None
    split: str | None = None
    masks: str = "auto"


@dataclass(frozen=True)
class Dataset(Sequence[Sample]):
    """A sequence of samples, read when indexed.

    Attributes
    ----------
    records : tuple of Record
    classes : tuple of str
        Names that `class_index` points into; empty where no class is known.
    description : str
        What was found, in one sentence for the user (kind of masks, counts).
    licence : str
        What the data, and weights trained on them, may be used for; empty where unknown.
    origin : Origin or None
        How it was opened; None where it was put together otherwise.
    """

    records: tuple[Record, ...]
    classes: tuple[str, ...]
    description: str = ""
    licence: str = ""
    origin: Origin | None = None

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        if isinstance(index, slice):
            return replace(self, records=self.records[index])
        record = self.records[index]
        image, regions, instances = record.read()
        return Sample(
            name=record.name,
            image=image,
            regions=regions,
            instances=instances,
            class_index=record.class_index,
            patient=record.patient,
            mpp=record.mpp,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples, in order."""
        return tuple(record.name for record in self.records)

    def subset(self, indices: Sequence[int]) -> Dataset:
        """The samples at `indices`, in that order."""
        return replace(self, records=tuple(self.records[index] for index in indices))

    def map_classes(
        self, classes: Sequence[str], mapping: Mapping[str, str] | None = None
    ) -> Dataset:
        """Express the classes of the samples in those of a network.

        Parameters
        ----------
        classes : sequence of str
            The network's.
        mapping : mapping of str to str, optional
            Own class -> one of `classes`. Classes that are not in it go by their name, small
            and capital letters alike; a class of no match becomes unknown, and the
            description says so.

        Raises
        ------
        DatasetError
            If `mapping` names a class that is in neither list.

        Examples
        --------
        >>> own = Dataset((), ("Normal", "Polyp"))
        >>> own.map_classes(("benign", "malignant"), {"Normal": "benign"}).classes
        ('benign', 'malignant')
        """
        targets = [_target(name, classes, mapping or {}) for name in self.classes]
        for name in mapping or {}:
            if name not in self.classes:
                raise DatasetError(
                    f"The data set has no class {name!r}; it has {', '.join(self.classes)}."
                )
        lost = Counter(
            self.classes[record.class_index]
            for record in self.records
            if record.class_index >= 0 and targets[record.class_index] < 0
        )
        records = tuple(
            replace(record, class_index=targets[record.class_index])
            if record.class_index >= 0
            else record
            for record in self.records
        )
        description = self.description + _lost_text(lost, classes)
        return replace(self, records=records, classes=tuple(classes), description=description)


def _target(name: str, classes: Sequence[str], mapping: Mapping[str, str]) -> int:
    """Index into `classes` that an own class goes to, -1 for none."""
    if name in mapping and mapping[name] not in classes:
        raise DatasetError(
            f"{name!r} cannot become {mapping[name]!r}: the classes are {', '.join(classes)}."
        )
    wanted = mapping.get(name, name).casefold()
    folded = [other.casefold() for other in classes]
    return folded.index(wanted) if wanted in folded else UNKNOWN_CLASS


def _lost_text(lost: Counter[str], classes: Sequence[str]) -> str:
    if not lost:
        return ""
    counts = ", ".join(f"{name} {count}" for name, count in lost.items())
    return (
        f"; {counts}: class not used, since it is none of {', '.join(classes) or 'the known ones'}"
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key that puts train_2 before train_10.

    Examples
    --------
    >>> sorted(["b10", "b9", "a"], key=natural_key)
    ['a', 'b9', 'b10']
    """
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def split_dataset(
    dataset: Dataset,
    validation: float | int | Sequence[str],
    *,
    by: str = "auto",
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Split into training and validation parts.

    Parameters
    ----------
    dataset : Dataset
    validation : float, int or sequence of str
        A share (0 .. 1) or number of images, drawn at random; or the names of the patients
        (or, with ``by="image"``, of the images) to validate on.
    by : {"auto", "patient", "image"}
        Keep all images of a patient on one side where patients are known ("auto" does so
        only if every image has one), or split image by image.
    seed : int
        Same seed, same split.

    Returns
    -------
    training, validation : Dataset

    Raises
    ------
    DatasetError
        If a side would be empty, a name is unknown, or patients are asked for but unknown.

    Notes
    -----
    With patients, whole patients are drawn until at least the wanted number of images is
    reached, so the validation part may be somewhat larger.
    """
    patients = [record.patient for record in dataset.records]
    if by == "auto":
        by = "image" if any(patient is None for patient in patients) else "patient"
    if by not in ("patient", "image"):
        raise DatasetError(f"Split by 'auto', 'patient' or 'image', not {by!r}.")
    if by == "patient" and any(patient is None for patient in patients):
        raise DatasetError(
            "This data set does not name the patient of every image; split by image instead."
        )
    groups = list(dataset.names) if by == "image" else [str(patient) for patient in patients]
    chosen = _chosen_groups(groups, validation, seed)
    inside = [index for index, group in enumerate(groups) if group in chosen]
    outside = [index for index, group in enumerate(groups) if group not in chosen]
    if not inside or not outside:
        cure = "Choose another share or add images"
        if by == "patient" and len(set(groups)) == 1 < len(groups):
            cure = "All are of one patient or slide: split by image, or validate on none"
        raise DatasetError(
            f"The split leaves {len(outside)} images for training and {len(inside)} for "
            f"validation; both need at least one. {cure}."
        )
    return dataset.subset(outside), dataset.subset(inside)


def _chosen_groups(
    groups: list[str], validation: float | int | Sequence[str], seed: int
) -> set[str]:
    """Names of the patients or images that go to the validation part."""
    if isinstance(validation, str):
        validation = [validation]
    if not isinstance(validation, (int, float)):
        unknown = sorted(set(validation) - set(groups))
        if unknown:
            raise DatasetError(f"Not in the data set: {', '.join(unknown)}.")
        return set(validation)
    if isinstance(validation, float) and not 0 < validation < 1:
        raise DatasetError(f"The share for validation must lie between 0 and 1: {validation}.")
    if isinstance(validation, int) and validation < 1:
        raise DatasetError(f"At least one image is needed for validation, not {validation}.")
    wanted = validation if isinstance(validation, int) else round(validation * len(groups))
    order = sorted(set(groups))
    np.random.default_rng(seed).shuffle(order)
    chosen: set[str] = set()
    for group in order:
        if sum(name in chosen for name in groups) >= max(wanted, 1):
            break
        chosen.add(group)
    return chosen
