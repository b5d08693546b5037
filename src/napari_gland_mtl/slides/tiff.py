"""TIFF, OME-TIFF and Aperio SVS, pyramidal or flat, of any size: only needed tiles are decoded.

16-bit samples keep their upper eight significant bits; how many are significant is what the
OME metadata or the tags say, otherwise all 16. An image that then would be black (12-bit data
in disguise) is refused rather than stretched by a guess.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from ..errors import UnsupportedImageError
from .file_errors import naming_file
from .pixel_size import (
    UM_PER_INCH,
    UNKNOWN_PIXEL_SIZE,
    PixelSize,
    first_known,
    from_lengths,
    from_resolution,
    um_per_unit,
)
from .rgb import RGB, check_full_range
from .tiff_pages import PositionalFile, Samples, converter
from .tiff_series import TiffLevel, pyramid_levels, tissue_series
from .tiled import TiledSlide

_PROBED_TILES = 3
# tifffile reports oddities to its log; without a handler they would land on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class TiffSlide(TiledSlide):
    """A TIFF file; see the module.

    Parameters
    ----------
    path : Path
    name : str

    Raises
    ------
    UnreadableImageError
        If the file is damaged or incomplete.
    UnsupportedImageError
        If it is a stack, fluorescence, or of an unknown kind of colour or number.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._file = PositionalFile(path)
        try:
            with naming_file(path), TiffFile(path) as tif:
                series = tissue_series(tif)
                self._levels = pyramid_levels(tif, series, self._file)
                super().__init__(
                    name=name,
                    format=_format(tif),
                    shapes=[(level.height, level.width) for level in self._levels],
                    pixel_size=_pixel_size(tif, series),
                    path=path,
                )
                bits = _significant_bits(tif, series)
                self._convert = [converter(level.page, bits or 16) for level in self._levels]
                if bits is None:
                    self._probe_range()
        except BaseException:
            self._file.close()
            raise

    def _tile_shape(self, level: int) -> tuple[int, int]:
        return self._levels[level].planes[0].tile_shape

    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        with naming_file(self.path):
            samples = self._samples(self._levels[level], row, column)
            if samples is None:  # scanners leave out tiles without tissue
                return self._empty_tile(level, row, column)
            return np.ascontiguousarray(self._convert[level](samples))

    def _samples(self, level: TiffLevel, row: int, column: int) -> Samples | None:
        parts = [plane.read(row, column) for plane in level.planes]
        samples = [part for part in parts if part is not None]
        if len(samples) < len(parts):
            return None
        return samples[0] if len(samples) == 1 else np.concatenate(samples, axis=2)

    def _empty_tile(self, level: int, row: int, column: int) -> RGB:
        height, width = self._tile_shape(level)
        size = self._levels[level]
        shape = (min(height, size.height - row * height), min(width, size.width - column * width))
        return np.full((*shape, 3), 255, np.uint8)

    def _probe_range(self) -> None:
        """Look at a few tiles of the smallest level for the range that is used."""
        level = self._levels[-1]
        height, width = level.planes[0].tile_shape
        rows, columns = -(-level.height // height), -(-level.width // width)
        tiles = [
            self._samples(level, int(row), int(column))
            for row in np.unique(np.linspace(0, rows - 1, _PROBED_TILES).astype(int))
            for column in np.unique(np.linspace(0, columns - 1, _PROBED_TILES).astype(int))
        ]
        maximum = max((int(tile.max()) for tile in tiles if tile is not None), default=0)
        check_full_range(maximum)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._file.close()


def _format(tif: TiffFile) -> str:
    if tif.is_svs:
        return "SVS"
    return "OME-TIFF" if tif.is_ome else "TIFF"


def _significant_bits(tif: TiffFile, series: TiffPageSeries) -> int | None:
    """Bits per sample; None for 16 that may be fewer, since nothing says so."""
    page = series.keyframe
    if series.dtype not in (np.bool_, np.uint8, np.uint16):
        raise UnsupportedImageError(
            f"has values of type {series.dtype}, not 8 or 16 bits. Save it as 8-bit RGB."
        )
    bits = page.bitspersample
    if not isinstance(bits, int) or bits != 16:
        return bits if isinstance(bits, int) else 8 * series.dtype.itemsize
    pixels = _ome_pixels(tif, series)
    if pixels is not None and pixels.get("SignificantBits"):
        return min(16, max(8, int(pixels["SignificantBits"])))
    largest = page.tags.valueof("MaxSampleValue")
    if isinstance(largest, int | tuple):
        value = int(np.max(largest))
        return max(8, value.bit_length()) if 0 < value < 65535 else None
    return None


def _pixel_size(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    first = tif.pages.first
    return first_known(
        _ome_pixel_size(tif, series),
        _aperio_pixel_size(first),
        _imagej_pixel_size(tif, first),
        _tagged_pixel_size(series.keyframe),
    )


def _ome_pixels(tif: TiffFile, series: TiffPageSeries) -> dict[str, str] | None:
    """The attributes of the OME element Pixels that has the size of `series`."""
    if not tif.is_ome or not tif.ome_metadata:
        return None
    sizes = dict(zip(series.axes, series.shape, strict=True))
    wanted = (str(sizes["Y"]), str(sizes["X"]))
    try:
        root = ElementTree.fromstring(tif.ome_metadata)
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Pixels":
            attributes = dict(element.attrib)
            if (attributes.get("SizeY"), attributes.get("SizeX")) == wanted:
                return attributes
    return None


def _ome_pixel_size(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    pixels = _ome_pixels(tif, series)
    if pixels is None:
        return UNKNOWN_PIXEL_SIZE
    sizes = []
    for axis in "YX":
        unit = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            sizes.append(float(pixels[f"PhysicalSize{axis}"]) * (unit or float("nan")))
        except (KeyError, ValueError):
            return UNKNOWN_PIXEL_SIZE
    if np.isnan(sizes).any():
        return PixelSize(None, "The OME metadata gives a pixel size in no unit of length.")
    return from_lengths(sizes[0], sizes[1], "The OME metadata")


def _aperio_pixel_size(page: TiffPage) -> PixelSize:
    if not page.is_svs:
        return UNKNOWN_PIXEL_SIZE
    found = re.search(r"\bMPP\s*=\s*([0-9.]+(?:[eE][-+]?\d+)?)", page.description)
    try:
        mpp = float(found.group(1)) if found else None
    except ValueError:
        mpp = None
    if mpp is None:
        return UNKNOWN_PIXEL_SIZE
    return from_lengths(mpp, mpp, "The Aperio description (MPP)")


def _imagej_pixel_size(tif: TiffFile, page: TiffPage) -> PixelSize:
    if not tif.is_imagej:
        return UNKNOWN_PIXEL_SIZE
    unit = um_per_unit((tif.imagej_metadata or {}).get("unit"))
    resolution = _resolution(page)
    if unit is None or resolution is None:
        return UNKNOWN_PIXEL_SIZE
    return from_lengths(unit / resolution[0], unit / resolution[1], "ImageJ's calibration")


def _tagged_pixel_size(page: TiffPage) -> PixelSize:
    resolution = _resolution(page)
    inches = {2: 1.0, 3: UM_PER_INCH / 1e4}.get(int(page.tags.valueof("ResolutionUnit", 2)))
    if resolution is None or inches is None:
        return UNKNOWN_PIXEL_SIZE
    y, x = resolution
    return from_resolution(y * inches, x * inches, "The TIFF resolution tag")


def _resolution(page: TiffPage) -> tuple[float, float] | None:
    """Pixels per unit, y and x, as the tags give them."""
    values = []
    for name in ("YResolution", "XResolution"):
        fraction = page.tags.valueof(name)
        if not (isinstance(fraction, tuple) and len(fraction) == 2 and all(fraction)):
            return None
        values.append(fraction[0] / fraction[1])
    return values[0], values[1]
