"""The segmentation of a slide: its result is on disk, and shown as it grows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ..export.slide_layers import SLIDE_GLANDS, SLIDE_REGIONS, SLIDE_ROLES
from ..jobs.events import BlockDone, Event, SlideDone, StoreReady, TileFailed
from ..jobs.runner import Job, JobState, JobStatus
from . import _layers, _slide_layers
from ._live_refresh import LiveRefresh
from ._result_text import duration_text, failed_tiles_sentence
from ._run import Run
from ._slide_job import StoreLayers
from ._turns import then


class SlideRun(Run):
    """Shows a slide's labels while they are written.

    Parameters
    ----------
    job : Job
    viewer : napari.Viewer
    image : napari.layers.Image
    output : Path
        The store.
    live : LiveRefresh
    overwrites : bool
        Whether what is at `output` will be removed.
    """

    name = "gland-mtl slide"

    def __init__(
        self,
        job: Job,
        viewer: Any,
        image: Any,
        output: Path,
        live: LiveRefresh,
        overwrites: bool = False,
    ) -> None:
        super().__init__(job, image)
        self._viewer = viewer
        self._output = output
        self._live = live
        self._done: SlideDone | None = None
        self._failed: list[TileFailed] = []
        self._failed_text = ""
        self._there = False
        self._height = 1
        # Layers must not read from a folder that is being removed.
        self._hidden = _slide_layers.hide_store(viewer, output) if overwrites else {}

    def on_event(self, event: Event) -> None:
        """Show the labels, what was written of them, and what could not be read."""
        if isinstance(event, StoreReady):
            self._there = True
            self._height = event.shape[0]
            self.kept = ""  # what there is now is said at the end
        elif isinstance(event, StoreLayers):
            self._show(event)
        elif isinstance(event, BlockDone):
            self._on_block(event)
        elif isinstance(event, TileFailed):
            self._on_tile_failed(event)
        elif isinstance(event, SlideDone):
            self._done = event

    def on_image_removed(self) -> None:
        """Say that what was done is kept."""
        self.notice(
            "The image was removed, so its segmentation was stopped. What was done is kept: open "
            f"the image again to go on with {self._output.name}."
        )

    def on_ended(self, status: JobStatus) -> None:
        """Draw nothing any more; a run that failed before it began has changed nothing."""
        self._live.stop()
        if not self._there:
            _slide_layers.show_again(self._hidden)
        elif status.state is JobState.FAILED:
            self.notice(
                f"What was done before is kept in {self._output}. “Resume” goes on with it."
            )

    def closing_words(self, status: JobStatus) -> str:
        """How long it took, and how it is gone on with."""
        took = duration_text(status.elapsed)
        if self._done is not None and self._done.complete:
            return f"Done after {took}."
        if self._done is None:
            return f"Stopped after {took}."
        summary = self._done.summary
        return (
            f"Stopped after {took}: {summary.get('tiles_done', 0):,} of "
            f"{summary.get('tiles', 0):,} tiles are done and kept. Press “Resume” to go on."
        )

    def _show(self, event: StoreLayers) -> None:
        if _layers.is_open(self._viewer, self.image):
            # The others are empty until the end.
            roles = SLIDE_ROLES if self._done is not None else (SLIDE_REGIONS, SLIDE_GLANDS)
            shown: dict[str, Any] = {}
            showing = _slide_layers.show_store(
                self._viewer, self.image, event, self._hidden, roles, shown
            )
            self.showing.append(then(showing, partial(self._on_shown, shown)))
            if self._done is not None:
                self._hidden = {}

    def _on_shown(self, shown: dict[str, Any]) -> None:
        """Draw what is written from now on, and what was while the layers were made."""
        self._live.follow(shown)
        if self._done is None and shown:
            height, width = next(iter(shown.values())).level_shapes[0][:2]
            self._live.block_written((0, 0, int(height), int(width)), *shown)

    def _on_block(self, event: BlockDone) -> None:
        if not event.final:
            self._live.block_written(event.window, SLIDE_REGIONS)
            return
        self._live.block_written(event.window, SLIDE_REGIONS, SLIDE_GLANDS)
        self.share = event.window[2] / self._height  # the sweep goes from top to bottom

    def _on_tile_failed(self, event: TileFailed) -> None:
        self._failed.append(event)
        text = failed_tiles_sentence([(item.window, item.reason) for item in self._failed])
        self.notices = [item for item in self.notices if item != self._failed_text]
        self.notices.append(text)
        self._failed_text = text


class OpenRun(Run):
    """Shows a finished result of an image."""

    name = "gland-mtl open"
    first_words = "Opening the result"
    cancellable = False

    def __init__(self, job: Job, viewer: Any, image: Any) -> None:
        super().__init__(job, image)
        self._viewer = viewer

    def on_event(self, event: Event) -> None:
        """Show the layers."""
        if isinstance(event, StoreLayers) and _layers.is_open(self._viewer, self.image):
            self.showing.append(_slide_layers.show_store(self._viewer, self.image, event))

    def closing_words(self, status: JobStatus) -> str:
        """Nothing: the result says it all."""
        return ""
