"""One page of a TIFF as a grid of tiles: where their bytes are, and how they are decoded.

Files come tiled, in strips, or as one uncompressed block; with the channels side by side, in
separate planes or on separate pages. A `Plane` hides that: it gives the samples of one tile,
(Y, X, C), reading no byte of another. tifffile knows the formats and decodes; reading is done
here by position, so that threads do not wait for one another's file pointer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tifffile import COMPRESSION, TiffPage

from ..errors import UnreadableImageError, UnsupportedImageError
from .jpeg2000 import decode_jpeg2000
from .open_files import PositionalFile
from .rgb import RGB
from .tiff_colors import JPEG_2000, Converter, Samples

Decoder = Callable[[bytes, int], Samples | None]

_BAND_BYTES = 4 * 2**20
_WIDEST_BAND = 4096
_BLOCK = (512, 1024)
_LARGEST_SEGMENT = 2 * 2**30


class Plane(Protocol):
    """The samples of an image, by tile.

    Attributes
    ----------
    tile_shape : (int, int)
    empty : bool
        Whether every tile was left empty.
    """

    tile_shape: tuple[int, int]
    empty: bool

    def read(self, row: int, column: int) -> Samples | None:
        """The samples (Y, X, C) of one tile, cut to the image; None for a tile left empty."""


@dataclass(frozen=True)
class TiffLevel:
    """One resolution: its size, its planes of samples and how they become RGB."""

    height: int
    width: int
    planes: tuple[Plane, ...]
    convert: Converter

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of the tiles."""
        return self.planes[0].tile_shape

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        height, width = self.tile_shape
        return -(-self.height // height), -(-self.width // width)

    def samples(self, row: int, column: int) -> Samples | None:
        """All channels of one tile, (Y, X, C); None where the scanner left it out."""
        parts = [plane.read(row, column) for plane in self.planes]
        samples = [part for part in parts if part is not None]
        if len(samples) < len(parts):
            return None
        return samples[0] if len(samples) == 1 else np.concatenate(samples, axis=2)

    def tile(self, row: int, column: int) -> RGB:
        """One tile, cut to the level; white where the scanner left it out."""
        samples = self.samples(row, column)
        if samples is not None:
            return np.ascontiguousarray(self.convert(samples))
        height, width = self.tile_shape
        rows = min(height, self.height - row * height)
        return np.full((rows, min(width, self.width - column * width), 3), 255, np.uint8)

    def whole(self) -> RGB:
        """All of a level that is known to be small."""
        rows, columns = self.grid
        return np.concatenate(
            [
                np.concatenate([self.tile(row, column) for column in range(columns)], axis=1)
                for row in range(rows)
            ]
        )


class SegmentedPlane:
    """A page in tiles or strips, compressed or not.

    Parameters
    ----------
    page : TiffPage
        Gives sizes and the decoder.
    frame : TiffPage or TiffFrame
        Gives the places in the file; it may share the decoder of `page`.
    file : PositionalFile
    """

    def __init__(self, page: TiffPage, frame: Any, file: PositionalFile) -> None:
        self.tile_shape = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (min(page.rowsperstrip, page.imagelength), page.imagewidth)
        )
        self._shape = (page.imagelength, page.imagewidth)
        self._columns = -(-page.imagewidth // self.tile_shape[1])
        self._per_plane = -(-page.imagelength // self.tile_shape[0]) * self._columns
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        # As arrays: a slide may have a million tiles, and as many Python integers.
        self._offsets = _places(frame.dataoffsets)
        self._counts = _places(frame.databytecounts)
        self._decode = _decoder(page, frame)
        self._file = file
        self.empty = not np.any(self._counts)
        self._check_segments(page)

    def _check_segments(self, page: TiffPage) -> None:
        listed, wanted = min(len(self._offsets), len(self._counts)), self._planes * self._per_plane
        if listed < wanted:
            raise UnreadableImageError(f"{listed} of {wanted} tiles are listed")
        if int((self._offsets[:listed] + self._counts[:listed]).max()) > self._file.size:
            raise UnreadableImageError(
                f"it ends after {self._file.size} bytes, before its last pixels"
            )
        samples = page.samplesperpixel if self._planes == 1 else 1
        size = self.tile_shape[0] * self.tile_shape[1] * samples * max(1, page.bitspersample // 8)
        if size > _LARGEST_SEGMENT:
            raise UnsupportedImageError(
                f"is compressed as one block of {size / 2**30:.0f} GB, which can only be decoded "
                "as a whole. Save it as a tiled TIFF or OME-Zarr."
            )

    def read(self, row: int, column: int) -> Samples | None:
        """See `Plane`."""
        index = row * self._columns + column
        if self._planes == 1:
            return self._segment(index, row, column)
        parts = [
            self._segment(index + plane * self._per_plane, row, column)
            for plane in range(self._planes)
        ]
        samples = [part for part in parts if part is not None]
        return np.concatenate(samples, axis=2) if len(samples) == len(parts) else None

    def _segment(self, index: int, row: int, column: int) -> Samples | None:
        offset, count = int(self._offsets[index]), int(self._counts[index])
        if not (offset and count):
            return None
        segment = self._decode(self._file.read(offset, count), index)
        if segment is None:
            return None
        height, width = self._shape
        y, x = row * self.tile_shape[0], column * self.tile_shape[1]
        return segment[: height - y, : width - x]


class ContiguousPlane:
    """Uncompressed rows without gaps, as most software writes them: one huge strip.

    Read in bands of rows of about 4 MiB, or in blocks where rows are very long: the strip
    would be the whole image.

    Parameters
    ----------
    offset : int
        Of the first sample in the file.
    shape : (height, width, channels)
    dtype : dtype
        With the file's byte order.
    file : PositionalFile
    """

    empty = False

    def __init__(
        self, offset: int, shape: tuple[int, int, int], dtype: np.dtype[Any], file: PositionalFile
    ) -> None:
        self._offset = offset
        self._shape = shape
        self._dtype = dtype
        self._file = file
        self._pixel_bytes = shape[2] * dtype.itemsize
        self._row_bytes = shape[1] * self._pixel_bytes
        band = max(1, min(shape[0], _BAND_BYTES // self._row_bytes))
        self.tile_shape = (band, shape[1]) if shape[1] <= _WIDEST_BAND else _BLOCK
        if offset + shape[0] * self._row_bytes > file.size:
            raise UnreadableImageError(f"it ends after {file.size} bytes, before its last pixels")

    def read(self, row: int, column: int) -> Samples | None:
        """See `Plane`."""
        y, x = row * self.tile_shape[0], column * self.tile_shape[1]
        height = min(self.tile_shape[0], self._shape[0] - y)
        width = min(self.tile_shape[1], self._shape[1] - x)
        start = self._offset + y * self._row_bytes + x * self._pixel_bytes
        if width == self._shape[1]:
            data = self._file.read(start, height * self._row_bytes)
        else:
            data = b"".join(
                self._file.read(start + line * self._row_bytes, width * self._pixel_bytes)
                for line in range(height)
            )
        samples = np.frombuffer(data, self._dtype).reshape(height, width, self._shape[2])
        return samples.astype(self._dtype.newbyteorder("="), copy=False)


def _decoder(page: TiffPage, frame: Any) -> Decoder:
    """What turns the bytes of a tile or strip, and its index, into samples (Y, X, C)."""
    if page.compression in JPEG_2000 and page.shaped[-1] == 3 and page.dtype == np.uint8:
        ycbcr = page.compression == COMPRESSION.APERIO_JP2000_YCBC
        return lambda data, index: decode_jpeg2000(data, ycbcr)
    decode = page.decode
    tables = {"jpegtables": frame.jpegtables, "jpegheader": page.jpegheader}

    def decode_segment(data: bytes, index: int) -> Samples | None:
        segment = decode(data, index, **tables)[0]
        return None if segment is None else np.asarray(segment)[0]

    return decode_segment


def page_plane(page: TiffPage, frame: Any, file: PositionalFile) -> list[Plane]:
    """The samples of one page: one plane with all channels, or a plane per channel."""
    if not page.is_final:
        return [SegmentedPlane(page, frame, file)]
    if page.planarconfig == 2:
        return contiguous_channels(page, frame.dataoffsets[0], page.samplesperpixel, file)
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    return [ContiguousPlane(frame.dataoffsets[0], shape, _stored_type(page), file)]


def contiguous_channels(
    page: TiffPage, offset: int, channels: int, file: PositionalFile
) -> list[Plane]:
    """Channels that follow one another in the file, each uncompressed and of the page's size."""
    dtype = _stored_type(page)
    shape = (page.imagelength, page.imagewidth, 1)
    step = shape[0] * shape[1] * dtype.itemsize
    return [ContiguousPlane(offset + c * step, shape, dtype, file) for c in range(channels)]


def _places(values: Any) -> npt.NDArray[np.int64]:
    return np.atleast_1d(np.asarray(values, np.int64))


def _stored_type(page: TiffPage) -> np.dtype[Any]:
    if page.dtype is None:
        raise UnsupportedImageError("has values of an unknown type. Save it as 8-bit RGB.")
    return page.dtype.newbyteorder(page.parent.byteorder)
