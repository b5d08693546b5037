"""One training as its files tell it, finished or still growing.

A training is followed through its run folder alone, so that one on the command line, in another
window or on another machine is seen as well. Reading needs no PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..storage.growing_names import NamedColumns, NamedGrowingTable
from ..storage.growing_table import PIECE_BYTES, GrowingTable
from ..storage.run_files import CONFIG_FILE, EPOCHS_FILE, IMAGES_FILE, STEPS_FILE
from .losses import LOSS_TITLES

Column = npt.NDArray[np.float64]
IMAGE_COLUMN = "image"
_LOSS = "loss_"
_NO_MEASURE = ("loss_", "weight_", "log_var_")
_COUNTING = ("epoch", "best", "step")


class RunHistory:
    """The history of one training; `poll` reads what is new.

    Parameters
    ----------
    path : path
        The run folder, or a file in it.
    name : str
        How it is called in figures; by default as the folder.
    with_images : bool
        Read the numbers of each training image, too: a row per image and epoch.

    Raises
    ------
    InvalidInputError
        If this is no run folder of a training.
    """

    def __init__(self, path: Path | str, name: str = "", with_images: bool = False) -> None:
        path = Path(path)
        self.path = path.parent if path.is_file() else path
        if not any((self.path / file).is_file() for file in (CONFIG_FILE, STEPS_FILE)):
            raise InvalidInputError(
                f"{path} is no run folder of a training: it has neither {CONFIG_FILE} nor "
                f"{STEPS_FILE}. Name the folder that 'gland-mtl train -o' or Fine-tune wrote."
            )
        self.name = name or self.path.absolute().name
        self.settings: dict[str, Any] = {}
        self._steps = GrowingTable(self.path / STEPS_FILE)
        self._epochs = GrowingTable(self.path / EPOCHS_FILE)
        self._images = NamedGrowingTable(self.path / IMAGES_FILE, IMAGE_COLUMN)
        self.with_images = with_images

    @property
    def steps(self) -> Mapping[str, Column]:
        """The columns of ``steps.csv``: a row per step."""
        return self._steps.columns

    @property
    def epochs(self) -> Mapping[str, Column]:
        """The columns of ``epochs.csv``: a row per epoch."""
        return self._epochs.columns

    @property
    def images(self) -> NamedColumns:
        """The columns of ``images.csv``: a row per training image and epoch."""
        return self._images.named

    @property
    def caught_up(self) -> bool:
        """Whether all that is in the files was read."""
        images = self._images.caught_up or not self.with_images
        return self._steps.caught_up and self._epochs.caught_up and images

    def poll(self, limit: int = PIECE_BYTES) -> bool:
        """Read what is new, `limit` bytes of each file at most; True if there was something.

        Raises
        ------
        OSError
            If a file is there and cannot be read.
        """
        if not self.settings:
            self.settings = _settings(self.path / CONFIG_FILE)
        grown = self._steps.poll(limit)
        grown = self._epochs.poll(limit) or grown
        return (self._images.poll(limit) if self.with_images else False) or grown

    def read(self) -> RunHistory:
        """Read all there is; returns itself."""
        self.poll()
        while not self.caught_up:
            self.poll()
        return self

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the losses, those of this package first and in their usual order."""
        columns = self.steps or self.epochs
        names = [name.removeprefix(_LOSS) for name in columns if name.startswith(_LOSS)]
        known = [name for name in LOSS_TITLES if name in names]
        return (*known, *(name for name in names if name not in known))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the validation measures."""
        return tuple(
            name
            for name in self.epochs
            if not name.startswith(_NO_MEASURE) and name not in _COUNTING
        )

    @property
    def weighting(self) -> str:
        """How the losses were weighted, as in the settings; a guess where these are missing."""
        stated = self.settings.get("weighting")
        if isinstance(stated, str):
            return stated
        columns = self.steps or self.epochs
        learned = any(name.startswith("log_var_") for name in columns)
        return "uncertainty" if learned or not columns else "fixed"

    @property
    def learned(self) -> bool:
        """Whether each loss has a log sigma^2."""
        return any(name.startswith("log_var_") for name in self.steps or self.epochs)


def _settings(path: Path) -> dict[str, Any]:
    """The training's settings; empty where they cannot be read."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    # A job's settings hold those of its training; the training's own are flat.
    inner = stored.get("training")
    return {**stored, **inner} if isinstance(inner, dict) else stored
