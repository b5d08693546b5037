"""The resolutions of a slide, and how their pixels map onto one another.

The sizes of lower levels are rounded: 802 x 100,000 halved twice may be 200 x 25,000, whose
ratios are 4.01 and 4. Taking either for both axes, or their mean, would shift the far end of
the slide by many pixels; so each axis has a factor of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """One resolution of a slide.

    Attributes
    ----------
    height, width : int
        Pixels.
    mpp : float or None
        Micrometres per pixel of this level.
    downsample : float
        Level-0 pixels per pixel of this level, 1 for level 0; the mean of both axes.
    downsamples : (float, float)
        The same along y and along x: pixel i covers ``[i * d, (i + 1) * d)`` of level 0.
    """

    height: int
    width: int
    mpp: float | None
    downsample: float
    downsamples: tuple[float, float]


def make_levels(
    shapes: Sequence[tuple[int, int]],
    mpp: float | None,
    downsamples: Sequence[float] | None = None,
) -> tuple[Level, ...]:
    """The levels of a slide, the largest first.

    Parameters
    ----------
    shapes : sequence of (height, width)
    mpp : float or None
        Of level 0.
    downsamples : sequence of float, optional
        Of each level, where the file says so itself; by default `level_downsamples`.
    """
    levels = []
    for index, (height, width) in enumerate(shapes):
        if downsamples is None:
            y, x = level_downsamples(shapes[0], (height, width))
        else:
            y = x = float(downsamples[index])
        mean = (y + x) / 2.0
        levels.append(Level(height, width, None if mpp is None else mpp * mean, mean, (y, x)))
    return tuple(levels)


def level_downsamples(full: tuple[int, int], level: tuple[int, int]) -> tuple[float, float]:
    """Level-0 pixels per pixel of a level, along y and along x.

    Parameters
    ----------
    full, level : (int, int)
        Heights and widths.

    Returns
    -------
    (float, float)
        A whole number for both axes if rounding explains both sizes by it (a power of two goes
        before others): then blocks of that size were averaged, and a part of a block was
        dropped or kept at the far end. Otherwise the ratios of the sizes.

    Examples
    --------
    >>> level_downsamples((802, 100_000), (200, 25_000))
    (4.0, 4.0)
    >>> level_downsamples((802, 100_000), (321, 40_000))
    (2.498..., 2.5)
    """
    longer = 0 if full[0] >= full[1] else 1
    ratio = full[longer] / level[longer]
    for factor in (2 ** round(math.log2(ratio)) if ratio >= 1 else 0, round(ratio)):
        if factor >= 1 and all(
            size // factor <= small <= -(-size // factor)
            for size, small in zip(full, level, strict=True)
        ):
            return float(factor), float(factor)
    return full[0] / level[0], full[1] / level[1]
