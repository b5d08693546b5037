"""What a two-dimensional viewer shows, in world units: to look at something, and what is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QMainWindow, QWidget

MARGIN = 1.15


def main_window(widget: QWidget) -> QWidget:
    """The main window that a dock belongs to, even while the dock floats on its own."""
    found = widget
    while found.parentWidget() is not None and not isinstance(found, QMainWindow):
        found = found.parentWidget()
    return found


def canvas_size(widget: QWidget) -> tuple[int, int]:
    """(height, width) of the canvas of the window that `widget` is docked in."""
    window = main_window(widget)
    # The canvas fills the main window's central widget.
    canvas = window.centralWidget() if isinstance(window, QMainWindow) else window
    return canvas.height(), canvas.width()


def zoom_to(
    viewer: Any, world_points: npt.ArrayLike, canvas: tuple[int, int], margin: float = MARGIN
) -> None:
    """Bring points of the world, (N, 2), into view as large as possible.

    Parameters
    ----------
    viewer : napari.Viewer
    world_points : array-like, (N, 2)
        (y, x) in world units.
    canvas : tuple of int
        (height, width) of the canvas.
    margin : float
        How much more than the points is shown.
    """
    points = np.asarray(world_points, float)
    low, high = points.min(axis=0), points.max(axis=0)
    sides = np.maximum(high - low, 1e-9) * margin
    # The camera moved into the scene in napari 0.9.
    camera = getattr(viewer, "scene", viewer).camera
    camera.center = tuple((low + high) / 2)
    camera.zoom = float(min(canvas[0] / sides[0], canvas[1] / sides[1]))


def world_corners(layer: Any, box: tuple[float, float, float, float]) -> npt.NDArray[np.float64]:
    """Corners in the world, (4, 2), of a box (y0, x0, y1, x1) of a layer's pixels."""
    y0, x0, y1, x1 = (value - 0.5 for value in box)
    corners = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
    return np.array([layer.data_to_world(corner)[-2:] for corner in corners])
