"""From the name of a training image back to the image and its annotation.

Whoever sees in a training that an image stands out wants to look at it. A run folder names its
images and says where they were opened; here they are opened again, as the training opened them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..annotations.project import AnnotationProject
from ..checkpoint import RUN_FOLDER_WEIGHTS, read_card
from ..datasets import Dataset, Record, Sample, open_dataset
from ..datasets.annotated import find_projects
from ..errors import CheckpointError, DatasetError, GlandMTLError, MissingPixelSizeError
from ..regions import GLAND_REGIONS, RegionHierarchy
from .finetune_config import FinetuneConfig
from .finetune_data import AREA_MARK, open_named, open_training_data
from .run_folder import DATA_FILE, FINETUNE_FILE, START_FILE


class TrainingImages:
    """The images that a training learned from, opened when one is asked for.

    Parameters
    ----------
    run : path
        The run folder.
    place : path, optional
        The folder where the images lie now, if they were moved or nothing was noted down.
    """

    def __init__(self, run: Path | str, place: Path | str | None = None) -> None:
        self.run = Path(run)
        self.place = None if place is None else Path(place)
        self._datasets: list[Dataset] = []

    def record(self, name: str) -> Record:
        """What is known of an image without reading it: an annotated area has its project.

        Parameters
        ----------
        name : str
            As in the tables of the training.

        Raises
        ------
        DatasetError
            If the images are not there any more, or it was not noted down where they are.
        """
        dataset, index = self._found(name)
        return dataset.records[index]

    def sample(self, name: str) -> Sample:
        """An image with its annotation.

        Raises
        ------
        DatasetError
            As `record`.
        UnreadableImageError, DatasetError
            If its files are damaged.
        """
        dataset, index = self._found(name)
        return dataset[index]

    @cached_property
    def hierarchy(self) -> RegionHierarchy:
        """The regions of the network: only a model to go on from brings others than the usual."""
        for name in (START_FILE, *RUN_FOLDER_WEIGHTS):
            try:
                return read_card(self.run / name).network_config().regions
            except (CheckpointError, ValidationError):
                continue
        return GLAND_REGIONS

    def _found(self, name: str) -> tuple[Dataset, int]:
        try:
            datasets = self._datasets = self._datasets or self._open()
        except DatasetError:
            # One area or folder of several is gone or damaged: the others can still be looked at.
            datasets = self._alone(name)
            if not datasets:
                raise
        for dataset in datasets:
            if name in dataset.names:
                return dataset, dataset.names.index(name)
        where = f"in {self.place}" if self.place else "where this training found its images"
        raise DatasetError(
            f"There is no image “{name}” {where}. It was renamed, moved or removed since: choose "
            "the folder that it is in now."
        )

    def _open(self) -> list[Dataset]:
        known, tuned = self._origin, self._finetuning
        if not (self.place or known or tuned):
            raise DatasetError(
                "This training did not note down where its images lie. Choose their folder."
            )
        try:
            if tuned:
                found = self._parts([self.place]) if self.place else open_named(tuned)
                # Which areas are only measured on may have been changed since.
                return [part for part in found if part is not None]
            place = {} if self.place is None else {"path": self.place}
            return [open_dataset(**{**known, **place}, hierarchy=self.hierarchy)]
        except (GlandMTLError, OSError) as error:
            raise DatasetError(
                f"The images of this training cannot be opened. {_in_a_window(error)} If they were "
                "moved, choose the folder that they are in now."
            ) from error

    def _alone(self, name: str) -> list[Dataset]:
        """The one place of several that holds an image, if that is certain."""
        if f"{name} (2)" in _json(self.run / DATA_FILE).get("training", ()):
            return []  # names were told apart by numbers, which depend on what is there
        for single in self._singles():
            try:
                found = [part for part in self._parts([single]) if part is not None]
            except (GlandMTLError, OSError):
                continue
            if any(name in part.names for part in found):
                return found
        return []

    def _singles(self) -> Iterator[str]:
        """Areas one by one, and folders of images."""
        tuned = self._finetuning
        places = [str(self._origin.get("path", ""))] if tuned is None else [*tuned.training_data]
        for place in [str(self.place)] if self.place else places:
            projects = find_projects(Path(place)) if place and Path(place).is_dir() else []
            for path in projects:
                yield from (f"{path}{AREA_MARK}{key}" for key in _keys(path))
            if place and not projects:
                yield place

    def _parts(self, places: list[Any]) -> tuple[Dataset | None, Dataset | None]:
        tuned = self._finetuning
        if tuned is not None:
            return open_training_data(places, tuned.data_mpp, tuned.data_masks)
        return open_training_data(
            places, self._origin.get("mpp"), self._origin.get("masks", "auto")
        )

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """How the images were opened; empty where it was not noted down."""
        origin = _json(self.run / DATA_FILE).get("origin")
        return dict(origin) if isinstance(origin, dict) else {}

    @cached_property
    def _finetuning(self) -> FinetuneConfig | None:
        """The settings of a fine-tuning that names its images; None of anything else."""
        try:
            text = (self.run / FINETUNE_FILE).read_text(encoding="utf-8")
            config = FinetuneConfig.model_validate_json(text)
        except (OSError, ValidationError):
            return None
        return config if config.training_data else None


def _keys(project: Path) -> list[str]:
    """The areas of a project; none if it cannot be read, as when a newer version made it."""
    try:
        return [stored.key for stored in AnnotationProject(project).stored()]
    except (GlandMTLError, OSError):
        return []


def _in_a_window(error: Exception) -> str:
    """What is wrong, without the options of a command line that nobody gives here."""
    if isinstance(error, MissingPixelSizeError):
        return (
            "Their pixel size is in none of the files, and this training did not note it down. "
            "Open the image itself with File > Open."
        )
    return str(error)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
