"""The segmentation of a field of view in memory: its result becomes layers that can be edited."""

from __future__ import annotations

from typing import Any

from ..jobs.events import Event, SegmentationDone
from ..jobs.runner import Job, JobStatus
from ..segmentation import Segmentation
from . import _layers
from ._image_source import placement_of
from ._layer_data import to_layer_data
from ._result_text import duration_text
from ._run import Run


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
        if isinstance(event, SegmentationDone):
            self._complete = event.segmentation.complete
            if _layers.is_open(self._viewer, self.image):
                self._show(event.segmentation, event.offset)

    def closing_words(self, status: JobStatus) -> str:
        """How long it took."""
        word = "Done" if self._complete else "Stopped"
        return f"{word} after {duration_text(status.elapsed)}."

    def _show(self, found: Segmentation, offset: tuple[int, int]) -> None:
        if not found.complete and not found.regions.any():
            self.notice("Stopped before the first tile was done: nothing was changed.")
            return
        data = to_layer_data(found, placement_of(self.image), offset, self._mpp)
        replaced = _layers.show_results(self._viewer, self.image, data)
        self.notices += replaced.notices
        if not found.complete and replaced.removed:
            self._offer_earlier_result(self.image, replaced.removed)

    def _offer_earlier_result(self, image: Any, layers: Any) -> None:
        """A stopped run must not cost the result that was there before it."""

        def restore() -> None:
            if _layers.is_open(self._viewer, image):
                _layers.restore_results(self._viewer, image, layers)

        self.notice("The part that was done replaced the earlier result.")
        self.offer = ("Show the earlier result again", restore)
