"""Marks of felt pens on the cover slip, as pathologists leave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INKS = {
    "blue": (40, 55, 150),
    "green": (35, 135, 85),
    "red": (205, 25, 40),
    "black": (38, 36, 38),
}
# From where to where, as shares of the slide's height and width: beside the tissue.
_STROKES = (
    ((0.06, 0.022), (0.42, 0.026)),
    ((0.975, 0.1), (0.97, 0.45)),
    ((0.5, 0.978), (0.9, 0.972)),
    ((0.024, 0.55), (0.03, 0.9)),
)
_HALF_WIDTH = 0.014


@dataclass(frozen=True)
class PenMark:
    """A straight stroke with round ends.

    Attributes
    ----------
    ink : tuple of int
        Its colour on glass.
    start, end : tuple of float
        (y, x) in level-0 px.
    half_width : float
        Level-0 px.
    """

    ink: tuple[int, int, int]
    start: tuple[float, float]
    end: tuple[float, float]
    half_width: float

    def covers(
        self, y0: int, x0: int, y1: int, x1: int, downsample: int
    ) -> npt.NDArray[np.bool_] | None:
        """Inked pixels of a window in px of a level; None where the stroke is far away."""
        edges = np.array([(y0, x0), (y1, x1)]) * downsample
        ends = np.array([self.start, self.end])
        if (ends.min(axis=0) - self.half_width >= edges[1]).any():
            return None
        if (ends.max(axis=0) + self.half_width <= edges[0]).any():
            return None
        y = ((np.arange(y0, y1) + 0.5) * downsample - ends[0, 0])[:, None]
        x = ((np.arange(x0, x1) + 0.5) * downsample - ends[0, 1])[None, :]
        along = ends[1] - ends[0]
        share = np.clip((y * along[0] + x * along[1]) / (along @ along), 0.0, 1.0)
        distance = (y - share * along[0]) ** 2 + (x - share * along[1]) ** 2
        covered: npt.NDArray[np.bool_] = distance <= self.half_width**2
        return covered


def pen_marks(colours: tuple[str, ...], height: int, width: int) -> tuple[PenMark, ...]:
    """A stroke of each colour along the sides of a slide, up to four.

    Raises
    ------
    ValueError
        For an unknown colour, or more than four.
    """
    if len(colours) > len(_STROKES) or not set(colours) <= set(INKS):
        raise ValueError(
            f"Give up to {len(_STROKES)} pens of {', '.join(INKS)}, not {', '.join(colours)}."
        )
    marks = []
    for colour, (start, end) in zip(colours, _STROKES, strict=False):
        first, last = ((y * height, x * width) for y, x in (start, end))
        marks.append(PenMark(INKS[colour], first, last, _HALF_WIDTH * min(height, width)))
    return tuple(marks)
