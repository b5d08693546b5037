"""Tells the job where the user looks, and shows what the model in training makes of it.

The view may move at any time: the place is told anew twice a second, and each epoch's preview is
of wherever the user looked when the epoch ended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QCheckBox, QWidget

from ..errors import GlandMTLError
from ..jobs.events import PreviewReady
from . import _preview_layers
from ._view import main_window

if TYPE_CHECKING:
    from ..jobs.preview import Preview

FOLLOW_MS = 500
REMEMBERED = 60
"""Places told before; the preview of an earlier one may still be under way."""


class PreviewFollower(QObject):
    """The preview of one training at a time.

    Parameters
    ----------
    viewer : napari.Viewer
    widget : QWidget
        The dock; its window is the viewer's.
    """

    def __init__(self, viewer: Any, widget: QWidget) -> None:
        super().__init__(widget)
        self._viewer = viewer
        self._widget = widget
        self._preview: Preview | None = None
        self._tick: QCheckBox | None = None
        self._model = ""
        self._targets: deque[_preview_layers.PreviewTarget] = deque(maxlen=REMEMBERED)
        self._timer = QTimer(self)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self._look)

    def begin(self, model: str) -> Preview:
        """What the job asks after each epoch of the training of `model`."""
        from ..jobs.preview import Preview

        self._preview = Preview()
        self._model = model
        self._targets.clear()
        return self._preview

    def follow(self, tick: QCheckBox) -> None:
        """Tell where the user looks, for as long as the box is ticked."""
        self._tick = tick
        self._look()
        self._timer.start()

    def end(self) -> None:
        """The training is over; its last preview stays until the next one."""
        self._timer.stop()
        self._preview = None

    def show(self, event: PreviewReady) -> None:
        """Show what the model found, on the image that it was asked about."""
        target = self._target_of(event)
        if target is None or (self._tick is not None and not self._tick.isChecked()):
            return
        try:
            _preview_layers.show_preview(
                self._viewer, target, event.segmentation, event.offset, event.epoch, self._model
            )
        except (GlandMTLError, ValueError, MemoryError):  # a preview is not worth a training
            _preview_layers.remove_preview(self._viewer)

    def _look(self) -> None:
        if self._preview is None:
            return
        target = None
        if self._tick is not None and self._tick.isChecked():
            target = _preview_layers.target_in_view(self._viewer, main_window(self._widget))
        if target is None:
            self._preview.clear()
            return
        if not self._targets or not self._targets[-1].is_at(target) or not self._preview.wanted:
            self._targets.append(target)
            self._preview.set_target(lambda: target.source.opened(target.mpp), target.window)

    def _target_of(self, event: PreviewReady) -> _preview_layers.PreviewTarget | None:
        """The place that was told and is shown: the newest one with the preview's corner in it."""
        y, x = event.offset
        for target in reversed(self._targets):
            y0, x0, y1, x1 = target.window
            if y0 <= y < y1 and x0 <= x < x1:
                return target
        return None
