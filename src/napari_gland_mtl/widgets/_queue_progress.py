"""How far a queue is: the events of a batch, drawn in the rows of its slides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..jobs.events import (
    BatchDone,
    Event,
    SlideDone,
    SlideFailed,
    SlideStarted,
    Stage,
    StoreReady,
    TileDone,
)
from ..slides.formats import slide_name
from ._run_panel import RunPanel
from ._slide_table import SlideState, SlideTable


class QueueProgress:
    """Follows one run of a queue.

    Parameters
    ----------
    table : SlideTable
    panel : RunPanel

    Attributes
    ----------
    report : Path or None
        The page of all slides, once the batch has written it.
    """

    def __init__(self, table: SlideTable, panel: RunPanel) -> None:
        self._table = table
        self._panel = panel
        self._row: int | None = None
        self._ended = 0
        self.report: Path | None = None

    def begin(self) -> None:
        """All slides wait for their turn."""
        for row in range(len(self._table.slides)):
            self._table.set_state(row, SlideState.WAITING)

    def end(self) -> None:
        """Nothing runs any more: what was running was stopped."""
        self._close_row(SlideState.STOPPED)

    def on_event(self, event: Event) -> None:
        """Draw an event."""
        if isinstance(event, SlideStarted):
            self._on_started(event)
        elif isinstance(event, SlideFailed):
            self._on_failed(event)
        elif isinstance(event, SlideDone):
            self._on_done(event)
        elif isinstance(event, StoreReady) and self._row is not None:
            self._table.slides[self._row].result = event.path
        elif isinstance(event, TileDone) and self._row is not None:
            self._on_tile(self._row, event)
        elif isinstance(event, BatchDone):
            self.report = event.report_html
        elif isinstance(event, Stage):
            self._panel.show_text(f"{self._lead()}{event.text}…")

    def closing_words(self, took: str) -> str:
        """What came of it."""
        states = [slide.state for slide in self._table.slides]
        counts = {state: states.count(state) for state in SlideState}
        words = [f"{counts[SlideState.DONE]} of {len(states)} slides are done"]
        if counts[SlideState.FAILED]:
            words.append(f"{counts[SlideState.FAILED]} failed")
        unfinished = counts[SlideState.STOPPED] + counts[SlideState.WAITING]
        if unfinished:
            words.append("press Start to go on with the rest")
        return f"Ended after {took}: {', '.join(words)}."

    def _on_started(self, event: SlideStarted) -> None:
        names = [slide_name(slide.path) for slide in self._table.slides]
        self._row = names.index(event.name) if event.name in names else None
        if self._row is not None:
            self._table.set_state(self._row, SlideState.RUNNING)
            self._table.scrollToItem(self._table.item(self._row, 0))

    def _on_tile(self, row: int, event: TileDone) -> None:
        share = event.done / max(event.total, 1)
        self._table.set_state(row, SlideState.RUNNING, f"{share:.0%}")
        slides = len(self._table.slides)
        self._panel.show_tiles(round(1000 * (self._ended + share)), 1000 * slides)
        tiles = f"{event.done:,} of {event.total:,} tiles done"
        self._panel.show_text(f"{self._lead()}{tiles}")

    def _on_done(self, event: SlideDone) -> None:
        if self._row is None:
            return
        self._table.slides[self._row].result = event.path
        if event.complete:
            self._close_row(SlideState.DONE, str(event.summary.get("statement", "")))
        else:
            self._close_row(SlideState.STOPPED, _tiles_text(event.summary))

    def _on_failed(self, event: SlideFailed) -> None:
        row = self._table.row_of(event.path)
        if row is not None:
            self._table.set_state(row, SlideState.FAILED, event.reason)
            self._ended += 1
        if row == self._row:
            self._row = None

    def _close_row(self, state: SlideState, detail: str = "") -> None:
        if self._row is not None:
            self._table.set_state(self._row, state, detail)
            self._ended += 1
        self._row = None

    def _lead(self) -> str:
        """Which slide of how many."""
        if self._row is None:
            return ""
        slides = self._table.slides
        return f"Slide {self._ended + 1} of {len(slides)}, {slides[self._row].path.name}: "


def _tiles_text(summary: dict[str, Any]) -> str:
    done, total = summary.get("tiles_done", 0), summary.get("tiles", 0)
    return f"{done:,} of {total:,} tiles are kept" if total else ""
