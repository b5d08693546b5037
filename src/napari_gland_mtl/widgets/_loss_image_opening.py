"""Opens a training image in the viewer: where it lies is looked up and read in a thread.

An annotated area is opened in “Annotate glands”, where it can be mended; any other image is shown
with its annotation. Where images were moved, the user is asked for their folder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QWidget

from ..errors import DatasetError, GlandMTLError, UnreadableImageError
from ..jobs.events import JobFailed, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._drawing_guard import DrawingGuard
from ._error_text import error_text
from ._job_bridge import JobBridge
from ._message_box import MessageBox
from ._other_docks import open_dock
from ._view import canvas_size, main_window

if TYPE_CHECKING:
    from ..annotations.area import Area
    from ..annotations.project import StoredArea
    from ..datasets import Sample
    from ..jobs.training_images import TrainingImages
    from ..regions import RegionHierarchy

logger = logging.getLogger(__name__)

OPENING = "Opening “{}”…"
CHOOSE = "Choose folder…"
BUSY = "“Annotate glands” is busy with another area. Open this image again when that is done."
ALONE = "Its slide, “{}”, is not open: what lies under it are the pixels kept with the area."


@dataclass(frozen=True, eq=False)
class SampleReady:
    """An image was read."""

    sample: Sample
    hierarchy: RegionHierarchy


@dataclass(frozen=True, eq=False)
class AreaFound:
    """The image is an annotated area."""

    project: Path
    stored: StoredArea
    area: Area


@dataclass(frozen=True)
class NotThere:
    """The image is not where it was."""

    reason: str


@dataclass(frozen=True, eq=False)
class Opened:
    """Where the images of a training are, for the next one."""

    run: Path
    images: TrainingImages


class ImageOpener(QObject):
    """Opens one image at a time and says so.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget
        The dock that asks.
    message : MessageBox
        Says how it went.
    """

    def __init__(self, viewer: Any, parent: QWidget, message: MessageBox) -> None:
        super().__init__(parent)
        self._viewer, self._widget, self._message = viewer, parent, message
        self._wanted: tuple[Path, str] | None = None
        self._known: Opened | None = None
        self._guard: DrawingGuard | None = None
        self.bridge = JobBridge(parent)
        self.bridge.event_arrived.connect(self._on_event)

    def open_image(self, run: Path, name: str, place: Path | None = None) -> None:
        """Open a training image of a run, from a folder that the user has chosen if one is given.

        Parameters
        ----------
        run : path
            The run folder.
        name : str
            Of the image, as in the run's tables.
        place : path, optional
        """
        if self.bridge.running:
            self._message.show_notice("The last image is still being opened.")
            return
        self._wanted = run, name
        known = self._known
        images = known.images if known and known.run == run and place is None else None
        self._message.show_notice(OPENING.format(name))
        self.bridge.start(_job(run, name, place, images), "gland-mtl open image")

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Opened):
            self._known = event
        elif isinstance(event, SampleReady):
            self._show(event)
        elif isinstance(event, AreaFound):
            self._annotate(event)
        elif isinstance(event, NotThere):
            self._known = None
            self._message.show_notice(event.reason, CHOOSE, self._ask)
        elif isinstance(event, JobFailed):
            self._known = None  # the files may have been mended by the next time
            if not isinstance(event.error, (GlandMTLError, OSError)):
                logger.error("The image could not be opened", exc_info=event.error)
            self._message.show_error(error_text(event.error, "The training is as it was."))

    def _ask(self) -> None:
        if self._wanted is None:
            return
        chosen = QFileDialog.getExistingDirectory(self._widget, "The folder of the training images")
        if chosen:
            self.open_image(*self._wanted, place=Path(chosen))

    def _show(self, ready: SampleReady) -> None:
        from ._training_image_layers import show_training_image

        self._guard = self._guard or DrawingGuard(self._viewer, main_window(self._widget))
        canvas = canvas_size(self._widget)
        show_training_image(self._viewer, ready.sample, canvas, ready.hierarchy)
        self._message.show_notice(
            f"“{ready.sample.name}” is in the viewer with its annotation, which is only shown: "
            "to change it, change its file."
        )

    def _annotate(self, found: AreaFound) -> None:
        """The dock opens an area by its project and key, whatever image it shows."""
        from ._annotate_list import Row
        from ._training_image_layers import show_area_image

        self._guard = self._guard or DrawingGuard(self._viewer, main_window(self._widget))
        slide = show_area_image(self._viewer, found.area)
        dock = open_dock(self._viewer, self._widget, "Annotate glands")
        if not dock.open_area_on(slide, Row(found.project, found.stored)):
            self._message.show_notice(BUSY)
            return
        under = "" if slide is not None else f" {ALONE.format(found.area.info.slide)}"
        self._message.show_notice(f"“{found.area.info.name}” is open in “Annotate glands”.{under}")


def _job(run: Path, name: str, place: Path | None, images: TrainingImages | None) -> Job:
    def job(stop: StopToken) -> Iterator[Any]:
        yield Stage("Opening")
        from ..jobs.training_images import TrainingImages

        found = images or TrainingImages(run, place)
        try:
            record = found.record(name)
        except DatasetError as error:
            yield NotThere(str(error))
            return
        yield Opened(run, found)
        if record.area is not None:
            yield _area(*record.area)
        else:
            yield SampleReady(found.sample(name), found.hierarchy)

    return job


def _area(project: Path, key: str) -> AreaFound:
    from ..annotations.project import AnnotationProject

    opened = AnnotationProject(project)
    stored = next((area for area in opened.stored() if area.key == key), None)
    if stored is None:
        raise UnreadableImageError(f"{project} has no area {key} any more: it was removed.")
    return AreaFound(project, stored, opened.load(key)[0])
