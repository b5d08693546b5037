"""The interface that every image has once it is open: levels, pixel size, windows of RGB.

Tissue fits on no screen and often in no memory, so pixels are read by window. A `Slide` may be
read from several threads at once. A reader for a new kind of file derives from this class, or
from `TiledSlide` where the file is a grid of tiles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import numpy as np

from ..errors import InvalidInputError
from .pixel_size import LARGEST_MPP, SMALLEST_MPP, UNKNOWN_PIXEL_SIZE, PixelSize, plausible_mpp
from .rgb import RGB

# Napari draws chunk by chunk; this is a screen's worth, and a multiple of common tiles.
_VIEW_CHUNK = 1024


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
        Level-0 pixels per pixel of this level, 1 for level 0.
    """

    height: int
    width: int
    mpp: float | None
    downsample: float


class Slide(ABC):
    """An open image of tissue; a context manager that closes the file.

    Parameters
    ----------
    name : str
        The file's name without its endings; also names the outputs.
    format : str
        The kind of file, as shown to users, e.g. ``"OME-TIFF"``.
    shapes : sequence of (height, width)
        Of each level, the largest first.
    pixel_size : PixelSize
        Of level 0.
    path : Path or None
        None for an array.

    Attributes
    ----------
    levels : tuple of Level
    mpp : float or None
        Micrometres per pixel of level 0; None where unknown or implausible.
    mpp_note : str or None
        Why `mpp` is None, for the user.
    """

    def __init__(
        self,
        *,
        name: str,
        format: str,
        shapes: Sequence[tuple[int, int]],
        pixel_size: PixelSize = UNKNOWN_PIXEL_SIZE,
        path: Path | None = None,
    ) -> None:
        self.name = name
        self.format = format
        self.path = path
        self._shapes = tuple(shapes)
        self._pixel_size = pixel_size

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel of level 0; None where unknown or implausible."""
        return self._pixel_size.mpp

    @property
    def mpp_note(self) -> str | None:
        """Why `mpp` is None, for the user."""
        return self._pixel_size.note

    @property
    def levels(self) -> tuple[Level, ...]:
        """The resolutions, the largest first."""
        height0, width0 = self._shapes[0]
        return tuple(
            _level(height, width, (height0 / height + width0 / width) / 2.0, self.mpp)
            for height, width in self._shapes
        )

    def set_mpp(self, mpp: float) -> None:
        """Let the user's pixel size take the place of the file's.

        Parameters
        ----------
        mpp : float
            Micrometres per pixel of level 0.

        Raises
        ------
        InvalidInputError
            If it is not within 0.05 to 20 um.
        """
        if plausible_mpp(mpp) is None:
            raise InvalidInputError(
                f"A pixel size of {mpp:g} um is not possible here: give micrometres per pixel, "
                f"from {SMALLEST_MPP:g} to {LARGEST_MPP:g} (a 20x scan has about 0.5)."
            )
        self._pixel_size = PixelSize(float(mpp), None)

    def read_region(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        """Read a window of one level.

        Parameters
        ----------
        level : int
            Index into `levels`.
        y, x : int
            Upper left pixel of the window, in pixels of that level.
        height, width : int
            Size of the window, at least 1; it must lie inside the level.

        Returns
        -------
        ndarray of uint8, (height, width, 3)
            RGB. It may share memory with the slide: copy before changing it.

        Raises
        ------
        InvalidInputError
            If there is no such level or the window leaves it.
        UnreadableImageError
            If the file turns out to be damaged there.
        """
        if not 0 <= level < len(self._shapes):
            raise InvalidInputError(
                f"{self.name} has levels 0 to {len(self._shapes) - 1}, not {level}."
            )
        full_height, full_width = self._shapes[level]
        inside = min(y, x) >= 0 and y + height <= full_height and x + width <= full_width
        if height < 1 or width < 1 or not inside:
            raise InvalidInputError(
                f"The window y {y} to {y + height}, x {x} to {x + width} does not lie inside level "
                f"{level} of {self.name}, which is {full_height} x {full_width} pixels."
            )
        return self._read(level, y, x, height, width)

    def read(self, level: int = 0) -> RGB:
        """Read a whole level, (height, width, 3); see `read_region`."""
        if not 0 <= level < len(self._shapes):
            return self.read_region(level, 0, 0, 1, 1)  # raises
        return self.read_region(level, 0, 0, *self._shapes[level])

    def pyramid(self) -> list[Any]:
        """All levels as lazy arrays (Y, X, 3) of uint8, the largest first, for a viewer.

        Returns
        -------
        list of dask.array.Array or ndarray
            They read from this slide: it must stay open as long as they are used.
        """
        return [self._lazy_level(level) for level in range(len(self._shapes))]

    def _lazy_level(self, level: int) -> Any:
        import dask.array as da

        def read_block(block_info: dict[Any, Any] | None = None) -> RGB:
            if not block_info:  # dask asks for an example before it knows the blocks
                return np.empty((0, 0, 0), np.uint8)
            (y0, y1), (x0, x1), _ = block_info[None]["array-location"]
            return self.read_region(level, y0, x0, y1 - y0, x1 - x0)

        chunks = (*(_chunk_sizes(size) for size in self._shapes[level]), (3,))
        # Dask would pickle the open file to make up a name; caches rely on names being unique.
        name = f"{self.name}-{level}-{uuid4().hex}"
        meta = np.empty((0, 0, 0), np.uint8)
        map_blocks: Any = da.map_blocks
        return map_blocks(read_block, chunks=chunks, dtype=np.uint8, meta=meta, name=name)

    @abstractmethod
    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        """Read a window that is known to lie inside the level."""

    def close(self) -> None:  # noqa: B027 - most slides hold nothing open
        """Close the file. Closing twice does no harm."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self._shapes[0]
        size = "unknown pixel size" if self.mpp is None else f"{self.mpp:.4g} um/px"
        return f"<{type(self).__name__} {self.name!r} {self.format} {height} x {width}, {size}>"


def _level(height: int, width: int, downsample: float, mpp: float | None) -> Level:
    return Level(height, width, None if mpp is None else mpp * downsample, downsample)


def _chunk_sizes(size: int) -> tuple[int, ...]:
    whole, rest = divmod(size, _VIEW_CHUNK)
    return (_VIEW_CHUNK,) * whole + ((rest,) if rest else ())
