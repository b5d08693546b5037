"""Draw a job's events on the terminal, and let Ctrl-C stop it at its next boundary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..jobs.events import ImageEvaluated, Notice, Stage, Started, TileDone
from ..jobs.stop import StopToken


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress bars on stderr; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield progress


@contextmanager
def above(progress: Progress) -> Iterator[None]:
    """Take the bars away while lines are printed that are to stay."""
    progress.stop()
    try:
        yield
    finally:
        progress.start()


def watch(events: Iterable[Any], progress: Progress, label: str) -> Any:
    """Draw events as they come; returns the last one, None if there was none.

    Notices become lines on stderr that stay.
    """
    task = progress.add_task(label, total=None)
    last = None
    for last in events:
        if isinstance(last, Started):
            progress.update(task, total=last.total, completed=0)
        elif isinstance(last, TileDone | ImageEvaluated):
            progress.update(task, completed=last.done)
        elif isinstance(last, Stage):
            progress.update(task, description=f"{label}: {last.text}")
        elif isinstance(last, Notice):
            with above(progress):
                typer.echo(f"note: {last.text}", err=True)
    progress.remove_task(task)
    return last


@contextmanager
def stop_on_interrupt() -> Iterator[StopToken]:
    """A token that the first Ctrl-C sets; the second one interrupts as usual."""
    token = StopToken()
    if threading.current_thread() is not threading.main_thread():
        yield token  # only the main thread may handle signals
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous)
        token.stop()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, previous)
