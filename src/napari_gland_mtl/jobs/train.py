"""Train or fine-tune a model on a data set, in a run folder, as a resumable job.

The run folder holds all there is to know: the settings (``config.json``), the images on either
side (``data.json``), the machine (``environment.json``), a row per step and per epoch
(``steps.csv``, ``epochs.csv``), the best and the last weights, and the state to resume from.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..checkpoint import Model, ModelCard, load_model
from ..datasets.dataset import Dataset, split_dataset
from ..datasets.patches import PatchSource
from ..errors import CheckpointError, DatasetError, InvalidInputError
from ..network import GlandNetwork, NetworkConfig, build_network
from ..training.config import TrainingConfig
from ..training.trainer import Trainer, TrainingEvent
from .events import Event, Notice, Stage
from .run_folder import (
    image_names,
    prepare_folder,
    read_settings,
    source_commit,
    write_records,
)
from .segment_config import SegmentConfig
from .stop import StopToken
from .validation import validator

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
    if resume:
        _check_images(folder, training, validation)
    else:
        prepare_folder(folder)
    network = _network(dataset, config, start)
    training, validation = (_with_classes(part, network) for part in (training, validation))
    card = _card(folder, dataset, config, network, start, (training, validation))
    yield Stage(f"Reading {len(training)} training and {len(validation)} validation images")
    settings = config.training
    source = PatchSource(training, settings.mpp, network.config.regions, settings.seam_um)
    if not source.has_classes and "classification" in settings.losses:
        yield Notice("No training image has a class: the classification loss is left out.")
        settings = _without_classification(settings)
    validate = None
    if len(validation):
        plain = SegmentConfig(flips=False, device=settings.device)
        validate = validator(validation, network.config.classes, card, plain, stop)
    if not resume:
        write_records(folder, config.model_dump(mode="json"), training, validation)
    yield Stage("Preparing the network")
    trainer = Trainer(settings, network, source, card, folder, validate)
    if resume:
        trainer.resume()
    yield from trainer.run(stop)


def _resumed_config(folder: Path, given: TrainConfig | None) -> TrainConfig:
    text = read_settings(folder)
    try:
        stored = TrainConfig.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(
            f"The settings in {folder} cannot be read by this version: {error}"
        ) from error
    if given is not None and given != stored:
        raise InvalidInputError(
            f"The settings differ from those of the training in {folder}. Resume without any, "
            "or start a new run folder."
        )
    return stored


def _check_images(folder: Path, training: Dataset, validation: Dataset) -> None:
    """A run goes on only with the images that it began with."""
    before = (image_names(folder, "training"), image_names(folder, "validation"))
    if before != (training.names, validation.names):
        raise DatasetError(
            f"The images differ from those that the training in {folder} began with. Give the "
            "same data set, or start a new run folder."
        )


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


def _without_classification(settings: TrainingConfig) -> TrainingConfig:
    """A loss that is always 0 would only see its learned weight run to its bound."""
    losses = tuple(name for name in settings.losses if name != "classification")
    if not losses:
        raise DatasetError(
            "No training image has a class, and the classification loss is the only one chosen. "
            "Choose other losses, or give the classes in labels.csv."
        )
    return TrainingConfig.model_validate({**settings.model_dump(), "losses": losses})


def _card(
    folder: Path,
    dataset: Dataset,
    config: TrainConfig,
    network: GlandNetwork,
    start: Model | None,
    parts: tuple[Dataset, Dataset],
) -> ModelCard:
    from .. import __version__

    # What the data or the parent forbid, their child is forbidden too.
    inherited = dict.fromkeys((dataset.licence, start.card.licence if start else ""))
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
        commit=source_commit(),
        licence=config.licence or " ".join(text for text in inherited if text),
        data=config.data or dataset.description,
        split=split,
        training=config.training.model_dump(mode="json"),
        parents=(start.sha256, *start.card.parents) if start else (),
    )
