"""Where the area around a gland lies: beside the areas that are there, as far as there is room.

What lies in two areas is taught twice, and a correction in one of them is not in the other. So a
new area moves aside, as long as its gland stays well inside, to where it covers the least of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from ._image_source import Window

Point = tuple[float, float]


def window_beside(
    centre: Point, side: int, room: float, shape: tuple[int, int], others: Iterable[Window]
) -> Window:
    """A square window that holds a point with room around it, and the least of other windows.

    Parameters
    ----------
    centre : (float, float)
        In px of the image.
    side : int
        Of the window; where the image is smaller the window is as large as that.
    room : float
        How far inside of the window the point has to stay; at most half of it.
    shape : (int, int)
        (height, width) of the image.
    others : iterable of Window

    Returns
    -------
    Window
        Among those that cover equally little, the one whose middle is nearest to the point.
    """
    sides = min(side, shape[0]), min(side, shape[1])
    middle = _clipped(centre, sides, shape)
    known = [other for other in others if _shared(_at(middle, sides, 2 * side), other)]
    rows, columns = (_places(axis, centre, sides, room, shape, middle, known) for axis in (0, 1))
    corners = np.array(list(product(rows, columns)))
    moved = np.hypot(*(corners - middle).T)
    best = np.lexsort((moved, covered(corners, sides, known)))[0]
    return _at((int(corners[best, 0]), int(corners[best, 1])), sides)


def inside(points: npt.NDArray[np.float64], window: Window) -> npt.NDArray[np.bool_]:
    """Which points, (N, 2), lie in a window."""
    y0, x0, y1, x1 = window
    y, x = points.T
    return np.asarray((y >= y0) & (y < y1) & (x >= x0) & (x < x1))


def covered(
    corners: npt.NDArray[np.int64], sides: tuple[int, int], others: Sequence[Window]
) -> npt.NDArray[np.int64]:
    """How many px of other windows windows cover that begin at corners, (N, 2)."""
    total = np.zeros(len(corners), np.int64)
    for other in others:
        first = np.maximum(corners, other[:2])
        last = np.minimum(corners + np.array(sides), other[2:])
        total += np.prod(np.clip(last - first, 0, None), axis=1)
    return total


def _places(
    axis: int,
    centre: Point,
    sides: tuple[int, int],
    room: float,
    shape: tuple[int, int],
    middle: tuple[int, int],
    others: Sequence[Window],
) -> list[int]:
    """Where the window may begin: in the middle, at the ends of its play, beside the others."""
    point, side = centre[axis], sides[axis]
    room = min(room, side / 2)
    lowest = max(min(int(np.ceil(point + room - side)), middle[axis]), 0)
    highest = min(max(int(np.floor(point - room)), middle[axis]), shape[axis] - side)
    wanted = {middle[axis], lowest, highest}
    wanted |= {other[axis] - side for other in others} | {other[axis + 2] for other in others}
    return sorted(place for place in wanted if lowest <= place <= highest)


def _clipped(centre: Point, sides: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Where a window begins that lies around a point, moved into the image."""
    y0, x0 = (
        min(max(round(float(point) - side / 2), 0), size - side)
        for point, side, size in zip(centre, sides, shape, strict=True)
    )
    return y0, x0


def _at(corner: tuple[int, int], sides: tuple[int, int], margin: int = 0) -> Window:
    y0, x0 = corner
    return y0 - margin, x0 - margin, y0 + sides[0] + margin, x0 + sides[1] + margin


def _shared(one: Window, other: Window) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
