"""A slide's levels as arrays that are read where they are looked at, for a viewer.

A file without lower resolutions has to be read as a whole for a view of the whole. So that
this happens once, and only when such a view is wanted, levels are made from the file's own by
averaging 2 x 2 pixels, tile by tile, and the tiles are kept.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import numpy as np

from ..errors import UnreadableImageError
from .rgb import RGB
from .slide import Slide
from .tiled import TiledSlide

LARGEST_SIDE = 2048
"""Pixels of the longer side up to which a level is small enough for a screen."""
_MADE_BYTES = 256 * 2**20
_UNREADABLE_GREY = 128

logger = logging.getLogger(__name__)


class LevelArray:
    """One level as an array (Y, X, 3) of uint8 that reads what is asked for.

    On the first two axes whole numbers, slices and lists of numbers work, each on its own axis.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, slide: Slide, level: int) -> None:
        self._slide = slide
        self._level = level
        self._complained = False
        size = slide.levels[level]
        self.shape = (size.height, size.width, 3)

    def __getitem__(self, index: Any) -> Any:
        index = index if isinstance(index, tuple) else (index,)
        y, x, *rest = (*index, slice(None), slice(None))[: max(2, len(index))]
        (y0, y1, rows), (x0, x1, columns) = _span(y, self.shape[0]), _span(x, self.shape[1])
        if y0 >= y1 or x0 >= x1:
            window = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        else:
            window = self._shown(y0, x0, y1 - y0, x1 - x0)
        # One axis after the other: two lists together would mean pairs.
        chosen = window[:, columns]
        return chosen[rows][(..., *rest)]

    def _shown(self, y: int, x: int, height: int, width: int) -> RGB:
        """A window; flat grey where it is damaged, since one bad tile must not hide the slide."""
        try:
            return self._slide.read_region(self._level, y, x, height, width)
        except UnreadableImageError as error:
            if not self._complained:
                self._complained = True
                logger.warning("%s Parts that cannot be read are shown in grey.", error)
            return np.full((height, width, 3), _UNREADABLE_GREY, np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._slide.read(self._level), dtype)


def _span(index: Any, size: int) -> tuple[int, int, Any]:
    """The pixels that an index needs, as start and stop, and the index into these."""
    if not isinstance(index, int | slice):
        numbers = np.arange(size)[index]
        if numbers.size == 0:
            return 0, 0, slice(None)
        first = int(numbers.min())
        return first, int(numbers.max()) + 1, numbers - first
    chosen = range(size)[index]
    if isinstance(chosen, int):
        return chosen, chosen + 1, 0
    if len(chosen) == 0:
        return 0, 0, slice(None)
    first, last = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
    stop = None if chosen.step < 0 else last - first + 1
    return first, last + 1, slice(chosen[0] - first, stop, chosen.step)


def lazy_level(slide: Slide, level: int) -> Any:
    """A level as a dask array whose chunks suit the file."""
    import dask.array as da

    array = LevelArray(slide, level)
    height, width = slide.chunk_shape(level)
    # A hash of the pixels is out of the question; caches rely on names being unique.
    name = f"{slide.name}-{level}-{uuid4().hex}"
    from_array: Any = da.from_array
    return from_array(
        array,
        chunks=(height, width, 3),
        name=name,
        asarray=False,
        inline_array=True,
        meta=np.empty((0, 0, 0), np.uint8),
    )


def display_levels(slide: Slide) -> list[Any]:
    """Levels below the smallest one of `slide`, until one is small enough for a screen."""
    smallest = slide.levels[-1]
    if max(smallest.height, smallest.width) <= LARGEST_SIDE:
        return []
    made = MadeLevels(slide)
    return [lazy_level(made, level) for level in range(len(made.levels))]


class MadeLevels(TiledSlide):
    """The levels that a slide lacks, each averaged over 2 x 2 pixels of the one before.

    Parameters
    ----------
    slide : Slide
        Its last level is the finest that is averaged.
    """

    _keeps_whole_tiles = True

    def __init__(self, slide: Slide) -> None:
        source = slide.levels[-1]
        shapes = [(source.height, source.width)]
        while max(shapes[-1]) > LARGEST_SIDE:
            shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
        super().__init__(
            name=f"{slide.name}-made", format="made", shapes=shapes[1:], recent_bytes=_MADE_BYTES
        )
        self._slide = slide
        self._source = len(slide.levels) - 1
        self._source_shape = shapes[0]

    def tile_shape(self, level: int) -> tuple[int, int]:
        """Half of what is read at once; where rows are read whole, they are made whole."""
        height, width = self._slide.chunk_shape(self._source)
        tile = self._slide.tile_shape(self._source)
        whole_rows = tile is not None and tile[1] >= self._source_shape[1]
        return max(1, height // 2), self._shapes[level][1] if whole_rows else max(1, width // 2)

    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        height, width = self.tile_shape(level)
        y, x = 2 * row * height, 2 * column * width
        full_height, full_width = self._source_shape if level == 0 else self._shapes[level - 1]
        rows, columns = min(2 * height, full_height - y), min(2 * width, full_width - x)
        if level == 0:
            window = self._slide.read_region(self._source, y, x, rows, columns)
        else:
            window = self.read_region(level - 1, y, x, rows, columns)
        return halved(window)


def halved(image: RGB) -> RGB:
    """The means of 2 x 2 pixels; an odd last row or column is averaged with itself.

    Parameters
    ----------
    image : ndarray of uint8, (Y, X, 3)

    Returns
    -------
    ndarray of uint8, (ceil(Y / 2), ceil(X / 2), 3)
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    total = image[::2, ::2].astype(np.uint16)
    for part in (image[1::2, ::2], image[::2, 1::2], image[1::2, 1::2]):
        total += part
    total += 2
    return (total >> 2).astype(np.uint8)
