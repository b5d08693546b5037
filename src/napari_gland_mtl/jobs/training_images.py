"""From the name of a training image back to the image and its annotation.

Whoever sees in a training that an image stands out wants to look at it. A run folder names its
images and says where they were opened; here they are opened again, as the training opened them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..datasets import Dataset, Record, Sample, open_dataset
from ..errors import DatasetError, GlandMTLError
from .finetune_config import FinetuneConfig
from .finetune_data import open_named
from .run_folder import DATA_FILE, FINETUNE_FILE


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
        self._dataset: Dataset | None = None

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

    def _found(self, name: str) -> tuple[Dataset, int]:
        self._dataset = dataset = self._dataset or self._open()
        if name in dataset.names:
            return dataset, dataset.names.index(name)
        where = f"in {self.place}" if self.place else "where this training found its images"
        raise DatasetError(
            f"There is no image “{name}” {where}. It was renamed, moved or removed since: choose "
            "the folder that it is in now."
        )

    def _open(self) -> Dataset:
        origin = _json(self.run / DATA_FILE).get("origin")
        known = dict(origin) if isinstance(origin, dict) else {}
        tuned = self._finetuning()
        if not (self.place or known or tuned):
            raise DatasetError(
                "This training did not note down where its images lie. Choose their folder."
            )
        try:
            if self.place is not None:
                return open_dataset(**{**known, "path": self.place})
            return open_named(tuned)[0] if tuned else open_dataset(**known)
        except (GlandMTLError, OSError) as error:
            raise DatasetError(
                f"The images of this training cannot be opened. {error} If they were moved, choose "
                "the folder that they are in now."
            ) from error

    def _finetuning(self) -> FinetuneConfig | None:
        """The settings of a fine-tuning that names its images; None of anything else."""
        try:
            text = (self.run / FINETUNE_FILE).read_text(encoding="utf-8")
            config = FinetuneConfig.model_validate_json(text)
        except (OSError, ValidationError):
            return None
        return config if config.training_data else None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
