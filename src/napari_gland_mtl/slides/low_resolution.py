"""A slide at about a given low resolution, read even where parts of the file are damaged.

Tissue is looked for at a thousandth of the pixels. They come from the pyramid level that is
just coarse enough, or block by block from a finer one, so that memory depends on the result
and not on the slide. One damaged tile must not hide the rest of the slide from the search: its
place is marked instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from .rgb import RGB
from .slide import Slide

# Whole rows of common tiles; wide, so that files stored in strips are not decoded over and over.
_BLOCK_HEIGHT, _BLOCK_WIDTH = 1024, 16384
_PIECE = 512
_TOLERANCE = 1.01


@dataclass(frozen=True, eq=False)
class LowResolution:
    """A slide at low resolution.

    Attributes
    ----------
    image : ndarray of uint8, (y, x, 3)
        RGB; white where the file could not be read.
    downsample : float
        Level-0 pixels per pixel of `image`: pixel i covers ``[i, i + 1) * downsample``.
    readable : ndarray of bool, (y, x)
        False where the file is damaged.
    """

    image: RGB
    downsample: float
    readable: npt.NDArray[np.bool_]


class _Block(NamedTuple):
    """A window of a level, in its pixels."""

    y: int
    x: int
    height: int
    width: int


def read_low_resolution(slide: Slide, finest: float, coarsest: float) -> LowResolution:
    """Reduce a slide to a small picture.

    Parameters
    ----------
    slide : Slide
    finest, coarsest : float
        Level-0 pixels per pixel that are wanted, at least and at most, 1 or more. A range, so
        that a level of the pyramid that is about right can be taken as it is; where no whole
        number of its pixels lies in the range, the picture is finer.

    Returns
    -------
    LowResolution

    Raises
    ------
    InvalidInputError
        If the range is empty or begins below 1.
    UnreadableImageError
        If nothing of the slide can be read.
    """
    if not 1 <= finest <= coarsest:
        raise InvalidInputError(
            f"A slide is only made smaller here: not {finest:g} to {coarsest:g} times."
        )
    index = _coarsest_level(slide, coarsest * _TOLERANCE)
    level = slide.levels[index]
    factor = math.ceil(finest / level.downsample / _TOLERANCE)
    factor = max(1, min(factor, int(coarsest * _TOLERANCE / level.downsample)))
    shape = (math.ceil(level.height / factor), math.ceil(level.width / factor))
    result = LowResolution(
        image=np.full((*shape, 3), 255, np.uint8),
        downsample=level.downsample * factor,
        readable=np.ones(shape, np.bool_),
    )
    failure: OSError | None = None
    for block in _blocks(level.height, level.width, factor, _BLOCK_HEIGHT, _BLOCK_WIDTH):
        try:
            _reduce_into(result.image, slide, index, block, factor)
        except OSError:
            failure = _read_piecewise(result, slide, index, block, factor) or failure
    if failure is not None and not result.readable.any():
        raise failure
    return result


def _coarsest_level(slide: Slide, largest: float) -> int:
    levels = slide.levels
    fits = [index for index, level in enumerate(levels) if level.downsample <= largest]
    return max(fits, key=lambda index: levels[index].downsample)


def _blocks(height: int, width: int, factor: int, rows: int, columns: int) -> Iterator[_Block]:
    """Windows of about rows x columns pixels that begin on multiples of `factor`."""
    step_y, step_x = (max(1, size // factor) * factor for size in (rows, columns))
    for y in range(0, height, step_y):
        for x in range(0, width, step_x):
            yield _Block(y, x, min(step_y, height - y), min(step_x, width - x))


def _reduce_into(image: RGB, slide: Slide, level: int, block: _Block, factor: int) -> None:
    """Write the means of ``factor x factor`` pixels of a block to their place in `image`."""
    pixels = slide.read_region(level, *block)
    target = _target(block, factor)
    if factor == 1:
        image[target] = pixels
        return
    rows = np.arange(0, block.height, factor)
    columns = np.arange(0, block.width, factor)
    # Row by row: sums of all pixels at once would take four times the memory of the pixels.
    bands = [pixels[y : y + factor].sum(axis=0, dtype=np.uint32) for y in rows]
    sums = np.add.reduceat(np.stack(bands), columns, axis=1)
    heights = np.diff(np.append(rows, block.height))
    widths = np.diff(np.append(columns, block.width))
    count = (heights[:, None] * widths[None, :])[:, :, None]
    image[target] = (sums + count // 2) // count


def _read_piecewise(
    result: LowResolution, slide: Slide, level: int, block: _Block, factor: int
) -> OSError | None:
    """Read what can be read of a block with a damaged place; the last error there was."""
    failure = None
    for y, x, height, width in _blocks(block.height, block.width, factor, _PIECE, _PIECE):
        piece = _Block(block.y + y, block.x + x, height, width)
        try:
            _reduce_into(result.image, slide, level, piece, factor)
        except OSError as error:
            failure = error
            result.readable[_target(piece, factor)] = False
    return failure


def _target(block: _Block, factor: int) -> tuple[slice, slice]:
    """Where a block, which begins on multiples of `factor`, lies in the picture."""
    y, x, height, width = block
    return (
        slice(y // factor, -(-(y + height) // factor)),
        slice(x // factor, -(-(x + width) // factor)),
    )
