"""Train or fine-tune a model on a data set, in a run folder, as a resumable job.

The run folder holds all there is to know: the settings (``config.json``), the images on either
side (``data.json``), the machine (``environment.json``), a row per step and per epoch
(``steps.csv``, ``epochs.csv``), the best and the last weights, and the state to resume from.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..checkpoint import Model, ModelCard, load_model
from ..datasets.dataset import Dataset, split_dataset
from ..datasets.patches import PatchSource
from ..errors import CheckpointError, InvalidInputError, OutputExistsError, OutputNotWritableError
from ..network import GlandNetwork, NetworkConfig, build_network
from ..training.config import TrainingConfig
from ..training.state import STATE_FILE
from ..training.trainer import Trainer, TrainingEvent
from .events import Event, Stage
from .segment import SegmentConfig
from .stop import StopToken
from .validation import validator

CONFIG_FILE = "config.json"
DATA_FILE = "data.json"
ENVIRONMENT_FILE = "environment.json"
DEFAULT_CLASSES = ("benign", "malignant")


class TrainConfig(BaseModel):
    """A training with what surrounds it: the start, the split, the name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: TrainingConfig = TrainingConfig()
    start: str | None = Field(
        default=None, description="Model to go on from: a name, a file or a run folder."
    )
    name: str | None = Field(
        default=None, min_length=1, description="Name of the new model; the run folder's."
    )
    validation: float | int | tuple[str, ...] = Field(
        default=0.18,
        description="Share or number of images to validate on, or their patients' names; 0 for "
        "none.",
    )
    split_by: str = Field(
        default="auto",
        pattern="^(auto|patient|image)$",
        description="Whether patients or images are divided; auto: patients where known.",
    )
    split_seed: int = Field(default=0, ge=0, description="Same seed, same split.")
    licence: str = Field(default="", description="What the weights may be used for.")
    data: str = Field(default="", description="What the data are, with citation.")
    description: str = Field(default="", description="What the model is for.")


def train_model(
    dataset: Dataset,
    folder: Path | str,
    config: TrainConfig | None = None,
    stop: StopToken | None = None,
    resume: bool = False,
) -> Iterator[Event | TrainingEvent]:
    """Train a model; the last event is `TrainingFinished`.

    Parameters
    ----------
    dataset : Dataset
        Divided into training and validation images as `config` says.
    folder : path
        The run folder; made if missing.
    config : TrainConfig, optional
        With `resume`, the run folder's own settings are used and this must be None or equal.
    stop : StopToken, optional
        Looked at before every step; what was learned is kept and can be resumed.
    resume : bool
        Go on with the training in `folder`, exactly where it was.

    Yields
    ------
    Stage, StepFinished, EpochFinished, TrainingNotice, TrainingFinished

    Raises
    ------
    OutputExistsError
        If the folder holds a training already and `resume` is False.
    OutputNotWritableError
        If the folder cannot be made or written to.
    DatasetError, InvalidInputError, ModelNotFoundError, CheckpointError
        Before anything is computed.
    NonFiniteLossError
        The last good weights are kept.
    """
    folder, stop = Path(folder), stop or StopToken()
    config = _resumed_config(folder, config) if resume else config or TrainConfig()
    start = load_model(config.start) if config.start else None
    config = _with_scale_of(config, start)
    training, validation = _divided(dataset, config)
    if not resume:
        _prepare_folder(folder)
    network = _network(dataset, config, start)
    training, validation = (_with_classes(part, network) for part in (training, validation))
    card = _card(folder, dataset, config, network, start, (training, validation))
    yield Stage(f"Reading {len(training)} training and {len(validation)} validation images")
    source = PatchSource(training, config.training.mpp, network.config.regions)
    validate = None
    if len(validation):
        settings = SegmentConfig(flips=False, device=config.training.device)
        classes = network.config.classes
        validate = validator(validation, classes, card, settings, stop)
    if not resume:
        _write_records(folder, dataset, config, training, validation)
    yield Stage("Preparing the network")
    trainer = Trainer(config.training, network, source, card, folder, validate)
    if resume:
        trainer.resume()
    yield from trainer.run(stop)


