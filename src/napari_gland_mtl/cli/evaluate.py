"""``gland-mtl evaluate``: the measures of a model, or of predictions on disk, on a data set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError, OutputNotWritableError
from ..storage.atomic import refuse_existing
from .options import (
    DeviceOption,
    DropoutSamplesOption,
    JsonFileOption,
    MasksOption,
    ModelOption,
    MppOption,
    OverwriteOption,
    QuarterTurnsOption,
    given,
)
from .progress import progress_bars, stop_on_interrupt, watch
from .run import INTERRUPTED

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..jobs.events import Event
    from ..jobs.stop import StopToken


def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of images and masks.")],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="Part of the data set: train, testA, testB (GlaS), a subfolder; or validation: "
            "the images that the run given by --model validated on.",
        ),
    ] = None,
    mpp: MppOption = None,
    masks: MasksOption = None,
    model: ModelOption = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="OUTDIR",
            help="Instead of a model: what 'segment' wrote, or label images <stem>.tif|png.",
        ),
    ] = None,
    device: DeviceOption = None,
    flips: Annotated[
        bool | None,
        typer.Option(help="Average over the four flips of every tile.", show_default="flips"),
    ] = None,
    quarter_turns: QuarterTurnsOption = None,
    dropout_samples: DropoutSamplesOption = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg|png|pdf|csv",
            help="Draw how far the model's probabilities mean what they say, or write the numbers.",
            show_default=False,
        ),
    ] = None,
    json_: JsonFileOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Measure a model, or predictions on disk, against the masks of a data set."""
    if model is not None and predictions is not None:
        raise InvalidInputError("Give either --model or --predictions, not both.")
    if json_ is not None:
        _check_writable(json_, "--json", overwrite)
    if calibration is not None:
        _check_calibration(calibration, predictions, overwrite)
    from ..datasets import open_dataset

    of_run = split in ("training", "validation")
    data = open_dataset(dataset, mpp=mpp, split=None if of_run else split, **given(masks=masks))
    if of_run:
        data = _part_of_run(data, model, split)
    typer.echo(data.description or f"{len(data)} images", err=True)
    if predictions is None and split != "validation":
        _say_what_it_was_trained_on(model)
    with stop_on_interrupt() as stop, progress_bars() as progress:
        options = given(
            model=model,
            device=device,
            flips=flips,
            quarter_turns=quarter_turns,
            dropout_samples=dropout_samples,
        )
        done = watch(_events(data, predictions, options, stop), progress, "evaluating")
    measures = {"dataset": str(dataset), "split": split, **done.measures}
    _print(measures)
    if json_ is not None:
        _write(json_, measures)
    if calibration is not None and (done.complete or measures["images"]):
        from ..plots.calibration import write_calibration

        write_calibration(measures["calibration"], calibration, overwrite)
    if not done.complete:
        typer.echo("stopped; the measures are those of the images before", err=True)
        raise typer.Exit(INTERRUPTED)


def _say_what_it_was_trained_on(model: str | None) -> None:
    from ..checkpoint import DEFAULT_MODEL, find_model, read_card

    card = read_card(find_model(model or DEFAULT_MODEL))
    typer.echo(
        f"note: {card.name} was trained on: {card.data or 'unknown images'}. Figures on images it "
        "was trained on say nothing of new ones.",
        err=True,
    )


def _part_of_run(data: Dataset, model: str | None, part: Any) -> Dataset:
    from ..jobs.run_folder import part_of_run

    if model is None:
        raise InvalidInputError(
            f"The part {part!r} is that of a run; give its folder by --model RUN."
        )
    return part_of_run(data, model, part)


def _events(
    data: Dataset, predictions: Path | None, options: dict[str, Any], stop: StopToken
) -> Iterator[Event]:
    from ..jobs.evaluate import evaluate_model, evaluate_predictions
    from ..jobs.segment_config import SegmentConfig

    if predictions is not None:
        return evaluate_predictions(data, predictions, stop)
    return evaluate_model(data, SegmentConfig(**options), stop)


def _print(measures: dict[str, Any]) -> None:
    """The measures in lines for a person; the JSON has more."""
    for name, value in measures.items():
        if name in ("per_image", "dataset", "split") or value is None:
            continue
        if name == "calibration":
            _print_calibration(value)
        elif isinstance(value, dict):
            texts = [f"{kind} {_number(number)}" for kind, number in value.items()]
            typer.echo(f"{name}: {', '.join(texts)}")
        else:
            typer.echo(f"{name}: {_number(value)}")


def _print_calibration(found: dict[str, Any]) -> None:
    for what in ("pixels", "classes"):
        if found[what] is not None:
            names = ("expected_calibration_error", "negative_log_likelihood", "brier")
            texts = [f"{name} {_number(found[what][name])}" for name in names]
            typer.echo(f"calibration_{what}: {', '.join(texts)}")
    errors = found["errors_by_uncertainty"]
    if errors is not None:
        share = errors["errors_in_most_uncertain_10_percent"]
        typer.echo(f"errors_in_most_uncertain_10_percent: {_number(share)}")


def _number(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _check_calibration(path: Path, predictions: Path | None, overwrite: bool) -> None:
    """Complain before the work about a figure that could not be made after it."""
    from ..plots.calibration import check_calibration_path

    if predictions is not None:
        raise InvalidInputError(
            "--calibration needs the probabilities of a model; predictions on disk have none. "
            "Give --model instead of --predictions."
        )
    check_calibration_path(path)
    _check_writable(path, "--calibration", overwrite)


def _check_writable(path: Path, option: str, overwrite: bool) -> None:
    """Complain about the report's place before the work, not after it."""
    if not path.parent.is_dir():
        raise OutputNotWritableError(f"There is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise OutputNotWritableError(f"{path} is a folder; {option} takes a file.")
    refuse_existing(path, overwrite)


def _write(path: Path, measures: dict[str, Any]) -> None:
    from ..checkpoint import replace_file

    replace_file(path, (json.dumps(measures, indent=2) + "\n").encode())
