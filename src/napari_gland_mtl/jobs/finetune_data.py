"""What a model is to learn from, opened by name.

Annotations lie in projects beside their slides, in folders of images and masks, or in single
areas of a project, written ``PROJECT::KEY``; all that are named become one data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..annotations.project import AnnotationProject, is_project, project_path
from ..datasets import (
    Chosen,
    Dataset,
    MaskOption,
    open_annotated,
    open_dataset,
)
from ..datasets.annotated import find_projects
from ..errors import DatasetError
from .finetune_config import FinetuneConfig

AREA_MARK = "::"


def open_named(config: FinetuneConfig) -> tuple[Dataset, Dataset | None]:
    """What the settings themselves name: to learn from, and to measure on if that is settled.

    Raises
    ------
    DatasetError
        If nothing is named, or is not there.
    """
    if not config.training_data:
        raise DatasetError("Nothing to learn from was given. Name a project, or tick an area.")
    mpp, masks = config.data_mpp, config.data_masks
    told = mpp is not None or masks != "auto"
    if told and all(map(_is_annotated, (*config.training_data, *config.validation_data))):
        raise DatasetError(
            "Annotated areas know their um/px and how they were annotated. Leave out the pixel "
            "size and the kind of masks."
        )
    dataset, validation = open_training_data(config.training_data, mpp, masks)
    if config.validation_data:
        parts = _opened(config.validation_data, mpp, masks)
        validation = joined([part for part in (*parts, validation) if part is not None])
    return dataset, validation


def open_training_data(
    places: Sequence[str | Path], mpp: float | None = None, masks: MaskOption = "auto"
) -> tuple[Dataset, Dataset | None]:
    """Open annotations, of one or several places, as one data set.

    Parameters
    ----------
    places : sequence of str or path
        Annotation projects, folders that hold several, single areas (``PROJECT::KEY``), and
        folders of images and masks.
    mpp : float, optional
        Micrometres per pixel of folders of images whose files do not say it.
    masks : {"auto", "binary", "instances", "regions"}
        What the masks of such folders hold; see `open_folder`.

    Returns
    -------
    dataset : Dataset
        To learn from.
    validation : Dataset or None
        Areas of projects that their author has put to validation, if there are any.

    Raises
    ------
    DatasetError
        If there is nothing at a place, or two images have one name.
    MissingPixelSizeError, UnreadableImageError, InvalidInputError
    """
    dataset, validation = _opened(places, mpp, masks)
    if dataset is None and validation is not None:
        raise DatasetError(
            "All annotated areas are put to validation, and none is left to learn from. Put one to "
            "training, or to “auto”."
        )
    return dataset or joined([]), validation


def _opened(
    places: Sequence[str | Path], mpp: float | None, masks: MaskOption
) -> tuple[Dataset | None, Dataset | None]:
    """What is to be learned from, and areas that are put to validation; None where none is."""
    annotated: list[Chosen] = []
    kept_apart: list[Chosen] = []
    parts: list[Dataset] = []
    for place in map(str, places):
        _refuse_slide(Path(place))
        project, mark, key = place.rpartition(AREA_MARK)
        projects = [] if mark or not Path(place).is_dir() else find_projects(Path(place))
        if mark:
            annotated.append(Chosen(Path(project), key))
        elif projects:
            for path in projects:
                ours, theirs = _areas_of(path)
                annotated, kept_apart = annotated + ours, kept_apart + theirs
        else:
            parts.append(open_dataset(place, mpp=mpp, masks=masks))
    if annotated:
        parts.insert(0, open_annotated(annotated))
    found = joined(parts) if parts else None
    return found, open_annotated(kept_apart) if kept_apart else None


def _is_annotated(place: str) -> bool:
    """Whether it is an area, a project, or a folder of projects, and no folder of images."""
    return AREA_MARK in place or (Path(place).is_dir() and bool(find_projects(Path(place))))


def _refuse_slide(place: Path) -> None:
    """Whoever names a slide means its annotations; which ones those are is better said."""
    project = project_path(place)
    if place.is_file() and is_project(project):
        raise DatasetError(f"{place} is a slide. Name its annotations: {project}.")


def _areas_of(project: Path) -> tuple[list[Chosen], list[Chosen]]:
    """The areas of a project to learn from, and those that were put to validation."""
    training: list[Chosen] = []
    validation: list[Chosen] = []
    for stored in AnnotationProject(project).stored():
        apart = stored.info.part == "validation" and stored.annotated_px > 0
        (validation if apart else training).append(Chosen(project, stored.key))
    return training, validation


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Several data sets as one, with the classes of the first that has any.

    Raises
    ------
    DatasetError
        If there is none, or two images have one name.
    """
    if not parts:
        raise DatasetError("Nothing to learn from was given. Name a project or a folder.")
    if len(parts) == 1:
        return parts[0]
    classes = next((part.classes for part in parts if part.classes), ())
    mapped = [part.map_classes(classes) for part in parts]
    records = tuple(record for part in mapped for record in part.records)
    names = [record.name for record in records]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DatasetError(
            f"Several of the folders have an image {twice[0]!r}. Rename one of them: images are "
            "told apart by name."
        )
    return Dataset(
        records,
        tuple(classes),
        "; ".join(part.description for part in mapped),
        " ".join(dict.fromkeys(part.licence for part in mapped if part.licence)),
    )
