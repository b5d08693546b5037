"""Result layers that grow while they are looked at.

Blocks of labels are written by another thread several times a second. Drawing a layer anew reads
what is in view in the window's thread, so it is done at most about once a second, only for
layers that are shown, only if a new block lies in view, and the more seldom the longer it takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from ._image_source import Window

logger = logging.getLogger(__name__)

INTERVAL_MS = 700
SHARE = 0.1
"""Of the window's time that drawing new blocks may take."""


class LiveRefresh(QObject):
    """Draws layers anew as their data is written.

    Parameters
    ----------
    parent : QObject
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._layers: dict[str, Any] = {}
        self._written: dict[str, list[Window]] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)
        self._pause_ms = INTERVAL_MS

    def follow(self, layers: Mapping[str, Any]) -> None:
        """Draw these layers, by their role, instead of others."""
        self.stop()
        self._layers = dict(layers)
        self._pause_ms = INTERVAL_MS

    def block_written(self, window: Window, *roles: str) -> None:
        """Say that a window of the layers' data was written."""
        for role in roles:
            if role in self._layers:
                self._written.setdefault(role, []).append(window)
        if self._written and not self._timer.isActive():
            self._timer.start(self._pause_ms)

    def stop(self) -> None:
        """Draw nothing any more."""
        self._timer.stop()
        self._layers = {}
        self._written = {}

    def _draw(self) -> None:
        written, self._written = self._written, {}
        began = time.perf_counter()
        for role, windows in written.items():
            layer = self._layers[role]
            # What is out of view is read when it comes into view.
            if layer.visible and any(_overlap(window, in_view(layer)) for window in windows):
                _refresh(layer)
        took_ms = 1000 * (time.perf_counter() - began)
        self._pause_ms = max(INTERVAL_MS, int(took_ms / SHARE))


def in_view(layer: Any) -> Window:
    """(y0, x0, y1, x1) of what is drawn of a layer, in px of its full resolution."""
    factors = np.asarray(layer.downsample_factors[layer.data_level]) if layer.multiscale else 1.0
    corners = np.asarray(layer.corner_pixels)  # of the level, the last pixel included
    (y0, x0), (y1, x1) = corners[0] * factors, (corners[1] + 1) * factors
    return int(y0), int(x0), int(np.ceil(y1)), int(np.ceil(x1))


def _refresh(layer: Any) -> None:
    try:
        layer.refresh(extent=False, highlight=False)
    except (OSError, ValueError, RuntimeError) as error:
        # Nothing is lost: it is drawn when the next block comes.
        logger.warning("%s could not be drawn: %s", layer.name, error)


def _overlap(first: Window, second: Window) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )
