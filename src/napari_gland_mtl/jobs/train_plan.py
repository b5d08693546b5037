"""A training whose settings and images are settled, carried out in this process.

Where several processes train together, each of them carries out the same plan; the one that
leads validates, writes the run folder and tells what happens.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checkpoint import Model, ModelCard, find_model, load_model
from ..datasets.dataset import Dataset, Sample
from ..datasets.patches import PatchSource
from ..errors import DatasetError, GlandMTLError, OutputNotWritableError
from ..network import GlandNetwork, NetworkConfig, build_network
from ..regions import GLAND_REGIONS
from ..storage.atomic import new_file
from ..training.config import TrainingConfig
from ..training.parallel import Alone
from ..training.progress import EpochFinished
from ..training.trainer import Trainer, TrainingEvent, Validate
from .events import Event, Notice, PreviewReady, Stage, StartMeasured
from .finetune_checks import check_pixels, listed
from .fingerprints import Fingerprints
from .preview import Preview
from .run_folder import (
    START_FILE,
    annotations_of,
    read_start_measures,
    write_records,
    write_start_measures,
)
from .segment_config import SegmentConfig
from .stop import StopToken
from .train_card import first_card
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
    replay : Dataset, optional
        What is not to be forgotten, mixed in.
    finetuning : bool
        Measure the start model first, keep fingerprints of the annotations, and refuse a handful
        of pixels.
    """

    dataset: Dataset
    training: Dataset
    validation: Dataset
    folder: Path
    config: TrainConfig
    resume: bool
    replay: Dataset | None = None
    finetuning: bool = False


def carry_out(
    plan: TrainPlan,
    stop: StopToken,
    replicas: Alone | None = None,
    preview: Preview | None = None,
) -> Generator[Event | TrainingEvent]:
    """Train as planned.

    Parameters
    ----------
    plan : TrainPlan
    stop : StopToken
        Counts in the process that leads.
    replicas : Alone, optional
        This process among several; alone if left out.
    preview : Preview, optional
        Asked after each epoch where to look at what the model makes of it.

    Yields
    ------
    Stage, Notice, StartMeasured, StepFinished, EpochFinished, PreviewReady, TrainingNotice
    TrainingFinished
        Those of the trainer only where this process leads.
    """
    replicas = replicas or Alone()
    # Wherever work looks whether to stop, it waits while it is paused.
    config, folder, patient = plan.config, plan.folder, stop.patient()
    start = _start(plan, replicas)
    network = _network(plan.dataset, config, start)
    training, validation = (
        _with_classes(part, network) for part in (plan.training, plan.validation)
    )
    yield Stage(f"Reading {_counted(training, 'training')} and {len(validation)} for validation")
    settings, prints = config.training, Fingerprints()
    source = _source(plan, prints.of(training) if plan.finetuning else training, network)
    yield from _remarks(plan, source, prints)
    if not source.has_classes and "classification" in settings.losses:
        yield Notice("No training image has a class: the classification loss is left out.")
        settings = without_classification(settings)
    card = first_card(plan, network, start, (training, validation), prints.digests)
    validate = _validate(validation, network, card, settings, patient) if replicas.leads else None
    if not plan.resume and replicas.leads:
        settled = config.model_dump(mode="json")
        write_records(folder, settled, training, validation, prints.digests)
    if plan.finetuning and validate is not None:
        yield from _start_measured(plan, validate, network)
    yield Stage("Preparing the network")
    trainer = Trainer(settings, network, source, card, folder, validate, replicas=replicas)
    if plan.resume:
        trainer.resume()
    if not replicas.leads:
        trainer.follow()
        return
    with _what_is_kept(folder):
        for event in trainer.run(patient):
            yield event
            if preview is not None and isinstance(event, EpochFinished):
                yield from _previewed(preview, trainer.result, card, event.epoch, patient)


@contextmanager
def _what_is_kept(folder: Path) -> Iterator[None]:
    """Say, where the disk is full or gone, that the training can be gone on with.

    Raises
    ------
    OutputNotWritableError
    """
    cure = (
        "Make room or check the drive, and go on with the training: what was learned until the end "
        "of the last epoch is kept."
    )
    try:
        yield
    except OutputNotWritableError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OutputNotWritableError(
            f"{folder} cannot be written to ({cause.strerror or cause}). {cure}"
        ) from error
    except GlandMTLError:  # some of which are errors of the system, too
        raise
    except OSError as error:
        raise OutputNotWritableError(
            f"{folder} cannot be written to ({error.strerror or error}). {cure}"
        ) from error


