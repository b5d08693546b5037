"""The command line's way with whole slides: a batch on this machine or on a cluster, drawn."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import Progress, TaskID

from ..errors import InvalidInputError
from .errors import say
from .progress import above
from .run import Outcome, Run

if TYPE_CHECKING:
    from ..jobs.events import BatchDone, Event, SlideDone
    from ..jobs.segment_batch import AreasOf
    from ..jobs.segment_config import SlideConfig

_TOLD = 3
"""Failed tiles of a slide that are told one by one; the summary counts all."""


def segment_slides(
    paths: Sequence[Path],
    run: Run,
    config: SlideConfig,
    areas: AreasOf,
    scheduler: str | None,
) -> Outcome:
    """Segment slides into the output folder; a slide that fails is reported, the others go on."""
    done = _Drawn(run.progress).draw(_events(paths, run, config, areas, scheduler))
    if done is None:
        return Outcome(slides=len(paths))
    with above(run.progress):
        typer.echo(f"summary of all slides: {done.summary_csv}, with pictures: {done.report_html}")
    missing = len(paths) - done.done - done.failed - done.skipped
    if missing and not run.stop.stopped:
        say(
            f"{missing} of {len(paths)} slides are not complete: tiles of them could not be read. "
            "The same command with --resume tries these again"
        )
        return Outcome(failed=done.failed + missing)
    return Outcome(failed=done.failed, slides=missing)


def _events(
    paths: Sequence[Path], run: Run, config: SlideConfig, areas: AreasOf, scheduler: str | None
) -> Generator[Event]:
    options: dict[str, Any] = {
        "stop": run.stop,
        "resume": run.resume,
        "overwrite": run.overwrite,
        "areas": areas,
        "model": run.model,
    }
    if scheduler is None:
        from ..jobs.segment_batch import segment_batch

        return segment_batch(paths, run.output, config, **options)
    from ..jobs.cluster import segment_on_cluster

    return segment_on_cluster(paths, run.output, scheduler, config, **options)


def areas_from(path: Path, slides: Sequence[Path]) -> AreasOf:
    """Areas from a GeoJSON file for all slides, or from ``NAME.geojson`` in a folder for each.

    Raises
    ------
    InvalidInputError
        If a file holds no polygon, or the folder has none for a slide.
    """
    from ..slides.formats import slide_name
    from ..slides.geojson import read_areas

    if not path.is_dir():
        return read_areas(path)
    files = {slide: path / f"{slide_name(slide)}.geojson" for slide in slides}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise InvalidInputError(
            f"There is no {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}. A folder "
            "of areas needs a file of the slide's name for each slide."
        )
    return {slide: read_areas(file) for slide, file in files.items()}


@dataclass
class _Drawn:
    """Draws a batch: a bar of tiles, lines for what has to stay on the screen."""

    progress: Progress
    label: str = "slides"
    task: TaskID | None = None
    begun: bool = False
    tiles_failed: dict[str, int] = field(default_factory=dict)

    def draw(self, events: Generator[Event]) -> BatchDone | None:
        """Draw events as they come, and return the last one."""
        from ..jobs.events import BatchDone

        self.task = self.progress.add_task(self.label, total=None)
        last = None
        with closing(events):  # so that its threads and workers end before anything else
            for event in events:
                self._draw(event)
                last = event if isinstance(event, BatchDone) else last
        self.progress.remove_task(self.task)
        return last

    def _draw(self, event: Any) -> None:
        from ..jobs import events as e

        match event:
            case e.SlideStarted():
                count = f" ({event.index}/{event.total})" if event.total > 1 else ""
                self.label = f"{event.name}{count}"
                self._update(description=self.label, total=None, completed=0)
            case e.Stage():
                self._update(description=f"{self.label}: {event.text}")
            case e.Started():
                self.begun = False
                self._update(total=event.total, completed=0)
            case e.TileDone():
                self._advance(event.done, event.total)
            case e.Notice() | e.TileFailed() | e.SlideDone() | e.SlideFailed():
                with above(self.progress):
                    self._tell(event)

    def _tell(self, event: Any) -> None:
        """Print what has to stay on the screen."""
        from ..jobs import events as e

        match event:
            case e.Notice():
                typer.echo(f"note: {event.text}", err=True)
            case e.TileFailed():
                self._tile_failed(event.reason)
            case e.SlideDone():
                typer.echo(f"{_name(event.path)}: {slide_line(event)} -> {event.path}")
            case e.SlideFailed():
                about = f"{event.path}: " if event.path.name not in event.reason else ""
                say(f"{about}{event.reason}")

    def _update(self, **changes: Any) -> None:
        if self.task is not None:
            self.progress.update(self.task, **changes)

    def _advance(self, done: int, total: int) -> None:
        """Move the bar; what an earlier run has done says nothing of this one's speed."""
        if self.task is not None and not self.begun:
            self.progress.reset(self.task, total=total, completed=done)
            self.begun = True
        self._update(total=total, completed=done)

    def _tile_failed(self, reason: str) -> None:
        count = self.tiles_failed[self.label] = self.tiles_failed.get(self.label, 0) + 1
        if count <= _TOLD:
            typer.echo(f"note: {self.label}: a tile is left unannotated: {reason}", err=True)
        elif count == _TOLD + 1:
            typer.echo(f"note: {self.label}: more tiles are left unannotated", err=True)


def slide_line(event: SlideDone) -> str:
    """What was found on a slide, in one line for the user."""
    from ..jobs.batch_folder import unread_words
    from ..segmentation import TopologyViolations

    summary = event.summary
    parts = [str(summary.get("statement", "Nothing was labelled yet."))]
    if "violations" in summary:
        before, after = (
            TopologyViolations(**summary[name]).total for name in ("violations_raw", "violations")
        )
        parts.append(f"Topology violations {before} before repair, {after} after.")
    done, failed = (summary.get(name) or 0 for name in ("tiles_done", "tiles_failed"))
    if failed:
        parts.append(unread_words(summary))
    if not event.complete and not (failed and done + failed >= summary["tiles"]):
        parts.append(f"Stopped after {done} of {summary.get('tiles')} tiles.")
    return " ".join(parts)


def _name(path: Path) -> str:
    from ..slides.formats import slide_name

    return slide_name(path)
