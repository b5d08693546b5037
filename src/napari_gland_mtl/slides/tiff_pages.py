"""One page of a TIFF as a grid of tiles: where their bytes are, and how samples become RGB.

Files come tiled, in strips, or as one uncompressed block; with the channels side by side, in
separate planes or on separate pages. A `Plane` hides that: it gives the samples of one tile,
(Y, X, C), reading no byte of another. tifffile knows the formats and decodes; reading is done
here by position, so that threads do not wait for one another's file pointer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

from ..errors import UnreadableImageError, UnsupportedImageError
from .rgb import (
    RGB,
    eight_bits,
    rgb_from_cmyk,
    rgb_from_palette,
    rgb_from_samples,
    rgb_from_ycbcr,
)

Samples = npt.NDArray[Any]
Converter = Callable[[Samples], RGB]

_BAND_BYTES = 4 * 2**20
# JPEG (four codes), JPEG 2000 and WebP (two each) turn YCbCr into RGB while decoding. Aperio's
# 33003 does not: its planes are YCbCr whatever the photometric tag says.
_DECODED_TO_RGB = (6, 7, 33007, 34892, 33005, 34712, 34927, 50001)
_ASSOCIATED_ALPHA = 1
_UNSPECIFIED_EXTRA = 0


class PositionalFile:
    """A file read at given offsets, from any number of threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._lock = Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, count: int) -> bytes:
        """Read `count` bytes at `offset`; fewer where the file ends."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(count) or b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        self._file.close()


class Plane(Protocol):
    """The samples of an image, by tile."""

    tile_shape: tuple[int, int]

    def read(self, row: int, column: int) -> Samples | None:
        """The samples (Y, X, C) of one tile, cut to the image; None for a tile left empty."""


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
        self._places = list(zip(frame.dataoffsets, frame.databytecounts, strict=False))
        self._decode = page.decode
        self._tables = {"jpegtables": frame.jpegtables, "jpegheader": page.jpegheader}
        self._file = file
        self._check_places()

    def _check_places(self) -> None:
        if len(self._places) < self._planes * self._per_plane:
            raise UnreadableImageError(
                f"{len(self._places)} of {self._planes * self._per_plane} tiles are listed"
            )
        if max(offset + count for offset, count in self._places) > self._file.size:
            raise UnreadableImageError(
                f"it ends after {self._file.size} bytes, before its last pixels"
            )

    def read(self, row: int, column: int) -> Samples | None:
        """See `Plane`."""
        index = row * self._columns + column
        parts = [self._segment(index + p * self._per_plane) for p in range(self._planes)]
        samples = [part for part in parts if part is not None]
        if len(samples) < len(parts):
            return None
        return samples[0] if len(samples) == 1 else np.concatenate(samples, axis=2)

    def _segment(self, index: int) -> Samples | None:
        offset, count = self._places[index]
        if not (offset and count):
            return None
        segment, where, _ = self._decode(self._file.read(offset, count), index, **self._tables)
        if segment is None:
            return None
        y, x = where[2], where[3]
        return np.asarray(segment)[0, : self._shape[0] - y, : self._shape[1] - x]


class ContiguousPlane:
    """Uncompressed rows without gaps, as most software writes them: one huge strip.

    Read in bands of rows of about 4 MiB, because the strip would be the whole image.

    Parameters
    ----------
    offset : int
        Of the first sample in the file.
    shape : (height, width, channels)
    dtype : dtype
        With the file's byte order.
    file : PositionalFile
    """

    def __init__(
        self, offset: int, shape: tuple[int, int, int], dtype: np.dtype[Any], file: PositionalFile
    ) -> None:
        self._offset = offset
        self._shape = shape
        self._dtype = dtype
        self._file = file
        self._row_bytes = shape[1] * shape[2] * dtype.itemsize
        self.tile_shape = (max(1, min(shape[0], _BAND_BYTES // self._row_bytes)), shape[1])
        if offset + shape[0] * self._row_bytes > file.size:
            raise UnreadableImageError(f"it ends after {file.size} bytes, before its last pixels")

    def read(self, row: int, column: int) -> Samples | None:
        """See `Plane`."""
        y = row * self.tile_shape[0]
        height = min(self.tile_shape[0], self._shape[0] - y)
        data = self._file.read(self._offset + y * self._row_bytes, height * self._row_bytes)
        samples = np.frombuffer(data, self._dtype).reshape(height, *self._shape[1:])
        return samples.astype(self._dtype.newbyteorder("="), copy=False)


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


def _stored_type(page: TiffPage) -> np.dtype[Any]:
    if page.dtype is None:
        raise UnsupportedImageError("has values of an unknown type. Save it as 8-bit RGB.")
    return page.dtype.newbyteorder(page.parent.byteorder)


def converter(page: TiffPage, bits: int) -> Converter:
    """How the samples of a page become RGB.

    Parameters
    ----------
    page : TiffPage
    bits : int
        Significant bits per sample.

    Raises
    ------
    UnsupportedImageError
        For kinds of colour that are none of grey, palette, RGB, YCbCr and CMYK.
    """
    photometric = page.photometric
    extra = tuple(int(kind) for kind in page.extrasamples)
    if photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        palette = np.asarray(page.colormap)
        return lambda samples: rgb_from_palette(samples, palette)
    if photometric == PHOTOMETRIC.SEPARATED and page.samplesperpixel >= 4:
        return lambda samples: rgb_from_cmyk(eight_bits(samples, bits))
    if photometric == PHOTOMETRIC.MINISWHITE:
        return lambda samples: 255 - rgb_from_samples(eight_bits(samples[:, :, :1], bits))
    ycbcr = photometric == PHOTOMETRIC.YCBCR and page.compression not in _DECODED_TO_RGB
    if ycbcr or page.compression == COMPRESSION.APERIO_JP2000_YCBC:
        return lambda samples: rgb_from_ycbcr(eight_bits(samples, bits))
    if photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR):
        return _with_alpha(extra, bits)
    raise UnsupportedImageError(
        f"has colours of the kind {getattr(photometric, 'name', photometric)}, which is not "
        "understood. Save it as 8-bit RGB."
    )


def _with_alpha(extra: tuple[int, ...], bits: int) -> Converter:
    """Grey or RGB, with or without alpha; channels of unknown meaning are left out."""
    premultiplied = _ASSOCIATED_ALPHA in extra[:1]
    ignored = len(extra) if extra[:1] == (_UNSPECIFIED_EXTRA,) else max(len(extra) - 1, 0)

    def convert(samples: Samples) -> RGB:
        kept = samples[:, :, : samples.shape[2] - ignored] if ignored else samples
        return rgb_from_samples(eight_bits(kept, bits), premultiplied=premultiplied)

    return convert
