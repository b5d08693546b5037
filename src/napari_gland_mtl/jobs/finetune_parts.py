"""What of the annotations teaches, and what measures.

What is measured on must not have been learned from, and areas of one slide look alike: whole
slides (or patients) are kept together where there are enough of them, and where there are not,
that is said. No class is kept apart as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..datasets import Dataset, Record, split_dataset
from ..errors import DatasetError
from .finetune_checks import known_classes, listed
from .finetune_config import FinetuneConfig

SHARE = 0.2
LARGEST_SHARE = 0.4
FEWEST_IMAGES = 3
"""Fewer than these are all learned from."""
_TRIES = 20
_APART = 7919  # so that neighbouring seeds do not try the same splits


def divided(dataset: Dataset, config: FinetuneConfig) -> tuple[Dataset, Dataset, str]:
    """What is learned from, what is measured on, and what the user should know of it.

    What its author has put to training is measured on only if it is asked for by name, and no
    more is what is of the same slide or patient.

    Raises
    ------
    DatasetError
        If what is asked for leaves one of them empty, or is not there.
    """
    wanted = config.validation
    if wanted in ("none", 0, 0.0, ()):
        return dataset, dataset.subset(()), ""
    if isinstance(wanted, tuple):
        by = "image" if set(wanted) <= set(dataset.names) else "patient"
        return (*split_dataset(dataset, wanted, by=by, seed=config.seed), "")
    pool = _not_put_to_training(dataset)
    if wanted == "auto":
        _, validation, note = _divided_by_itself(pool, config.seed)
    else:
        alone = len({record.patient for record in pool.records}) == 1
        by = "image" if alone else "auto"
        _, validation = split_dataset(pool, wanted, by=by, seed=config.seed)
        note = ""
    apart = set(validation.names)
    learned = [index for index, name in enumerate(dataset.names) if name not in apart]
    return dataset.subset(learned), validation, note


def _not_put_to_training(dataset: Dataset) -> Dataset:
    """The images of which some may be measured on."""
    records = dataset.records
    settled = {record.patient or record.name for record in records if record.part == "training"}
    free = [n for n, record in enumerate(records) if (record.patient or record.name) not in settled]
    return dataset.subset(free)


def _divided_by_itself(dataset: Dataset, seed: int) -> tuple[Dataset, Dataset, str]:
    count = len(dataset)
    if not count:
        note = "All areas or their slides are put to training: nothing is measured, and the last "
        return dataset, dataset, f"{note}weights are kept."
    if count < FEWEST_IMAGES:
        what = "1 annotated area is" if count == 1 else f"{count} annotated areas are"
        return (
            dataset,
            dataset.subset(()),
            f"{what} too few to keep any apart: all are learned from, nothing is measured, and "
            "the last weights are kept.",
        )
    groups = [record.patient for record in dataset.records]
    why = "There are too few slides to keep whole ones apart"
    if None in groups:
        why = "It is not known which images are of one slide or patient"
    elif len(set(groups)) > 1:
        fair = _fair_split(dataset, "patient", seed)
        if fair:
            return (*fair, "")
    training, validation = _fair_split(dataset, "image", seed) or split_dataset(
        dataset, SHARE, by="image", seed=seed
    )
    return (
        training,
        validation,
        f"{listed(validation.names)} {'is' if len(validation) == 1 else 'are'} kept apart to "
        f"measure on. {why}, so the measures may flatter: what is of one slide looks alike.",
    )


def _fair_split(dataset: Dataset, by: str, seed: int) -> tuple[Dataset, Dataset] | None:
    """One that leaves most images, and some of each class, to learn from; None if none is found."""
    for number in range(_TRIES):
        parts = split_dataset(dataset, SHARE, by=by, seed=seed + _APART * number)
        most = len(parts[1]) <= LARGEST_SHARE * len(dataset)
        if most and known_classes(parts[0]) == known_classes(dataset):
            return parts
    return None


def same_parts(
    dataset: Dataset, training: Sequence[str], validation: Sequence[str]
) -> tuple[Dataset, Dataset]:
    """The parts that a training began with, found again by name.

    Raises
    ------
    DatasetError
        If an image is missing.
    """
    places = {name: index for index, name in enumerate(dataset.names)}
    missing = [name for name in (*training, *validation) if name not in places]
    if missing:
        raise DatasetError(
            f"The training began with {listed(missing)}, which is not among the images given. "
            "Give the same ones, or start a new training."
        )
    parts = [dataset.subset([places[name] for name in names]) for names in (training, validation)]
    return parts[0], parts[1]


def together(dataset: Dataset, validation: Dataset | None) -> Dataset:
    """Both parts as one, no two images of one name."""
    if validation is None or not len(validation):
        return dataset
    return replace(dataset, records=(*dataset.records, *distinct(dataset, validation).records))


def distinct(dataset: Dataset, validation: Dataset) -> Dataset:
    """What is measured on, with the classes of what is learned from and names of its own.

    Raises
    ------
    DatasetError
        If an image is in both.
    """
    validation = validation.map_classes(dataset.classes or validation.classes)
    own = {record.name: record for record in dataset.records}
    records: list[Record] = []
    for record in validation.records:
        other = own.get(record.name)
        if other is not None and _place(other) == _place(record):
            raise DatasetError(
                f"{record.name!r} is both learned from and measured on. Choose one of them: a "
                "measure of what was learned from says nothing."
            )
        name = record.name if other is None else f"{record.name} (measured)"
        records.append(replace(record, name=name))
    return replace(validation, records=tuple(records))


def _place(record: Record) -> object:
    """What tells two images of one name apart, where that is known."""
    return getattr(record.read, "args", None)
