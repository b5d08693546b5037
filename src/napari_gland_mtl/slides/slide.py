"""The interface that every image has once it is open: levels, pixel size, windows of RGB.

Tissue fits on no screen and often in no memory, so pixels are read by window. A `Slide` may be
read from several threads at once; another process opens it anew by its path. A reader for a
new kind of file derives from this class, or from `TiledSlide` where the file is a grid of tiles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import InvalidInputError, MissingPixelSizeError
from .levels import Level, make_levels
from .pixel_size import UNKNOWN_PIXEL_SIZE, PixelSize, checked_mpp
from .rgb import RGB

# What one chunk of a level holds for a viewer where the file has no tiles: about a screen.
_VIEW_CHUNK = 1024
_CHECKED_SIDE = 256

Box = tuple[int, int, int, int]
"""``(y0, x0, y1, x1)`` in pixels of one level; y1 and x1 are past the end."""


class AssociatedImages(Mapping[str, RGB]):
    """Small pictures that come with a slide, each read when it is asked for.

    ``"label"`` is the photograph of the paper label, which may name the patient, ``"macro"``
    that of the whole glass, ``"thumbnail"`` the tissue made small. Others keep their names.

    Parameters
    ----------
    readers : mapping of str to callable () -> ndarray of uint8, (Y, X, 3)
    """

    def __init__(self, readers: Mapping[str, Callable[[], RGB]]) -> None:
        self._readers = dict(readers)

    def __getitem__(self, name: str) -> RGB:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def __repr__(self) -> str:
        return f"<associated images: {', '.join(self) or 'none'}>"


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
    vendor : str or None
        Who made the scanner.
    bounds : Box or None
        The part of level 0 that was scanned, where the rest is empty glass.
    associated : mapping of str to callable () -> RGB
        What reads the label, the macro photograph and the like.
    downsamples : sequence of float, optional
        Level-0 pixels per pixel of each level where the file says so itself.

    Attributes
    ----------
    levels : tuple of Level
    mpp : float or None
        Micrometres per pixel of level 0; None where unknown or implausible.
    mpp_note : str or None
        Why `mpp` is None, for the user.
    associated : Mapping of str to ndarray of uint8, (Y, X, 3)
        Read on access. The label may name the patient: show it to nobody who does not ask.
    threads : int
        How many tiles of one window may be decoded at once, 1 by default. Readers that run in
        several threads themselves leave it at 1.
    """

    def __init__(
        self,
        *,
        name: str,
        format: str,
        shapes: Sequence[tuple[int, int]],
        pixel_size: PixelSize = UNKNOWN_PIXEL_SIZE,
        path: Path | None = None,
        vendor: str | None = None,
        bounds: Box | None = None,
        associated: Mapping[str, Callable[[], RGB]] | None = None,
        downsamples: Sequence[float] | None = None,
    ) -> None:
        self.name = name
        self.format = format
        self.path = path
        self.vendor = vendor
        self.bounds = bounds
        self.associated: Mapping[str, RGB] = AssociatedImages(associated or {})
        self.threads = 1
        self._shapes = tuple(shapes)
        self._downsamples = downsamples
        self._pixel_size = pixel_size
        self._closed = False

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
        return make_levels(self._shapes, self.mpp, self._downsamples)

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
        self._pixel_size = PixelSize(checked_mpp(mpp), None)

    def read_region(
        self, level: int, y: int, x: int, height: int, width: int, out: RGB | None = None
    ) -> RGB:
        """Read a window of one level.

        Parameters
        ----------
        level : int
            Index into `levels`.
        y, x : int
            Upper left pixel of the window, in pixels of that level.
        height, width : int
            Size of the window, at least 1; it must lie inside the level.
        out : ndarray of uint8, (height, width, 3), optional
            Filled and returned, in place of a new array.

        Returns
        -------
        ndarray of uint8, (height, width, 3)
            RGB. Unless `out` was given it may share memory with the slide: copy before
            changing it.

        Raises
        ------
        InvalidInputError
            If the slide was closed, there is no such level, the window leaves it, or `out` has
            another shape or type.
        UnreadableImageError
            If the file turns out to be damaged there.
        """
        self._check_window(level, y, x, height, width)
        if out is None:
            return self._read(level, y, x, height, width)
        if out.shape != (height, width, 3) or out.dtype != "uint8":
            raise InvalidInputError(
                f"`out` must be uint8 of shape {(height, width, 3)}; it is {out.dtype} of shape "
                f"{out.shape}."
            )
        self._read_into(level, y, x, out)
        return out

    def read(self, level: int = 0) -> RGB:
        """Read a whole level, (height, width, 3); see `read_region`."""
        self._check_window(level, 0, 0, 1, 1)
        return self.read_region(level, 0, 0, *self._shapes[level])

    def announce(  # noqa: B027 - most slides have no tiles
        self, level: int, windows: Iterable[Box]
    ) -> None:
        """Say which windows of a level will be read, each once, in any order.

        A file's tile then stays decoded until the last window that needs it has been read, and
        no longer, so that a sweep over overlapping windows decodes each tile once. A new
        announcement takes the place of the one before; without one, the most recently used
        tiles are kept.

        Parameters
        ----------
        level : int
        windows : iterable of (y0, x0, y1, x1)
            In pixels of that level; parts outside of it are left out.
        """

    def check(self) -> None:
        """Look for damage where that is cheap: at the middle of every level.

        Raises
        ------
        UnreadableImageError
            If that part is damaged. A slide may still be damaged elsewhere.
        """
        for level, (height, width) in enumerate(self._shapes):
            rows, columns = min(height, _CHECKED_SIDE), min(width, _CHECKED_SIDE)
            self.read_region(level, (height - rows) // 2, (width - columns) // 2, rows, columns)

    def pyramid(self) -> list[Any]:
        """All levels as lazy arrays (Y, X, 3) of uint8, the largest first, for a viewer.

        Where the file has no level small enough for a screen, levels made from the smallest
        one follow, each half the size of the one before and computed where it is looked at:
        the first view of the whole then reads the whole file once (about a second for each 100
        million pixels).

        Returns
        -------
        list of dask.array.Array or ndarray
            They read from this slide: it must stay open as long as they are used.
        """
        from .lazy_levels import display_levels

        return [self._lazy_level(level) for level in range(len(self._shapes))] + display_levels(
            self
        )

    def _lazy_level(self, level: int) -> Any:
        from .lazy_levels import lazy_level

        return lazy_level(self, level)

    def tile_shape(self, level: int) -> tuple[int, int] | None:
        """Height and width of the tiles that a level is stored in; None where it is not."""
        return None

    def chunk_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the windows that are read fastest, for a viewer."""
        return _VIEW_CHUNK, _VIEW_CHUNK

    @abstractmethod
    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        """Read a window that is known to lie inside the level."""

    def _read_into(self, level: int, y: int, x: int, out: RGB) -> None:
        """Read a window of the size of `out` into it."""
        out[...] = self._read(level, y, x, *out.shape[:2])

    def _check_window(self, level: int, y: int, x: int, height: int, width: int) -> None:
        if self._closed:
            raise InvalidInputError(f"{self.name} was closed. Open it again to read from it.")
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

    def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        self._closed = True

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


def pixel_size(slide: Slide, mpp: float | None = None) -> float:
    """Um per pixel of the full resolution: as given, else as the file says.

    Raises
    ------
    MissingPixelSizeError
        If neither is known. It is never guessed.
    InvalidInputError
        If it is not possible.
    """
    known = slide.mpp if mpp is None else mpp
    if known is not None:
        return checked_mpp(known)
    reason = f" ({slide.mpp_note.rstrip('.')})" if slide.mpp_note else ""
    raise MissingPixelSizeError(
        f"The pixel size of {slide.name!r} is unknown{reason}. Give it in um/px with --mpp on the "
        f"command line, mpp= in Python, or the layer's scale in napari, e.g. 0.5 for a 20x scan."
    )
