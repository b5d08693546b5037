"""What all images of one call of ``gland-mtl segment`` have in common, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.progress import Progress

from .errors import BAD_INPUT

if TYPE_CHECKING:
    from ..checkpoint import Model
    from ..jobs.stop import StopToken

INTERRUPTED = 130


@dataclass(frozen=True)
class Run:
    """One call of the command.

    Attributes
    ----------
    output : Path
        The folder that everything is written to.
    model : Model
    stop : StopToken
    progress : Progress
    resume, overwrite, debug : bool
    """

    output: Path
    model: Model
    stop: StopToken
    progress: Progress
    resume: bool
    overwrite: bool
    debug: bool


@dataclass(frozen=True)
class Outcome:
    """How many images came to what.

    Attributes
    ----------
    failed : int
    fields, slides : int
        Images that are missing because the run was stopped.
    """

    failed: int = 0
    fields: int = 0
    slides: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.failed + other.failed, self.fields + other.fields, self.slides + other.slides
        )


def finish(outcome: Outcome) -> None:
    """Say what is missing, and end with the exit code that belongs to it.

    Raises
    ------
    typer.Exit
        Unless everything is done.
    """
    if outcome.fields:
        images = "1 image was" if outcome.fields == 1 else f"{outcome.fields} images were"
        typer.echo(f"stopped; {images} not written", err=True)
    if outcome.slides:
        slides = "1 slide is" if outcome.slides == 1 else f"{outcome.slides} slides are"
        typer.echo(
            f"stopped; {slides} not complete. What is done is kept: the same command with --resume "
            "goes on",
            err=True,
        )
    if outcome.fields or outcome.slides:
        raise typer.Exit(INTERRUPTED)
    if outcome.failed:
        raise typer.Exit(BAD_INPUT)
