"""Parts of a slide that someone drew, as a mask of any window on any grid.

Shapes are polygons in level-0 pixels. They are drawn window by window and must fit together,
so the rule looks at nothing but the pixel: it belongs to a shape if its centre lies inside,
with edges decided one way only, so that shapes side by side neither overlap nor leave a gap. A
line that crosses itself encloses whatever it winds around (the non-zero rule).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ELLIPSE_POINTS = 128


@dataclass(frozen=True, eq=False)
class Areas:
    """One or more shapes on a slide; where they overlap, they count once.

    Parameters
    ----------
    polygons : sequence of array_like, (N, 2)
        Corners (y, x) in level-0 pixels, at least three each; the last is joined to the first.
        A rectangle has four.

    Raises
    ------
    InvalidInputError
        If there is no shape, or one has fewer than three corners, no extent, or a corner that
        is not a finite number.

    Examples
    --------
    >>> areas = Areas([[(0, 0), (0, 4), (4, 0)]])
    >>> areas.window(0, 0, 2, 4, scale=1.0).astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 0, 0]])
    """

    polygons: tuple[Points, ...]

    def __init__(self, polygons: Iterable[Any]) -> None:
        checked = tuple(_checked(polygon, n) for n, polygon in enumerate(polygons, 1))
        if not checked:
            raise InvalidInputError("There is no shape. Draw one, or analyse the whole slide.")
        object.__setattr__(self, "polygons", checked)

    @classmethod
    def from_rectangle(cls, y0: float, x0: float, y1: float, x1: float) -> Areas:
        """One upright rectangle, in level-0 pixels."""
        return cls([[(y0, x0), (y0, x1), (y1, x1), (y1, x0)]])

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[Sequence[float]]]) -> Areas:
        """Back from `to_lists`, as JSON holds it.

        Raises
        ------
        InvalidInputError
            If it is no list of shapes, which are lists of corners ``[y, x]``; or as above.
        """
        if not isinstance(lists, list | tuple):
            raise InvalidInputError("Areas are a list of shapes, each a list of corners [y, x].")
        return cls(lists)

    def to_lists(self) -> list[list[list[float]]]:
        """Corners ``[y, x]`` of each shape, for JSON."""
        return [polygon.tolist() for polygon in self.polygons]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``y0, x0, y1, x1`` around all shapes, level-0 pixels."""
        points = np.concatenate(self.polygons)
        (y0, x0), (y1, x1) = points.min(axis=0), points.max(axis=0)
        return float(y0), float(x0), float(y1), float(x1)

    def check_inside(self, height: int, width: int) -> None:
        """Refuse shapes that have nothing to do with a slide of this size (level-0 pixels).

        A shape may reach over the edge.

        Raises
        ------
        InvalidInputError
            If a shape lies outside the slide altogether.
        """
        for number, polygon in enumerate(self.polygons, 1):
            if not _meets(polygon, 0.0, 0.0, float(height), float(width)):
                (y0, x0), (y1, x1) = polygon.min(axis=0), polygon.max(axis=0)
                raise InvalidInputError(
                    f"Shape {number} (y {y0:g} to {y1:g}, x {x0:g} to {x1:g}) lies outside the "
                    f"slide, which has {height} x {width} pixels. Draw it on the slide, in "
                    "pixels of the full resolution."
                )

    def any_in(self, y0: float, x0: float, y1: float, x1: float) -> bool:
        """Whether a shape shares area with a window, which is given in level-0 pixels."""
        return any(_meets(polygon, y0, x0, y1, x1) for polygon in self.polygons)

    def window(self, y0: int, x0: int, y1: int, x1: int, scale: float) -> Mask:
        """Which pixels of a window belong to the shapes.

        Parameters
        ----------
        y0, x0, y1, x1 : int
            Window in pixels of a grid with the slide's origin (y1 and x1 excluded).
        scale : float
            Level-0 pixels per pixel of that grid.

        Returns
        -------
        ndarray of bool, (y1 - y0, x1 - x0)
            True where the pixel's centre lies inside a shape.
        """
        if not scale > 0:
            raise InvalidInputError(f"The scale must be above 0, got {scale}.")
        mask = np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), np.bool_)
        if not mask.size:
            return mask
        for polygon in self.polygons:
            if _meets(polygon, y0 * scale, x0 * scale, y1 * scale, x1 * scale):
                mask |= _filled(polygon, y0, x0, y1, x1, scale)
        return mask


