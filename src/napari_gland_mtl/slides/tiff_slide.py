"""A pyramid in a TIFF as a slide: tiles decoded as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffPageSeries

from .file_errors import naming_file
from .open_files import PositionalFile
from .rgb import RGB, check_full_range
from .tiff_pages import TiffLevel
from .tiff_series import pyramid_levels, significant_bits
from .tiled import TiledSlide

_PROBED_TILES = 3


class TiffSlide(TiledSlide):
    """A pyramid in a TIFF.

    Parameters
    ----------
    levels : sequence of TiffLevel
        The largest first.
    close_file : callable
    **properties
        As for `Slide`.
    """

    def __init__(
        self, levels: Sequence[TiffLevel], close_file: Callable[[], None], **properties: Any
    ) -> None:
        super().__init__(shapes=[(level.height, level.width) for level in levels], **properties)
        self._tiff_levels = tuple(levels)
        self._close_file = close_file

    def tile_shape(self, level: int) -> tuple[int, int]:
        """See `TiledSlide`."""
        return self._tiff_levels[level].tile_shape

    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        with naming_file(self.path, f"at tile {row}, {column} of level {level}"):
            return self._tiff_levels[level].tile(row, column)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._close_file()


def tissue_levels(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> list[TiffLevel]:
    """The levels of a series, checked as far as that is possible without reading all of it.

    Raises
    ------
    UnsupportedImageError
        If it is a stack, fluorescence, of an unknown kind of colour or number, or would look
        black.
    """
    levels = pyramid_levels(tif, series, file)
    if significant_bits(tif, series) is None:
        _probe_range(levels[-1])
    return levels


def _probe_range(level: TiffLevel) -> None:
    """Look at a few tiles of the smallest level for the range that is used."""
    rows, columns = level.grid
    tiles = [
        level.samples(int(row), int(column))
        for row in np.unique(np.linspace(0, rows - 1, _PROBED_TILES).astype(int))
        for column in np.unique(np.linspace(0, columns - 1, _PROBED_TILES).astype(int))
    ]
    check_full_range(max((int(tile.max()) for tile in tiles if tile is not None), default=0))
