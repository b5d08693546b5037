"""A training whose settings and images are settled, carried out in this process.

Where several processes train together, each of them carries out the same plan; the one that
leads validates, writes the run folder and tells what happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from ..checkpoint import Model, ModelCard, load_model
from ..datasets.dataset import Dataset
from ..datasets.patches import PatchSource
from ..errors import DatasetError
from ..network import GlandNetwork, NetworkConfig, build_network
from ..training.config import TrainingConfig
from ..training.parallel import Alone
from ..training.trainer import Trainer, TrainingEvent
from .events import Event, Notice, Stage
from .run_folder import source_commit, write_records
from .segment_config import SegmentConfig
from .stop import StopToken
from .train_config import TrainConfig
from .validation import validator

DEFAULT_CLASSES = ("benign", "malignant")


@dataclass(frozen=True)
class TrainPlan:
    """A training that can begin; picklable if the data set is.

    Attributes
    ----------
    dataset, training, validation : Dataset
        The whole and its parts.
    folder : path
        The run folder; exists.
    config : TrainConfig
    resume : bool
        Go on from the state in `folder`.
    """

    dataset: Dataset
    training: Dataset
    validation: Dataset
    folder: Path
    config: TrainConfig
    resume: bool


def carry_out(
    plan: TrainPlan, stop: StopToken, replicas: Alone | None = None
) -> Iterator[Event | TrainingEvent]:
    """Train as planned.

    Parameters
    ----------
    plan : TrainPlan
    stop : StopToken
        Counts in the process that leads.
    replicas : Alone, optional
        This process among several; alone if left out.

    Yields
    ------
    Stage, Notice, StepFinished, EpochFinished, TrainingNotice, TrainingFinished
        Those of the trainer only where this process leads.
    """
    replicas = replicas or Alone()
    config, folder = plan.config, plan.folder
    start = load_model(config.start) if config.start else None
    network = _network(plan.dataset, config, start)
    training, validation = (
        _with_classes(part, network) for part in (plan.training, plan.validation)
    )
    card = _card(folder, plan.dataset, config, network, start, (training, validation))
    yield Stage(f"Reading {len(training)} training and {len(validation)} validation images")
    settings = config.training
    source = PatchSource(training, settings.mpp, network.config.regions, settings.seam_um)
    if not source.has_classes and "classification" in settings.losses:
        yield Notice("No training image has a class: the classification loss is left out.")
        settings = _without_classification(settings)
    validate = None
    if len(validation) and replicas.leads:
        plain = SegmentConfig(flips=False, device=settings.device)
        validate = validator(validation, network.config.classes, card, plain, stop)
    if not plan.resume and replicas.leads:
        write_records(folder, config.model_dump(mode="json"), training, validation)
    yield Stage("Preparing the network")
    trainer = Trainer(settings, network, source, card, folder, validate, replicas=replicas)
    if plan.resume:
        trainer.resume()
    if replicas.leads:
        yield from trainer.run(stop)
    else:
        trainer.follow()


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
