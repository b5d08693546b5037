"""What one press of a button sets going, from its job to the words at its end.

The dock starts a run, passes it the job's events in the window's thread, and shows what it says.
Each kind of run knows what becomes of its own result; none knows the dock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..jobs.events import Event
from ..jobs.runner import Job, JobStatus
from ._error_text import UNCHANGED
from ._result_text import duration_text

Offer = tuple[str, Callable[[], None]]
"""The text of a button, and what it does."""


class Run:
    """A job with its place in the window; the base of all kinds.

    Attributes
    ----------
    name : str
        Of the thread.
    first_words : str
        What is shown until the job says something.
    cancellable : bool
    image : napari.layers.Image or None
        The layer it is about; the run ends when that is removed. None if it is not needed.
    notices : list of str
        What the user should know.
    offer : tuple or None
        What the user can do about it.
    kept : str
        What a failure leaves of the viewer's layers, in words.
    share : float or None
        How much of a stage is done, 0 to 1, where it counts no tiles.
    showing : deque of iterator
        What is to be done in the window in pieces; the dock takes it from here.
    """

    name = "gland-mtl job"
    first_words = "Starting"
    cancellable = True

    def __init__(self, job: Job, image: Any = None) -> None:
        self.job = job
        self.image = image
        self.notices: list[str] = []
        self.offer: Offer | None = None
        self.kept = UNCHANGED
        self.share: float | None = None
        self.showing: deque[Iterator[None]] = deque()

    def notice(self, text: str) -> None:
        """Remember something to know, once."""
        if text not in self.notices:
            self.notices.append(text)

    def on_event(self, event: Event) -> None:
        """Do what an event asks for, in the window's thread."""

    def on_image_removed(self) -> None:
        """The layer it is about is gone, and the job was asked to stop."""
        self.notice("The image was removed, so its segmentation was stopped.")

    def on_ended(self, status: JobStatus) -> None:
        """The thread has ended."""

    def closing_words(self, status: JobStatus) -> str:
        """One sentence for the line below the buttons."""
        return f"Done after {duration_text(status.elapsed)}."


class SaveRun(Run):
    """Writes an image with its result; holds all that it needs.

    Parameters
    ----------
    job : Job
    path : Path
        The OME-Zarr that is written.
    """

    name = "gland-mtl save"
    first_words = "Writing"
    cancellable = False

    def __init__(self, job: Job, path: Path) -> None:
        super().__init__(job)
        self._path = path

    def closing_words(self, status: JobStatus) -> str:
        """Where it is."""
        return f"Saved to {self._path}"
