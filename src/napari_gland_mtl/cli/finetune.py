"""``gland-mtl finetune``: a model learns from areas annotated in napari, or from other images.

The same job with the same defaults as the dock widget; the projects that napari writes beside a
slide can be named as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from .options import (
    BatchSizeOption,
    DeviceOption,
    EpochsOption,
    LearningRateOption,
    LossesOption,
    MasksOption,
    MppOption,
    ResumeTrainingOption,
    TrainingSeedOption,
    TrainingSettingsOption,
    WeightingOption,
    given,
)
from .progress import progress_bars, stop_on_interrupt
from .train import add_settings, parse_losses, parse_validation, watch_training

if TYPE_CHECKING:
    from ..jobs.finetune_config import FinetuneConfig


def finetune(
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PROJECT|DATASET...",
            help="Annotation projects (NAME.annotations.zarr), folders of them, or folders of "
            "images and masks.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="RUN",
            help="The run folder. (default: one in the folder of all runs)",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Model to start from: its name, file or run folder. (default: glas)",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the new model, by which it is then found. (default: 'MODEL fine-tuned')",
            show_default=False,
        ),
    ] = None,
    epochs: EpochsOption = None,
    patches: Annotated[
        int | None,
        typer.Option("--patches-per-epoch", help="Drawn per epoch.", show_default=False),
    ] = None,
    learning_rate: LearningRateOption = None,
    keep: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Share of the start model in the new weights: guards against forgetting.",
            show_default=False,
        ),
    ] = None,
    freeze_encoder: Annotated[
        bool | None,
        typer.Option(
            "--freeze-encoder/--no-freeze-encoder",
            help="Whether only decoder and heads learn.",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Images of the kind that the start model knows, mixed in.",
            show_default=False,
        ),
    ] = None,
    losses: LossesOption = None,
    weighting: WeightingOption = None,
    validation_split: Annotated[
        str | None,
        typer.Option(
            "--validation-split",
            metavar="auto|none|…",
            help="What to measure on: a share (0.2), a number of areas, or names of slides or "
            "patients (a,b). (default: auto, a fifth, whole slides where there are enough)",
            show_default=False,
        ),
    ] = None,
    mpp: MppOption = None,
    masks: MasksOption = None,
    seed: TrainingSeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchSizeOption = None,
    settings: TrainingSettingsOption = None,
    resume: ResumeTrainingOption = False,
) -> None:
    """Fine-tune a model on annotated areas or images, and put it into the list of models.

    Ctrl-C stops after the step in work and keeps the best model so far; --resume goes on.
    """
    options = given(
        start=start,
        name=name,
        epochs=epochs,
        patches_per_epoch=patches,
        learning_rate=learning_rate,
        keep=keep,
        freeze_encoder=freeze_encoder,
        replay=replay,
        losses=losses and parse_losses(losses),
        weighting=weighting,
        validation=validation_split and _validation(validation_split),
        data_mpp=mpp,
        data_masks=masks,
        seed=seed,
        device=device,
        batch_size=batch_size,
    )
    add_settings(options, settings)
    if data:
        options["training_data"] = tuple(str(path.absolute()) for path in data)
    run(output, options, resume)


def run(output: Path | None, options: dict[str, Any], resume: bool) -> None:
    """Carry out a fine-tuning, new or gone on with, and tell how it goes."""
    from ..jobs.finetune import finetune_model, finetune_settings, new_model_name
    from ..jobs.finetune_config import FinetuneConfig
    from ..jobs.finetune_data import open_named
    from ..jobs.runs import new_run_folder

    if resume:
        folder, config = _resumed(output, options, finetune_settings)
    else:
        config = FinetuneConfig(**options)
        folder = output or new_run_folder(new_model_name(config))
    dataset, validation = open_named(config)
    typer.echo(dataset.description)
    with stop_on_interrupt() as stop, progress_bars() as progress:
        told = finetune_model(dataset, folder, config, stop, validation, resume)
        watch_training(_naming(folder, told), progress)


def _naming(folder: Path, events: Iterable[Any]) -> Iterator[Any]:
    """The events; the run folder is named once it is known that the training can start."""
    for number, event in enumerate(events):
        if number == 1:  # the first one comes before everything is checked
            typer.echo(f"run folder: {folder}")
        yield event


def _resumed(
    output: Path | None, options: dict[str, Any], stored: Any
) -> tuple[Path, FinetuneConfig]:
    """The folder and the settings of a run to go on with."""
    from ..jobs.finetune import MAY_CHANGE

    others: Sequence[str] = sorted(options.keys() - MAY_CHANGE)
    if output is None:
        raise InvalidInputError("Name the run folder to go on with: -o RUN --resume.")
    if others:
        raise InvalidInputError(
            "A training is resumed with the settings it was started with; leave out "
            f"{', '.join(others)}."
        )
    config: FinetuneConfig = stored(output)
    return output, config.model_copy(update=options)


def _validation(text: str) -> Any:
    """``auto``, ``none``, a share, a number, or names."""
    return text if text in ("auto", "none") else parse_validation(text)
