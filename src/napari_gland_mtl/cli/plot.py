"""``gland-mtl plot``: the losses and learned weights of trainings as a figure or a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from ..errors import InvalidInputError
from .options import OverwriteOption, given

if TYPE_CHECKING:
    from ..plots import FigureOptions, FigureTheme, RunHistory


def plot(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, or names of trainings made in napari. Several are overlaid.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".png, .svg or .pdf for the figure, .csv for its numbers.",
        ),
    ],
    x: Annotated[
        str | None,
        typer.Option("--x", metavar="step|epoch", help="(default: step)", show_default=False),
    ] = None,
    smoothing: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="Losses as the mean of so many steps; 1: as they are. (default: 25)",
            show_default=False,
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic axes where they can be.")] = False,
    panels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Of losses, weighted, total, log_var, sigma, weights, shares, measures, "
            "distance, violations. (default: all)",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="The training images of one run instead, those of the largest losses first: see "
            "which annotations need another look.",
        ),
    ] = False,
    losses: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="With --images: which losses are compared. (default: all but geometry)",
            show_default=False,
        ),
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(
            metavar="loss|uncertainty",
            help="With --images: wrong annotations show in the loss; a learned uncertainty per "
            "image shows which images look unlike the others. (default: loss)",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=50,
            help="With --images: how many images the figure shows. (default: 10)",
            show_default=False,
        ),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="For a dark page.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw losses, learned weights and measures of trainings, finished or running.

    What is seen is said in words as well.
    """
    from ..plots import DARK, LIGHT, FigureOptions, in_words, write_csv, write_figure

    theme = DARK if dark else LIGHT
    if images:
        curves = given(x=x, smoothing=smoothing, log=log or None, panels=panels)
        _refuse(curves, "draws curves over steps; leave it out with --images")
        chosen = given(losses=losses and _names(losses), top=top, by=rank_by)
        _plot_images(runs, output, chosen, theme, overwrite)
        return
    only_images = given(losses=losses, top=top, rank_by=rank_by)
    _refuse(only_images, "is about images; give --images as well")
    options = FigureOptions(
        **given(smoothing=smoothing, panels=panels and _names(panels)),
        log_scale=log,
        x=cast(Literal["step", "epoch"], x or "step"),
    )
    found = [_run(run) for run in runs]
    _check_drawable(found, options)
    if output.suffix.lower() == ".csv":
        write_csv(found, output, options, overwrite)
    else:
        write_figure(found, output, options, theme, overwrite)
    for run in found:
        typer.echo(f"{run.name}: {in_words(run, options)}")
    typer.echo(f"written: {output}")


def _refuse(options: dict[str, Any], why: str) -> None:
    for name in options:
        raise InvalidInputError(f"--{name.replace('_', '-')} {why}.")


def _plot_images(
    runs: list[str],
    output: Path,
    chosen: dict[str, Any],
    theme: FigureTheme,
    overwrite: bool,
) -> None:
    """The images of one training, as the dock “Loss weights” lists them."""
    from ..plots import images_in_words, ranking_of, write_images
    from ..plots.image_figure import TOP

    if len(runs) != 1:
        raise InvalidInputError("--images draws the images of one training. Name one RUN.")
    run = _run(runs[0], with_images=True)
    write_images(run, output, **chosen, theme=theme, overwrite=overwrite)
    ranking = ranking_of(run, **{name: chosen[name] for name in chosen if name != "top"})
    typer.echo(f"{run.name}: {images_in_words(run, ranking)}")
    for place, name in enumerate(ranking.names[: chosen.get("top", TOP)]):
        typer.echo(f"  {name}: {ranking.words(place)}")
    typer.echo(f"written: {output}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _run(name: str, with_images: bool = False) -> RunHistory:
    """The history of a run folder, or of a training in the folder of runs."""
    from ..jobs.runs import runs_folder
    from ..plots import RunHistory

    path = Path(name)
    if not path.exists() and (runs_folder() / name).is_dir():
        path = runs_folder() / name
    if not path.exists():
        raise InvalidInputError(
            f"{name} does not exist, and no training in {runs_folder()} is called so. Name the "
            "run folder that 'gland-mtl train -o' or Fine-tune wrote."
        )
    return RunHistory(path, with_images=with_images).read()


def _check_drawable(runs: list[RunHistory], options: FigureOptions) -> None:
    empty = [run for run in runs if options.x not in (run.steps, run.epochs)[options.x == "epoch"]]
    if empty:
        raise InvalidInputError(
            f"{empty[0].path} has nothing to draw by {options.x}: no {options.x} is done yet. "
            "Wait a little" + (", or take --x step." if options.x == "epoch" else ".")
        )
