"""The command ``gland-mtl``: a second face of the same jobs that the dock widgets run.

Each command is a thin layer: options become one configuration, the job's events become a
progress bar, its result becomes files or lines. Bad input ends with exit code 2 and one line.
"""

from __future__ import annotations

from typing import Annotated

import typer

from .errors import OneLineErrors
from .evaluate import evaluate
from .finetune import finetune
from .inspect import info, topology
from .models import models
from .plot import plot
from .segment import RepeatableRegions, segment
from .train import train

app = typer.Typer(
    name="gland-mtl",
    cls=OneLineErrors,
    help="Glands in H&E images: segment, train, evaluate, check. Research use, not a diagnosis.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error. Goes anywhere on the line."),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


app.command(cls=RepeatableRegions)(segment)
for command in (train, finetune, plot, evaluate, topology, models, info):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app(prog_name="gland-mtl")
