"""A model learns from new annotations, as a job that can be watched, paused, stopped and resumed.

A training from a start model with what makes it safe on a handful of areas: everything that would
go wrong is said before it starts, the start model is measured first, part of it is kept in the
weights, and in the end the best of them stand in the list of models under a name of their own.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from pydantic import ValidationError

from ..checkpoint import Model, find_model, load_model, read_card, replace_file
from ..datasets.dataset import Dataset
from ..devices import choose_device
from ..errors import CheckpointError, DatasetError, InvalidInputError
from ..training.config import TrainingConfig
from ..training.multi_objective import check_multi_objective
from ..training.progress import TrainingFinished
from ..training.trainer import TrainingEvent
from .events import Event, Notice, Stage
from .finetune_checks import check_images, known_classes
from .finetune_config import FinetuneConfig
from .finetune_data import open_named
from .finetune_parts import distinct, divided, same_parts, together
from .finetune_result import installed
from .models import check_models_folder, check_new_name, free_name
from .preview import Preview
from .run_folder import (
    FINETUNE_FILE,
    START_FILE,
    gone_unless_begun,
    image_names,
    prepare_folder,
    read_settings,
)
from .runs import working_in
from .stop import StopToken
from .train import opened_replay, resumed_config, with_fitting_warmup, with_start
from .train_config import TrainConfig
from .train_plan import TrainPlan, carry_out, without_classification

# Where the work is done and where the annotations lie makes it no other training.
MAY_CHANGE = {"device", "training_data", "validation_data", "data_mpp", "data_masks"}
WARMUP_PART = 10
"""Every how many-th step the log-variances are held at most, where they begin at 0."""


def finetune_model(
    dataset: Dataset | None,
    folder: Path | str,
    config: FinetuneConfig | None = None,
    stop: StopToken | None = None,
    validation: Dataset | None = None,
    resume: bool = False,
    preview: Preview | None = None,
) -> Generator[Event | TrainingEvent]:
    """Fine-tune a model; the last events are `TrainingFinished` and `ModelInstalled`.

    Parameters
    ----------
    dataset : Dataset or None
        What to learn from. None to open ``config.training_data`` (and ``validation_data``).
    folder : path
        The run folder; made if missing.
    config : FinetuneConfig, optional
        With `resume`, the run folder's own settings are used, and this must be None or equal but
        for ``device`` and where the data lie.
    stop : StopToken, optional
        Looked at before every step and during measurements. What was learned is kept, and after
        at least one epoch a stopped training, too, ends with a new model.
    validation : Dataset, optional
        What to measure on; without it, `dataset` is divided as ``config.validation`` says.
    resume : bool
        Go on with the training in `folder`, exactly where it was.
    preview : Preview, optional
        Where to look at what the model of each epoch makes of it.

    Yields
    ------
    Stage, Notice, StartMeasured, StepFinished, EpochFinished, PreviewReady, TrainingNotice
    TrainingFinished, ModelInstalled

    Raises
    ------
    DatasetError, InvalidInputError, ModelNotFoundError, CheckpointError, OutputExistsError
    DeviceNotAvailableError, MissingExtraError
        Before anything is computed: nothing or too little is annotated, an image is too coarse,
        classification is the only loss and there is one class only, the name is taken ...
    OutputNotWritableError
        If the folder, or in the end the model, cannot be written; what was learned is kept.
    NonFiniteLossError
        The last good weights are kept.
    """
    folder, stop = Path(folder), stop or StopToken()
    yield Stage("Looking at the annotations")
    if resume:
        config = _stored_settings(folder, config)
    config = config or FinetuneConfig()
    choose_device(config.device)
    check_multi_objective(config.weighting)
    if dataset is None:
        dataset, validation = open_named(config)
    prepared = _resumed if resume else _begun
    with gone_unless_begun(folder):
        plan, settled, notices = prepared(dataset, validation, folder, config)
        with (
            working_in(folder, "finetune") as mark,
            closing(carry_out(plan, stop, preview=preview)) as events,
        ):
            if not resume:
                _write_settings(folder, settled)
            yield from map(Notice, notices)
            for event in events:
                yield event
                if isinstance(event, TrainingFinished):
                    yield from installed(folder, settled.name or folder.name, event)
                    mark.ended(event.stopped)


def resume_finetuning(
    folder: Path | str, stop: StopToken | None = None, preview: Preview | None = None
) -> Generator[Event | TrainingEvent]:
    """Go on with a fine-tuning that was stopped or cut off, with the data that it names itself.

    See `finetune_model`.
    """
    yield from finetune_model(None, folder, stop=stop, resume=True, preview=preview)


def finetune_settings(folder: Path | str) -> FinetuneConfig:
    """The settings of a fine-tuning to go on with, or to look at.

    Raises
    ------
    InvalidInputError
        If there is no fine-tuning in the folder that could be resumed.
    CheckpointError
        If the settings cannot be read.
    """
    folder = Path(folder)
    read_settings(folder)
    path = folder / FINETUNE_FILE
    if not path.is_file():
        raise InvalidInputError(
            f"{folder} holds a training, but no fine-tuning. Go on with it by 'gland-mtl train "
            "--resume'."
        )
    try:
        return FinetuneConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise CheckpointError(f"The settings in {path} cannot be read: {error}") from error


def new_model_name(config: FinetuneConfig) -> str:
    """What the new model is to be called, made up from the start model's name unless given.

    Raises
    ------
    ModelNotFoundError, CheckpointError
    """
    return config.name or free_name(f"{read_card(find_model(config.start)).name} fine-tuned")


def _stored_settings(folder: Path, given: FinetuneConfig | None) -> FinetuneConfig:
    stored = finetune_settings(folder)
    if given is None:
        return stored
    moved = stored.model_copy(update=given.model_dump(include=MAY_CHANGE))
    # Before a name was made up, none was given.
    if given not in (moved, moved.model_copy(update={"name": None})):
        raise InvalidInputError(
            f"The settings differ from those of the training in {folder}. Resume without any but "
            "the device and the places of the annotations, or start a new training."
        )
    return moved


def _write_settings(folder: Path, config: FinetuneConfig) -> None:
    content = json.dumps(config.model_dump(mode="json"), indent=1)
    replace_file(folder / FINETUNE_FILE, f"{content}\n".encode())


_Prepared = tuple[TrainPlan, FinetuneConfig, list[str]]


def _begun(
    dataset: Dataset, validation: Dataset | None, folder: Path, config: FinetuneConfig
) -> _Prepared:
    """A new training, once everything that can be checked has been."""
    start = load_model(config.start)
    name = new_model_name(config)
    check_new_name(name)
    config = config.model_copy(update={"name": name})
    check_images(together(dataset, validation), start.card)
    training, measured, notice = _parts(dataset, validation, config)
    notices = [notice] if notice else []
    settings = _with_warmup(with_start(config.training_config(start.card.mpp), start.card))
    train_config = _train_config(config, settings, start, training)
    replay = opened_replay(train_config)
    dropped = _one_class_alone(settings, start, [training, *filter(None, [replay])])
    if dropped:
        settings = without_classification(settings)
        train_config = train_config.model_copy(update={"training": settings})
    check_models_folder()
    prepare_folder(folder)
    plan = _plan(training, measured, folder, train_config, replay, resume=False)
    return plan, config, [*notices, *dropped]


def _plan(
    training: Dataset,
    measured: Dataset,
    folder: Path,
    config: TrainConfig,
    replay: Dataset | None,
    resume: bool,
) -> TrainPlan:
    return TrainPlan(training, training, measured, folder, config, resume, replay, finetuning=True)


def _with_warmup(settings: TrainingConfig) -> TrainingConfig:
    """Without log-variances to go on from the warm-up would last longer than the training."""
    longest = settings.total_steps // WARMUP_PART
    steps = min(settings.log_var_warmup_steps, longest)
    return with_fitting_warmup(settings.model_copy(update={"log_var_warmup_steps": steps}))


def _parts(
    dataset: Dataset, validation: Dataset | None, config: FinetuneConfig
) -> tuple[Dataset, Dataset, str]:
    if validation is None:
        return divided(dataset, config)
    note = "" if len(validation) else "Nothing is measured: the last weights are kept."
    return dataset, distinct(dataset, validation), note


def _one_class_alone(settings: TrainingConfig, start: Model, parts: list[Dataset]) -> list[str]:
    """What to say where there is but one class: whoever learned it would find it everywhere."""
    classes = start.network.config.classes
    found = sorted({name for part in parts for name in known_classes(part.map_classes(classes))})
    if "classification" not in settings.losses or len(found) != 1:
        return []  # of none at all the images are told of once they have been read
    if settings.losses == ("classification",):
        raise DatasetError(
            f"All images to learn from are {found[0]}, and classification is the only loss chosen. "
            f"Annotate images of another class ({', '.join(classes)}), or choose other losses."
        )
    return [
        f"All images to learn from are {found[0]}: the classification loss is left out, or the "
        f"new model would call everything {found[0]}."
    ]


def _train_config(
    config: FinetuneConfig, settings: TrainingConfig, start: Model, training: Dataset
) -> TrainConfig:
    count = len(training)
    return TrainConfig(
        training=settings,
        start=str(start.path),
        name=config.name,
        validation=0,
        split_seed=config.seed,
        replay=config.replay,
        replay_share=config.replay_share,
        replay_mpp=config.replay_mpp,
        data="; ".join(filter(None, (training.description, _before(start)))),
        description=f"{start.card.name}, fine-tuned on {count} annotated image"
        f"{'' if count == 1 else 's'}.",
    )


def _before(start: Model) -> str:
    """What the start model had learned from."""
    return f"before that, as {start.card.name}: {start.card.data}" if start.card.data else ""


def _resumed(
    dataset: Dataset, validation: Dataset | None, folder: Path, config: FinetuneConfig
) -> _Prepared:
    """A training to go on with, from what its folder keeps."""
    names = image_names(folder, "training"), image_names(folder, "validation")
    training, measured = same_parts(together(dataset, validation), *names)
    train_config = resumed_config(folder, device=config.device)
    replay = opened_replay(train_config)
    plan = _plan(training, measured, folder, train_config, replay, resume=True)
    if not (folder / START_FILE).is_file():
        raise CheckpointError(
            f"{folder} has lost its {START_FILE}, the model that it started from. Start a new "
            "training."
        )
    return plan, config, []
