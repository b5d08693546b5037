"""Train or fine-tune a model on a data set, in a run folder, as a resumable job.

The run folder holds all there is to know: the settings (``config.json``), the images on either
side (``data.json``), the machine (``environment.json``), a row per step and per epoch
(``steps.csv``, ``epochs.csv``), the best and the last weights, and the state to resume from.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from ..checkpoint import ModelCard, find_model, read_card
from ..datasets import open_dataset
from ..datasets.dataset import Dataset, split_dataset
from ..errors import CheckpointError, DatasetError, InvalidInputError
from ..training.config import TrainingConfig
from ..training.multi_objective import check_multi_objective
from ..training.parallel import check_devices
from ..training.progress import TrainingFinished
from ..training.trainer import TrainingEvent
from .events import Event
from .run_folder import (
    FINETUNE_FILE,
    gone_unless_begun,
    image_names,
    prepare_folder,
    read_settings,
)
from .runs import working_in
from .stop import StopToken
from .train_config import TrainConfig
from .train_plan import TrainPlan, carry_out
from .train_together import carry_out_together, check_portable

__all__ = ["MACHINE", "TrainConfig", "resumed_config", "train_model"]

# What may be given on resuming: where the work is done makes it no other training.
MACHINE = frozenset({"device", "devices"})
# Settings that runs begun before they existed do not name, at the value that those run with.
BEFORE: dict[str, Any] = {"dropout": 0.0}
WARMUP_PART = 5


def train_model(
    dataset: Dataset,
    folder: Path | str,
    config: TrainConfig | None = None,
    stop: StopToken | None = None,
    resume: bool = False,
) -> Generator[Event | TrainingEvent]:
    """Train a model; the last event is `TrainingFinished`.

    Parameters
    ----------
    dataset : Dataset
        Divided into training and validation images as `config` says.
    folder : path
        The run folder; made if missing.
    config : TrainConfig, optional
        With `resume`, the run folder's own settings are used, and this must be None or equal but
        for ``device`` and ``devices``.
    stop : StopToken, optional
        Looked at before every step; what was learned is kept and can be resumed. Several
        processes may do a few more steps.
    resume : bool
        Go on with the training in `folder`, exactly where it was.

    Yields
    ------
    Stage, Notice, StepFinished, EpochFinished, TrainingNotice, TrainingFinished

    Raises
    ------
    OutputExistsError
        If the folder holds a training already and `resume` is False.
    OutputNotWritableError
        If the folder cannot be made or written to.
    DatasetError, InvalidInputError, ModelNotFoundError, CheckpointError
        Before anything is computed.
    DeviceNotAvailableError, MissingExtraError
        If several devices, or a weighting of TorchJD's, are asked for and not to be had; before
        anything is computed.
    NonFiniteLossError
        The last good weights are kept.
    ProcessLostError
        If one of several processes ended before its time; the last epoch's state is kept.
    """
    folder, stop = Path(folder), stop or StopToken()
    if resume and (folder / FINETUNE_FILE).is_file():
        raise InvalidInputError(
            f"{folder} holds a fine-tuning. Go on with it by 'gland-mtl finetune --resume'."
        )
    config = _settings_of(folder, config) if resume else config or TrainConfig()
    check_devices(config.training)
    check_multi_objective(config.training.weighting)
    if not resume:  # a run that was begun has noted down what its start brought
        config = config.model_copy(update={"training": _begun_with(config)})
    training, validation = _divided(dataset, config)
    plan = TrainPlan(
        dataset, training, validation, folder, config, resume, replay=opened_replay(config)
    )
    together = config.training.devices > 1
    if together:
        check_portable(plan)
    with gone_unless_begun(folder):
        if resume:
            _check_images(folder, training, validation)
        else:
            prepare_folder(folder)
        carried_out = carry_out_together if together else carry_out
        with working_in(folder) as mark, closing(carried_out(plan, stop)) as events:
            for event in events:
                if isinstance(event, TrainingFinished):
                    mark.ended(event.stopped)
                yield event


def resumed_config(
    folder: Path | str, device: str | None = None, devices: int | None = None
) -> TrainConfig:
    """The settings of a training to go on with, on other devices where that is asked for.

    Raises
    ------
    InvalidInputError
        If there is nothing to resume.
    CheckpointError
        If the settings cannot be read.
    """
    folder = Path(folder)
    text = read_settings(folder)
    try:
        content = json.loads(text)
        content["training"] = {**BEFORE, **content.get("training", {})}
        stored = TrainConfig.model_validate(content)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"The settings in {folder} cannot be read by this version: {error}"
        ) from error
    return stored.on(device, devices)


def _settings_of(folder: Path, given: TrainConfig | None) -> TrainConfig:
    stored = resumed_config(folder)
    if given is None:
        return stored
    asked = given.model_copy(update={"training": with_fitting_warmup(given.training)})
    elsewhere = stored.on(given.training.device, given.training.devices)
    if elsewhere not in (given, asked):
        raise InvalidInputError(
            f"The settings differ from those of the training in {folder}. Resume without any "
            "but device and devices, or start a new run folder."
        )
    return elsewhere


def _check_images(folder: Path, training: Dataset, validation: Dataset) -> None:
    """A run goes on only with the images that it began with."""
    before = (image_names(folder, "training"), image_names(folder, "validation"))
    if before != (training.names, validation.names):
        raise DatasetError(
            f"The images differ from those that the training in {folder} began with. Give the "
            "same data set, or start a new run folder."
        )


def _begun_with(config: TrainConfig) -> TrainingConfig:
    brought = config.training
    if config.start:
        brought = with_start(brought, read_card(find_model(config.start)))
    return with_fitting_warmup(brought)


def with_fitting_warmup(training: TrainingConfig) -> TrainingConfig:
    """The learning rate rises for a fifth of the training at most.

    A short one would be over before it had its learning rate.
    """
    steps = min(training.schedule_warmup_steps, training.total_steps // WARMUP_PART)
    return training.model_copy(update={"schedule_warmup_steps": steps})


def with_start(training: TrainingConfig, card: ModelCard) -> TrainingConfig:
    """What a model to go on from brings, unless other values were asked for.

    Its um/px, and its log-variances to go on with, which then need no warm-up.
    """
    brought: dict[str, Any] = {}
    if "mpp" not in training.model_fields_set:
        brought["mpp"] = card.mpp
    if card.log_vars and "log_var_start" not in training.model_fields_set:
        brought["log_var_start"] = dict(card.log_vars)
        if "log_var_warmup_steps" not in training.model_fields_set:
            brought["log_var_warmup_steps"] = 0
    return training.model_copy(update=brought)


def opened_replay(config: TrainConfig) -> Dataset | None:
    """The images of what is not to be forgotten; None where none are asked for.

    Raises
    ------
    DatasetError, MissingPixelSizeError
    """
    return None if config.replay is None else open_dataset(config.replay, mpp=config.replay_mpp)


def _divided(dataset: Dataset, config: TrainConfig) -> tuple[Dataset, Dataset]:
    if config.validation in (0, 0.0, ()):
        return dataset, dataset.subset(())
    return split_dataset(dataset, config.validation, by=config.split_by, seed=config.split_seed)
