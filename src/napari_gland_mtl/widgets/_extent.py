"""Which part of an image is to be segmented: all, what is in view, or the drawn shapes.

Everything ends in pixels of the image's full resolution, as a window and, for shapes, as
outlines in it. A view of a rotated image becomes the upright box around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..slides.areas import ellipse_outline
from ._image_source import Window, image_shape

MIN_SIDE = 16
AREA_SHAPES = ("rectangle", "ellipse", "polygon")
"""The kinds of shapes that enclose something; lines and paths are left out."""
_NEARLY_ALL = 0.97

Points = npt.NDArray[np.float64]


class Extent(Enum):
    """The choices, with their words in the window."""

    WHOLE = "Whole image"
    VIEW = "Current view"
    SHAPES = "Drawn shapes"


@dataclass(frozen=True)
class Part:
    """What is to be segmented of an image.

    Attributes
    ----------
    pixels : int
        Px of the full resolution in the window, or in the windows of all outlines.
    window : tuple of int or None
        (y0, x0, y1, x1) around all of it; None for the whole image.
    outlines : tuple of ndarray, each (N, 2)
        Polygons of (y, x), where (0, 0) is the outer corner of the image's first pixel; they may
        reach over the image's edge. Empty where the window says it all.
    """

    pixels: int
    window: Window | None = None
    outlines: tuple[Points, ...] = ()

    @property
    def fills_window(self) -> bool:
        """Whether it is its window, and not a shape in it."""
        if self.window is None or not self.outlines:
            return True
        area = sum(_area(outline) for outline in self.outlines)
        return area > _NEARLY_ALL * _pixels(self.window)

    @property
    def polygons(self) -> tuple[Points, ...]:
        """The part as polygons; none for the whole image."""
        if self.outlines or self.window is None:
            return self.outlines
        y0, x0, y1, x1 = self.window
        return (np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)], dtype=float),)


def whole_part(image: Any) -> Part:
    """All of an image layer."""
    height, width = image_shape(image)
    return Part(height * width)


def part_around(world_points: npt.ArrayLike, image: Any) -> Part:
    """The upright box around points of the world, clipped to the image.

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
    window = window_around(world_points, image)
    return Part(_pixels(window), window)


def part_of_shapes(shapes: Any, image: Any) -> Part:
    """All rectangles, ellipses and polygons of a shapes layer, where they lie on the image.

    Raises
    ------
    InvalidInputError
        If nothing has been drawn yet, or nothing of it lies on the image.
    """
    outlines = shape_outlines(shapes)
    if not outlines:
        raise InvalidInputError(
            f"“{shapes.name}” holds no rectangle, ellipse or polygon yet. Draw one on the image."
        )
    windows = [window_around(outline, image) for outline in outlines]
    corners = np.array(windows)
    around = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    polygons = tuple(_to_pixels(outline, image) for outline in outlines)
    return Part(sum(map(_pixels, windows)), around, polygons)


def window_around(world_points: npt.ArrayLike, image: Any) -> Window:
    """The box around points of the world, in pixels of `image`, clipped to it.

    Raises
    ------
    InvalidInputError
        If it lies outside the image, or next to nothing of it is left.
    """
    height, width = image_shape(image)
    points = _to_pixels(world_points, image)
    y0, x0 = (max(0, math.floor(v + 1e-6)) for v in points.min(axis=0))
    y1, x1 = (math.ceil(v - 1e-6) for v in points.max(axis=0))
    y1, x1 = min(y1, height), min(x1, width)
    if y1 <= y0 or x1 <= x0:
        raise InvalidInputError(
            f"That part lies outside “{image.name}”. Move the view or the shape onto it."
        )
    if min(y1 - y0, x1 - x0) < min(MIN_SIDE, height, width):
        raise InvalidInputError(
            f"That part is only {y1 - y0} x {x1 - x0} pixels. Make it at least "
            f"{MIN_SIDE} x {MIN_SIDE}."
        )
    return y0, x0, y1, x1


def view_corners(center: Sequence[float], zoom: float, canvas: tuple[int, int]) -> Points:
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


def shape_outlines(shapes: Any) -> list[Points]:
    """World outlines of all shapes of a layer that enclose something."""
    if not len(shapes.data):
        return []
    to_world = _affine(shapes.data_to_world)
    return [
        to_world(ellipse_outline(points) if kind == "ellipse" else np.asarray(points, float))
        for points, kind in zip(shapes.data, shapes.shape_type, strict=True)
        if kind in AREA_SHAPES
    ]


def _to_pixels(world_points: npt.ArrayLike, image: Any) -> Points:
    """In px of the full resolution, of which pixel i reaches from i to i + 1."""
    # Napari's pixel i reaches from i - 0.5 to i + 0.5.
    return _affine(image.world_to_data)(np.asarray(world_points, float)) + 0.5


def _affine(transform: Callable[[Any], Any]) -> Callable[[Points], Points]:
    """A transform of one point as one of many: three points say what an affine map does."""
    origin = np.asarray(transform((0.0, 0.0)), float)
    axes = [np.asarray(transform(unit), float) - origin for unit in ((1.0, 0.0), (0.0, 1.0))]
    return lambda points: np.asarray(origin + points @ np.stack(axes))


def _area(polygon: Points) -> float:
    """Of a polygon that does not cross itself (shoelace formula)."""
    y, x = polygon.T
    return float(abs(np.dot(y, np.roll(x, 1)) - np.dot(x, np.roll(y, 1))) / 2)


def _pixels(window: Window) -> int:
    return (window[2] - window[0]) * (window[3] - window[1])
