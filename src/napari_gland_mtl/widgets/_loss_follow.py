"""Reads the histories of trainings in a thread, so that no slow disk holds up the window.

The thread lists the trainings and reads what is new in those that are shown. It loads what
draws, too: the first time, matplotlib looks through all fonts of the machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GlandMTLError
from ..jobs.runner import Job
from ..plots import FigureOptions, FigureTheme, RunHistory
from ..plots.files import check_matplotlib

if TYPE_CHECKING:
    from ..jobs.runs import RunEntry
    from ..jobs.stop import StopToken

LOOK_S = 0.25
LIST_S = 2.0
SHOW_S = 0.5


@dataclass(frozen=True)
class DrawingReady:
    """Figures can be drawn from now on."""


@dataclass(frozen=True)
class RunsListed:
    """Which trainings there are, the newest first."""

    entries: tuple[RunEntry, ...]


@dataclass(frozen=True)
class RunGrew:
    """More of a training was read."""

    run: RunHistory
    first: bool = False


@dataclass(frozen=True)
class RunUnreadable:
    """A training cannot be read."""

    path: Path
    reason: str


FollowEvent = DrawingReady | RunsListed | RunGrew | RunUnreadable
Lister = Callable[[], Sequence["RunEntry"]]


@dataclass
class Wanted:
    """What the window wants to know; changed by it, looked at by the thread."""

    paths: tuple[Path, ...] = ()
    active: bool = True
    images: bool = False
    _changed: threading.Event = field(default_factory=threading.Event)

    def follow(self, paths: Sequence[Path]) -> None:
        """Read these run folders instead of others."""
        self.paths = tuple(paths)
        self._changed.set()

    def set_active(self, active: bool) -> None:
        """Whether anybody looks."""
        self.active = active
        self._changed.set()

    def set_images(self, images: bool) -> None:
        """Whether the numbers of the training images are looked at."""
        self.images = images
        self._changed.set()

    def wait(self) -> None:
        """Wait a moment, or until something else is wanted."""
        self._changed.wait(LOOK_S)
        self._changed.clear()


def follow_job(wanted: Wanted, list_runs: Lister | None = None) -> Job:
    """A job that goes on until it is stopped; its events are `FollowEvent`.

    Parameters
    ----------
    wanted : Wanted
    list_runs : callable, optional
        Lists the trainings; those in the folder of runs by default.
    """

    def job(stop: StopToken) -> Iterator[FollowEvent]:
        _load_drawing()
        yield DrawingReady()
        follower = _Follower(list_runs or _list_runs)
        while not stop.stopped:
            if wanted.active:
                yield from follower.look(wanted.paths, stop, wanted.images)
            wanted.wait()

    return job


class _Follower:
    def __init__(self, list_runs: Lister) -> None:
        self._list_runs = list_runs
        self._listed_at = float("-inf")
        self._listed: tuple[RunEntry, ...] | None = None
        self._runs: dict[Path, RunHistory | None] = {}

    def look(
        self, paths: Sequence[Path], stop: StopToken, images: bool = False
    ) -> Iterator[FollowEvent]:
        """Tell what is new, of the training images only where `images` are looked at."""
        if time.monotonic() - self._listed_at > LIST_S:
            entries = tuple(self._list_runs())
            self._listed_at = time.monotonic()
            if entries != self._listed:
                self._listed = entries
                yield RunsListed(entries)
        self._runs = {path: run for path, run in self._runs.items() if path in paths}
        for path in paths:
            yield from self._read(path, stop, images)

    def _read(self, path: Path, stop: StopToken, images: bool) -> Iterator[FollowEvent]:
        first = path not in self._runs
        try:
            if first:
                self._runs[path] = None
                self._runs[path] = RunHistory(path)
            run = self._runs[path]
            if run is not None:
                # Whoever begins to look at images is told even if there are none.
                anew = first or run.with_images != images
                run.with_images = images
                yield from self._grow(run, anew, stop)
        except (GlandMTLError, OSError) as error:
            if self._runs.get(path) is not None or first:
                self._runs[path] = None
                yield RunUnreadable(path, _reason(path, error))

    def _grow(self, run: RunHistory, first: bool, stop: StopToken) -> Iterator[FollowEvent]:
        """Read to the end; a long history is shown while it is read."""
        grew, told = run.poll() or first, time.monotonic()
        while not run.caught_up and not stop.stopped:
            grew = run.poll() or grew
            if grew and time.monotonic() - told > SHOW_S:
                yield RunGrew(run, first)
                grew, first, told = False, False, time.monotonic()
        if grew:
            yield RunGrew(run, first)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, GlandMTLError):
        return str(error)
    text = getattr(error, "strerror", None) or error
    return f"{path} cannot be read ({text}). Check the drive and tick the training again."


def _load_drawing() -> None:
    """Draw something, so that all that drawing needs is loaded, fonts included."""
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from ..plots.panel import Panel

    figure = Figure(figsize=(1, 1))
    canvas = FigureCanvasAgg(figure)
    panel = Panel(figure.add_axes((0.2, 0.2, 0.7, 0.7)), "losses")
    panel.draw([], FigureOptions(log_scale=True), FigureTheme())
    panel.axes.plot([1, 2], [1, 2], label="loaded")
    panel.axes.legend()
    canvas.draw()


def _list_runs() -> Sequence[RunEntry]:
    from ..jobs.runs import list_runs

    return list_runs()