def _resumed_config(folder: Path, given: TrainConfig | None) -> TrainConfig:
    path = folder / CONFIG_FILE
    if not path.is_file() or not (folder / STATE_FILE).is_file():
        raise InvalidInputError(
            f"{folder} holds no training to resume ({CONFIG_FILE} and {STATE_FILE} are needed). "
            "Start one without --resume."
        )
    try:
        stored = TrainConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise CheckpointError(f"{path} cannot be read by this version: {error}") from error
    if given is not None and given != stored:
        raise InvalidInputError(
            f"The settings differ from those of the training in {folder}. Resume without any, "
            "or start a new run folder."
        )
    return stored


def _with_scale_of(config: TrainConfig, start: Model | None) -> TrainConfig:
    """A model to go on from brings its um/px, unless another was asked for."""
    if start is None or "mpp" in config.training.model_fields_set:
        return config
    training = config.training.model_copy(update={"mpp": start.card.mpp})
    return config.model_copy(update={"training": training})


def _divided(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset]:
    if config.validation in (0, 0.0, ()):
        return dataset, dataset.subset(())
    return split_dataset(dataset, config.validation, by=config.split_by, seed=config.split_seed)


def _prepare_folder(folder: Path) -> None:
    if (folder / CONFIG_FILE).exists() or (folder / STATE_FILE).exists():
        raise OutputExistsError(
            f"{folder} holds a training already. Go on with it by --resume, or name another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputNotWritableError(
            f"The run folder {folder} cannot be written to: {error.strerror}. Choose another."
        ) from error


def _network(dataset: Dataset, config: TrainConfig, start: Model | None) -> GlandNetwork:
    if start is not None:
        return start.network
    torch.manual_seed(config.training.seed)
    classes = dataset.classes if len(dataset.classes) > 1 else DEFAULT_CLASSES
    return build_network(
        NetworkConfig(
            classes=classes,
            widths=config.training.widths,
            decoder_blocks=config.training.decoder_blocks,
            class_dropout=config.training.class_dropout,
        )
    )


def _with_classes(part: Dataset, network: GlandNetwork) -> Dataset:
    """Classes as the network names them; others count as unknown."""
    return part.map_classes(network.config.classes)


def _card(
    folder: Path,
    dataset: Dataset,
    config: TrainConfig,
    network: GlandNetwork,
    start: Model | None,
    parts: tuple[Dataset, Dataset],
) -> ModelCard:
    from .. import __version__

    inherited = start.card.licence if start else ""
    split = (
        f"{len(parts[0])} training and {len(parts[1])} validation images, divided by "
        f"{config.split_by}, seed {config.split_seed}"
    )
    return ModelCard(
        name=config.name or folder.resolve().name,
        description=config.description,
        mpp=config.training.mpp,
        network=network.config.model_dump(mode="json"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        package_version=__version__,
        commit=_commit(),
        licence=config.licence or inherited,
        data=config.data or dataset.description,
        split=split,
        training=config.training.model_dump(mode="json"),
        parents=(start.sha256, *start.card.parents) if start else (),
    )


def _commit() -> str:
    """The commit that the source was at, where it is a git checkout."""
    head = Path(__file__).parents[3] / ".git" / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text(encoding="utf-8").strip()
    if not text.startswith("ref: "):
        return text
    reference = head.parent / text.removeprefix("ref: ")
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else ""


def _write_records(
    folder: Path, dataset: Dataset, config: TrainConfig, training: Dataset, validation: Dataset
) -> None:
    """Write what the training is made of; the settings last, as the mark of a run folder."""
    data = {
        "description": dataset.description,
        "training": list(training.names),
        "validation": list(validation.names),
    }
    _write_json(folder / DATA_FILE, data)
    _write_json(folder / ENVIRONMENT_FILE, _environment())
    _write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))


def _environment() -> dict[str, Any]:
    from importlib.metadata import version

    from .. import __version__

    packages = ("torch", "numpy", "scipy", "scikit-image", "tifffile", "pydantic")
    return {
        "napari-gland-mtl": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": _commit(),
        "packages": {name: version(name) for name in packages},
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
