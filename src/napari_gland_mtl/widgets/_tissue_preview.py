"""What will be taken for tissue, shown as a layer before anything is segmented.

The slide is read once, at low resolution, in a thread; other settings are tried on that picture.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal

from ..errors import GlandMTLError
from ..jobs.events import Event, JobFailed
from . import _layers, _slide_layers
from ._error_text import error_text
from ._image_source import image_source
from ._job_bridge import JobBridge
from ._slide_job import TissueFound, tissue_job

Settings = dict[str, Any]


class TissuePreview(QObject):
    """Computes the tissue of an image and shows it.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QObject

    Attributes
    ----------
    failed : Signal(str)
        What went wrong.
    """

    failed = Signal(str)

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Any = None
        self._key: tuple[Any, ...] = ()
        self._picture: Any = None
        self._next: tuple[Any, float, Settings] | None = None
        self.bridge = JobBridge(self)
        self.bridge.event_arrived.connect(self._on_event)
        self.bridge.ended.connect(self._on_ended)

    @property
    def running(self) -> bool:
        """Whether tissue is being looked for."""
        return self.bridge.running

    def show(self, image: Any, mpp: float, settings: Settings) -> None:
        """Look for tissue with these settings; the last of several requests counts."""
        if self.bridge.running:
            self._next = (image, mpp, settings)
            return
        try:
            source = image_source(image)
        except GlandMTLError as error:
            self.failed.emit(str(error))
            return
        key = (str(image.unique_id), mpp)
        if key != self._key:
            self._key, self._picture = key, None
        self._image = image
        self.bridge.start(tissue_job(source, mpp, settings, self._picture), "gland-mtl tissue")

    def is_shown(self, image: Any) -> bool:
        """Whether a preview of this image is in the viewer."""
        return _slide_layers.has_preview(self._viewer, image)

    def cancel(self) -> None:
        """Show nothing more."""
        self._next = self._image = None

    def _on_event(self, event: Event) -> None:
        if isinstance(event, TissueFound):
            self._picture = event.picture
            if _layers.is_open(self._viewer, self._image):
                _slide_layers.show_tissue(self._viewer, self._image, event.mask)
        elif isinstance(event, JobFailed):
            self.failed.emit(error_text(event.error))

    def _on_ended(self, status: Any) -> None:
        following, self._next = self._next, None
        if following is not None and _layers.is_open(self._viewer, following[0]):
            self.show(*following)
