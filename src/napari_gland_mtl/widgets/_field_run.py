"""The segmentation of a field of view in memory: its result becomes layers that can be edited."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..export.layers import LayerData
from ..jobs.events import Event
from ..jobs.runner import Job, JobStatus
from . import _layers
from ._image_source import placement_of
from ._layer_data import to_layer_data
from ._result_showing import Shown, show_results
from ._result_text import duration_text
from ._run import Run
from ._segment_job import FieldFound
from ._turns import at_once, then


class FieldRun(Run):
    """Shows the segmentation of a part of an image, instead of the one before.

    Parameters
    ----------
    job : Job
    viewer : napari.Viewer
    image : napari.layers.Image
    mpp : float
        Um per pixel of the image.
    """

    name = "gland-mtl segment"

    def __init__(self, job: Job, viewer: Any, image: Any, mpp: float) -> None:
        super().__init__(job, image)
        self._viewer = viewer
        self._mpp = mpp
        self._complete = False

    def on_event(self, event: Event) -> None:
        """Show the result."""
        if isinstance(event, FieldFound):
            self._complete = event.segmentation.complete
            if _layers.is_open(self._viewer, self.image):
                self._show(event)

    def closing_words(self, status: JobStatus) -> str:
        """How long it took."""
        word = "Done" if self._complete else "Stopped"
        return f"{word} after {duration_text(status.elapsed)}."

    def _show(self, event: FieldFound) -> None:
        found = event.segmentation
        if not found.complete and not found.regions.any():
            self.notice("Stopped before the first tile was done: nothing was changed.")
            return
        place = placement_of(self.image)
        data = to_layer_data(found, place, event.offset, self._mpp, event.fingerprints)
        shown = Shown()
        showing = show_results(self._viewer, self.image, data, shown, event.outlines)
        self.showing.append(then(showing, partial(self._on_shown, shown)))

    def _on_shown(self, shown: Shown) -> None:
        self.notices += shown.notices
        if not self._complete and shown.earlier:
            self._offer_earlier_result(self.image, shown.earlier)

    def _offer_earlier_result(self, image: Any, earlier: Sequence[LayerData]) -> None:
        """A stopped run must not cost the result that was there before it."""

        def restore() -> None:
            if _layers.is_open(self._viewer, image):
                at_once(show_results(self._viewer, image, earlier))

        self.notice("The part that was done replaced the earlier result.")
        self.offer = ("Show the earlier result again", restore)
