"""``gland-mtl train``: train or fine-tune a model on a folder of annotated images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

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

if TYPE_CHECKING:
    from ..training.progress import EpochFinished, TrainingFinished

LOSS_LETTERS = {
    "c": "classification",
    "s": "segmentation",
    "t": "topology",
    "g": "geometry",
}


def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of images and masks.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="The run folder, made if missing.")
    ],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL|default",
            help="Go on from a model: its name, file or run folder, or the default model.",
            show_default=False,
        ),
    ] = None,
    mpp: MppOption = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="S", help="Part of the data set to use: train (GlaS), a subfolder."),
    ] = None,
    masks: MasksOption = None,
    epochs: EpochsOption = None,
    losses: LossesOption = None,
    weighting: WeightingOption = None,
    validation_split: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|N|PATIENTS",
            help="To validate on: a share (0.2), a number of images (15), patients (3,5,8); 0: "
            "none.",
            show_default=False,
        ),
    ] = None,
    split_by: Annotated[
        str | None,
        typer.Option(
            metavar="auto|patient|image",
            help="What stays together. (default: auto, patients where known)",
            show_default=False,
        ),
    ] = None,
    seed: TrainingSeedOption = None,
    device: DeviceOption = None,
    devices: Annotated[
        int | None,
        typer.Option(help="How many GPUs to train on together. (default: 1)", show_default=False),
    ] = None,
    batch_size: BatchSizeOption = None,
    learning_rate: LearningRateOption = None,
    optimiser: Annotated[
        str | None, typer.Option(metavar="sgd|adamw", help="(default: adamw)", show_default=False)
    ] = None,
    settings: TrainingSettingsOption = None,
    name: Annotated[
        str | None, typer.Option(help="Of the model. (default: the run folder's)")
    ] = None,
    resume: ResumeTrainingOption = False,
) -> None:
    """Train a model on a folder of annotated images.

    RUN receives best.safetensors and last.safetensors, steps.csv, epochs.csv, the settings and
    the state to resume from. Ctrl-C stops after the step in work; --resume goes on.
    """
    options = given(
        start=start,
        losses=losses and parse_losses(losses),
        validation=validation_split and parse_validation(validation_split),
        split_by=split_by,
        split_seed=seed,
        name=name,
        epochs=epochs,
        weighting=weighting,
        seed=seed,
        device=device,
        devices=devices,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimiser=optimiser,
    )
    add_settings(options, settings)
    from ..datasets import open_dataset
    from ..jobs.direct import train_config
    from ..jobs.train import MACHINE, resumed_config, train_model

    if resume and not options.keys() <= MACHINE:
        raise InvalidInputError(
            f"A training is resumed with the settings it was started with; leave out "
            f"{', '.join(sorted(options.keys() - MACHINE))}."
        )
    config = resumed_config(output, **options) if resume else train_config(**options)
    data = open_dataset(dataset, mpp=mpp, split=split, **given(masks=masks))
    typer.echo(data.description)
    with stop_on_interrupt() as stop, progress_bars() as progress:
        watch_training(train_model(data, output, config, stop, resume), progress)


def parse_losses(text: str) -> tuple[str, ...]:
    """Names of losses from ``c,s,t,g`` or their full names."""
    return tuple(LOSS_LETTERS.get(part.strip(), part.strip()) for part in text.split(","))


def parse_validation(text: str) -> float | int | tuple[str, ...]:
    """A share (0.2), a number of images (15) or names of patients (3,5,8)."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return tuple(part.strip() for part in text.split(",") if part.strip())


def add_settings(options: dict[str, Any], settings: list[str] | None) -> None:
    """Put what ``--set`` gives among the options, in place.

    Raises
    ------
    InvalidInputError
        If it is among them already.
    """
    for name, value in parse_settings(settings or []).items():
        if name in options:
            raise InvalidInputError(f"{name} is given twice, as an option and by --set.")
        options[name] = value


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as a dict; values are JSON where they can be, else text."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInputError(f"--set takes NAME=VALUE, got {setting!r}.")
        try:
            parsed[name.strip().replace("-", "_")] = json.loads(value)
        except ValueError:
            parsed[name.strip().replace("-", "_")] = value.strip()
    return parsed


def watch_training(events: Iterable[Any], progress: Progress) -> None:
    """Draw a training: a bar of its steps, a line per epoch."""
    from ..jobs.events import ModelInstalled, Notice, Stage, StartMeasured
    from ..training.progress import (
        EpochFinished,
        StepFinished,
        TrainingFinished,
        TrainingNotice,
    )

    task = progress.add_task("training", total=None)
    for event in events:
        if isinstance(event, StepFinished):
            text = f"epoch {event.epoch}, loss {event.total:.3f}"
            progress.update(task, description=text, total=event.total_steps, completed=event.step)
        elif isinstance(event, EpochFinished):
            typer.echo(epoch_line(event))
        elif isinstance(event, StartMeasured):
            typer.echo(f"before: {in_numbers(event.measures)}")
        elif isinstance(event, Stage):
            progress.update(task, description=event.text)
        elif isinstance(event, Notice | TrainingNotice):
            typer.echo(f"note: {event.text}", err=True)
        elif isinstance(event, TrainingFinished):
            typer.echo(end_line(event))
        elif isinstance(event, ModelInstalled):
            typer.echo(f"new model {event.name!r}: {event.path}")


def epoch_line(event: EpochFinished) -> str:
    """One epoch in one line: losses, learned log-variances, measures."""
    parts = [in_numbers(values) for values in (event.losses, event.measures)]
    if event.log_vars:
        values = " ".join(f"{value:.2f}" for value in event.log_vars.values())
        parts.insert(1, f"log sigma^2 {values}")
    best = " (best so far)" if event.best and event.measures else ""
    return f"epoch {event.epoch}/{event.epochs}: {'; '.join(filter(None, parts))}{best}"


def in_numbers(values: dict[str, float]) -> str:
    """Losses or measures in one line, of those that are known."""
    known = {name: value for name, value in values.items() if not math.isnan(value)}
    return " ".join(f"{name} {value:.3f}" for name, value in known.items())


def end_line(event: TrainingFinished) -> str:
    """How a training ended, and how to go on."""
    if event.stopped:
        return f"stopped; go on with --resume. What was learned is in {event.folder}"
    return f"finished; best epoch {event.best_epoch}, weights in {event.folder}"