def _counted(part: Dataset, what: str) -> str:
    return f"1 {what} image" if len(part) == 1 else f"{len(part)} {what} images"


def _start(plan: TrainPlan, replicas: Alone) -> Model | None:
    """The model to go on from, which the run folder keeps: it may change or go meanwhile."""
    if not plan.config.start:
        return None
    kept = plan.folder / START_FILE
    if plan.resume:
        return load_model(kept if kept.is_file() else plan.config.start)
    if replicas.leads:
        with new_file(kept, overwrite=True) as partial:
            shutil.copyfile(find_model(plan.config.start), partial)
        return load_model(kept)
    return load_model(plan.config.start)


def _source(plan: TrainPlan, training: Iterable[Sample], network: GlandNetwork) -> PatchSource:
    config, hierarchy = plan.config, network.config.regions
    replay = () if plan.replay is None else _with_classes(plan.replay, network)
    source = PatchSource(
        training,
        config.training.mpp,
        hierarchy,
        config.training.seam_um,
        replay,
        config.replay_share if len(replay) else 0.0,
    )
    if plan.finetuning:
        check_pixels(source)
    return source


def _remarks(plan: TrainPlan, source: PatchSource, prints: Fingerprints) -> Iterator[Event]:
    """What the user should know of the images, now that they have been read."""
    if not plan.finetuning:
        return
    if source.skipped:
        yield Notice(f"Nothing is annotated in {listed(source.skipped)}: not learned from.")
    if len(source.codes) == 1:
        yield Notice(
            f"Only {GLAND_REGIONS.names[source.codes.pop() - 1]} is annotated. A model that is "
            "shown one kind of region alone soon finds it everywhere: annotate others, too."
        )
    before = annotations_of(plan.folder) if plan.resume else {}
    changed = [name for name, digest in before.items() if prints.digests.get(name) != digest]
    if changed:
        yield Notice(
            f"The annotation of {listed(changed)} has changed since this training began. It goes "
            "on with the new one."
        )


def _validate(
    validation: Dataset,
    network: GlandNetwork,
    card: ModelCard,
    settings: TrainingConfig,
    stop: StopToken,
) -> Validate | None:
    """What measures a network on the validation images; None if there are none."""
    if not len(validation):
        return None
    plain = SegmentConfig(flips=False, device=settings.device)
    return validator(validation, network.config.classes, card, plain, stop)


def _start_measured(
    plan: TrainPlan, validate: Validate, network: GlandNetwork
) -> Iterator[StartMeasured | Stage]:
    """Measures of the model to start from, taken once; none if stopped meanwhile."""
    yield Stage("Measuring the model to start from")
    measures = read_start_measures(plan.folder) if plan.resume else {}
    if not measures:
        measures = validate(network.eval())
        if measures:
            write_start_measures(plan.folder, measures)
    if measures:
        yield StartMeasured(measures)


def _previewed(
    preview: Preview, network: GlandNetwork, card: ModelCard, epoch: int, stop: StopToken
) -> Iterator[Event]:
    """What the model makes of the place that is looked at; no trouble there ends a training."""
    try:
        segmentation = preview.segment(network, card, stop)
    except (GlandMTLError, OSError) as error:
        yield Notice(f"There is no preview of epoch {epoch}: {error}")
        return
    if segmentation is not None:
        y0, x0 = segmentation.provenance["region"][:2]
        yield PreviewReady(epoch, segmentation, (y0, x0))


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
            dropout=config.training.dropout,
        )
    )


def _with_classes(part: Dataset, network: GlandNetwork) -> Dataset:
    """Classes as the network names them; others count as unknown."""
    return part.map_classes(network.config.classes)


def without_classification(settings: TrainingConfig) -> TrainingConfig:
    """A loss that is always 0 would only see its learned weight run to its bound."""
    losses = tuple(name for name in settings.losses if name != "classification")
    if not losses:
        raise DatasetError(
            "No training image has a class, and the classification loss is the only one chosen. "
            "Choose other losses, or give the classes in labels.csv."
        )
    if settings.weighting in ("convex", "convex_trained"):
        raise DatasetError(
            f"The convex weighting takes two losses, and only {losses[0]} would be left: the "
            "classification cannot be learned from images of one class, or of none. Choose two "
            "other losses, or another weighting."
        )
    return TrainingConfig.model_validate({**settings.model_dump(), "losses": losses})
