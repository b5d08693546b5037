"""Keeps the window from crashing when a layer that was drawn on is taken away.

With a layer, vispy deletes its buffers in whatever OpenGL context is the current one. Between two
drawings that is Qt's and not the canvas's: other buffers than the layer's are deleted then, and
the next drawing may end the process (napari issues 6472, 7345 and 8471). So the canvas's own is
made the current one before a layer goes, whoever removes it.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget


class DrawingGuard:
    """Makes the canvas's context the current one before a layer is removed.

    Parameters
    ----------
    viewer : napari.Viewer
    window : QWidget
        The main window.
    """

    def __init__(self, viewer: Any, window: QWidget) -> None:
        # The window holds this, by ways that Python does not see: no circle may close.
        self._window = ref(window)
        viewer.layers.events.removing.connect(self._make_current)

    def _make_current(self, event: Any = None) -> None:
        window = self._window()
        for canvas in [] if window is None else window.findChildren(QOpenGLWidget):
            canvas.makeCurrent()