def ellipse_outline(corners: npt.ArrayLike, points: int = _ELLIPSE_POINTS) -> Points:
    """The ellipse inside a rectangle that may be turned, as a polygon.

    Parameters
    ----------
    corners : array_like, (4, 2)
        Of the rectangle, (y, x), in order around it, as a viewer stores an ellipse.
    points : int
        Corners of the polygon.

    Returns
    -------
    ndarray of float64, (points, 2)
    """
    box = np.asarray(corners, dtype=np.float64)
    if box.shape != (4, 2):
        raise InvalidInputError(f"An ellipse is given by 4 corners (y, x), not {box.shape}.")
    centre = box.mean(axis=0)
    first, second = (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    angles = np.linspace(0, 2 * math.pi, points, endpoint=False)[:, None]
    outline: Points = centre + np.cos(angles) * first + np.sin(angles) * second
    return outline


def _checked(polygon: Any, number: int) -> Points:
    try:
        points = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise InvalidInputError(
            f"Shape {number} is no area: it needs three or more corners (y, x). Draw a polygon, "
            "a rectangle or an ellipse; lines and points enclose nothing."
        )
    if not np.isfinite(points).all():
        raise InvalidInputError(f"Shape {number} has a corner that is not a finite number.")
    edges = np.roll(points, -1, axis=0) - points
    spread = points - points[0]
    if not edges.any() or np.linalg.matrix_rank(spread) < 2:
        raise InvalidInputError(
            f"Shape {number} encloses nothing: its corners lie on one line. Draw it again."
        )
    points.setflags(write=False)
    return points


def _filled(polygon: Points, y0: int, x0: int, y1: int, x1: int, scale: float) -> Mask:
    """Winding number of each pixel's centre, from the edges that cross its row."""
    rows, crossings, turns = _row_crossings(polygon, y0, y1, scale)
    columns = np.clip(_first_pixel_at(crossings, scale), x0, x1) - x0
    width = x1 - x0 + 1
    changes = np.bincount(rows * width + columns, weights=turns, minlength=(y1 - y0) * width)
    winding = np.cumsum(changes.reshape(-1, width)[:, :-1], axis=1)
    mask: Mask = winding != 0
    return mask


def _row_crossings(
    polygon: Points, y0: int, y1: int, scale: float
) -> tuple[npt.NDArray[np.int64], Points, Points]:
    """Where edges cross the centre lines of rows: row from `y0`, x in level-0 px, direction.

    An edge has its upper end and lacks its lower one, so that each corner counts once. The
    numbers depend on the row and the edge alone, not on the window.
    """
    start, end = polygon, np.roll(polygon, -1, axis=0)
    down = start[:, 0] < end[:, 0]
    upper, lower = np.where(down[:, None], start, end), np.where(down[:, None], end, start)
    first = np.clip(_first_pixel_at(upper[:, 0], scale), y0, y1)
    last = np.clip(_first_pixel_at(lower[:, 0], scale), y0, y1)
    count = last - first
    edge = np.repeat(np.arange(len(polygon)), count)
    row = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    start, end = upper[edge], lower[edge]
    # Multiplied before divided: exact where the crossing is a number that floats can hold.
    across = ((row + 0.5) * scale - start[:, 0]) * (end[:, 1] - start[:, 1])
    x = start[:, 1] + across / (end[:, 0] - start[:, 0])
    return row - y0, x, np.where(down[edge], 1.0, -1.0)


def _first_pixel_at(position: Points, scale: float) -> npt.NDArray[np.int64]:
    """The first pixel whose centre ``(i + 0.5) * scale`` is not below `position`."""
    index = np.ceil(position / scale - 0.5)
    # The division may round the other way than the product that defines the centre.
    index -= (index - 0.5) * scale >= position
    index += (index + 0.5) * scale < position
    return index.astype(np.int64)


def _meets(polygon: Points, y0: float, x0: float, y1: float, x1: float) -> bool:
    """Whether polygon and rectangle share area: an edge runs through it, or all of it is in."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    apart = low[0] >= y1 or high[0] <= y0 or low[1] >= x1 or high[1] <= x0
    if apart or y1 <= y0 or x1 <= x0:
        return False
    if _edges_cross(polygon, (y0, x0), (y1, x1)):
        return True
    return _winds_around(polygon, (y0 + y1) / 2, (x0 + x1) / 2)


def _edges_cross(
    polygon: Points, corner: tuple[float, float], opposite: tuple[float, float]
) -> bool:
    """Whether an edge passes through the inside of a rectangle (Liang & Barsky, 1984)."""
    direction = np.roll(polygon, -1, axis=0) - polygon
    enter, leave = np.zeros(len(polygon)), np.ones(len(polygon))
    possible = np.ones(len(polygon), np.bool_)
    for axis in (0, 1):
        start, step = polygon[:, axis], direction[:, axis]
        still = step == 0
        possible &= ~still | ((start > corner[axis]) & (start < opposite[axis]))
        safe = np.where(still, 1.0, step)
        first, second = (corner[axis] - start) / safe, (opposite[axis] - start) / safe
        enter = np.where(still, enter, np.maximum(enter, np.minimum(first, second)))
        leave = np.where(still, leave, np.minimum(leave, np.maximum(first, second)))
    return bool((possible & (enter < leave)).any())


def _winds_around(polygon: Points, y: float, x: float) -> bool:
    start, end = polygon, np.roll(polygon, -1, axis=0)
    crosses = (start[:, 0] <= y) != (end[:, 0] <= y)
    start, end = start[crosses], end[crosses]
    at = start[:, 1] + (y - start[:, 0]) * (end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0])
    turns = np.where(start[:, 0] < end[:, 0], 1, -1)
    return bool(turns[at <= x].sum() != 0)
