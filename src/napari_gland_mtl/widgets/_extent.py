"""Which part of an image is to be segmented: all, what is in view, or a drawn rectangle.

Everything ends as a window in pixels of the image's full resolution. A view or a rectangle on
a rotated image becomes the upright box around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ._image_source import Window, image_shape

MIN_SIDE = 16


class Extent(Enum):
    """The choices, with their words in the window."""

    WHOLE = "Whole image"
    VIEW = "Current view"
    RECTANGLE = "Drawn rectangle"


def window_around(world_points: npt.ArrayLike, image: Any) -> Window:
    """The box around points of the world, in pixels of `image`, clipped to it.

    Parameters
    ----------
    world_points : array-like, (N, 2)
        (y, x) in the image layer's world units.
    image : napari.layers.Image

    Raises
    ------
    InvalidInputError
        If it lies outside the image, or next to nothing of it is left.
    """
    height, width = image_shape(image)
    points = np.array([image.world_to_data(point) for point in np.asarray(world_points, float)])
    # Pixel i reaches from i - 0.5 to i + 0.5.
    y0, x0 = (max(0, math.floor(v + 0.5 + 1e-6)) for v in points.min(axis=0))
    y1, x1 = (math.ceil(v + 0.5 - 1e-6) for v in points.max(axis=0))
    y1, x1 = min(y1, height), min(x1, width)
    if y1 <= y0 or x1 <= x0:
        raise InvalidInputError(
            f"That part lies outside “{image.name}”. Move the view or the rectangle onto it."
        )
    if min(y1 - y0, x1 - x0) < min(MIN_SIDE, height, width):
        raise InvalidInputError(
            f"That part is only {y1 - y0} x {x1 - x0} pixels. Make it at least "
            f"{MIN_SIDE} x {MIN_SIDE}."
        )
    return y0, x0, y1, x1


def view_corners(
    center: Sequence[float], zoom: float, canvas: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """World corners of what a 2-D canvas shows, (4, 2).

    Parameters
    ----------
    center : sequence of float
        The camera's centre; the last two values are (y, x) in world units.
    zoom : float
        Canvas pixels per world unit.
    canvas : tuple of int
        (height, width) of the canvas.
    """
    middle = np.asarray(center, float)[-2:]
    half = np.asarray(canvas, float) / (2 * zoom)
    corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    return np.asarray(middle + corners * half)


def rectangle_corners(shapes: Any) -> npt.NDArray[np.float64]:
    """World corners of the selected, else the last, rectangle of a shapes layer.

    Raises
    ------
    InvalidInputError
        If nothing has been drawn yet.
    """
    drawn = [i for i, kind in enumerate(shapes.shape_type) if kind in ("rectangle", "polygon")]
    if not drawn:
        raise InvalidInputError(
            f"“{shapes.name}” holds no rectangle yet. Drag one on the image, then press Run."
        )
    chosen = [i for i in drawn if i in shapes.selected_data] or drawn
    return np.array([shapes.data_to_world(point) for point in shapes.data[chosen[-1]]])
