"""Which of the images in a TIFF is the tissue, and which are its lower resolutions.

A TIFF may hold a pyramid, a label and a macro photograph, a Z stack, time points or several
scenes. The largest image is taken; a stack, or several images of that size, is refused with a
hint, because segmenting an arbitrary plane would be a silent guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from ..errors import UnsupportedImageError
from .open_files import PositionalFile
from .tiff_colors import converter
from .tiff_pages import Plane, TiffLevel, contiguous_channels, page_plane
from .tiff_vendors import ome_pixels

_AXIS_WORDS = {
    "Z": "a stack in depth (Z)",
    "T": "a time series (T)",
    "I": "a stack of images",
    "Q": "a stack of images",
    "R": "several repeats",
    "P": "several positions",
    "H": "a lambda stack",
}
_ASPECT_TOLERANCE = 0.02
# Of these, tifffile knows how the maker lays out the levels; a label of the tissue's aspect
# would else be taken for a level.
_KNOWN_LAYOUTS = ("svs", "scn", "qpi", "bif", "philips", "ome")
# Here channels on pages of their own are fluorescence; bright field has its three in one page.
_FLUORESCENCE_LAYOUTS = ("scn", "qpi", "ndpi")
_NDPI_MAGNIFICATION = 65421
_NDPI_FOCUS = 65424


def tissue_series(tif: TiffFile) -> TiffPageSeries:
    """The series with the most pixels.

    Raises
    ------
    UnsupportedImageError
        If several series have that size, or none is an image.
    """
    images = [series for series in tif.series if {"X", "Y"} <= set(series.axes)]
    images = [series for series in images if _pixels(series) > 0]
    if not images:
        raise UnsupportedImageError("holds no image with pixels. Export it again.")
    largest = max(images, key=_pixels)
    same = [series for series in images if series_size(series) == series_size(largest)]
    if len(same) > 1:
        raise UnsupportedImageError(
            f"holds {len(same)} images of the same size. Save the one to segment as a file."
        )
    return largest


def pyramid_levels(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> list[TiffLevel]:
    """The levels of `series`, the largest first, without those that hold nothing.

    Raises
    ------
    UnsupportedImageError
        If it is a stack or has other than 1, 3 or 4 channels.
    """
    bits = significant_bits(tif, series) or 16
    levels = [_level(tif, level, file, bits, series.kind) for level in level_series(tif, series)]
    levels.sort(key=lambda level: -level.height * level.width)
    return levels[:1] + [level for level in levels[1:] if not _is_empty(level)]


def level_series(tif: TiffFile, series: TiffPageSeries) -> list[TiffPageSeries]:
    """The series of each level: those that tifffile knows of, and pages that look like one."""
    levels = [level for level in series.levels if _pixels(level) > 0]
    return levels if series.kind in _KNOWN_LAYOUTS else levels + _separate_levels(tif, series)


def single_level(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> TiffLevel:
    """The largest level of a picture that comes with a slide; raises as `pyramid_levels`."""
    return _level(tif, series, file, significant_bits(tif, series) or 16, series.kind)


def series_size(series: TiffPageSeries) -> tuple[int, int]:
    """Height and width in pixels."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes["Y"], sizes["X"]


def significant_bits(tif: TiffFile, series: TiffPageSeries) -> int | None:
    """Bits per sample; None for 16 that may be fewer, since nothing says so.

    Raises
    ------
    UnsupportedImageError
        If they are no whole numbers of up to 16 bits.
    """
    page = series.keyframe
    if series.dtype not in (np.bool_, np.uint8, np.uint16):
        raise UnsupportedImageError(
            f"has values of type {series.dtype}, not 8 or 16 bits. Save it as 8-bit RGB."
        )
    bits = page.bitspersample
    if not isinstance(bits, int) or bits != 16:
        return bits if isinstance(bits, int) else 8 * series.dtype.itemsize
    pixels = ome_pixels(tif, series)
    if pixels is not None and pixels.get("SignificantBits"):
        return min(16, max(8, int(pixels["SignificantBits"])))
    largest = page.tags.valueof("MaxSampleValue")
    if isinstance(largest, int | tuple):
        value = int(np.max(largest))
        return max(8, value.bit_length()) if 0 < value < 65535 else None
    return None


def _pixels(series: TiffPageSeries) -> int:
    height, width = series_size(series)
    return height * width


def _separate_levels(tif: TiffFile, top: TiffPageSeries) -> list[TiffPageSeries]:
    """Levels that are pages of their own: tiled or marked as reduced, of the same aspect."""
    height, width = series_size(top)
    levels = []
    for series in tif.series:
        if series is top or not {"X", "Y"} <= set(series.axes) or series.axes != top.axes:
            continue
        small_height, small_width = series_size(series)
        if not (0 < small_height < height and 0 < small_width <= width):
            continue
        ratio = (height / small_height) / (width / small_width)
        # A rounded edge of a small level weighs more than one of a large level.
        slack = max(_ASPECT_TOLERANCE, 1.0 / small_height + 1.0 / small_width)
        alike = abs(ratio - 1.0) <= slack and series.dtype == top.dtype
        if alike and _may_be_level(series.keyframe):
            levels += [level for level in series.levels if _pixels(level) > 0]
    return levels


def _may_be_level(page: TiffPage) -> bool:
    magnification = page.tags.valueof(_NDPI_MAGNIFICATION)
    if isinstance(magnification, int | float) and magnification < 0:  # Hamamatsu: macro or map
        return False
    return bool(page.is_tiled or page.is_reduced)


def _is_empty(level: TiffLevel) -> bool:
    return all(plane.empty for plane in level.planes)


def _level(
    tif: TiffFile, series: TiffPageSeries, file: PositionalFile, bits: int, kind: str
) -> TiffLevel:
    frames = _frames(series, kind)
    page = series.keyframe
    height, width = series_size(series)
    channels = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    planes = _planes(tif, series, frames, channels, file)
    return TiffLevel(height, width, tuple(planes), converter(page, bits))


def _frames(series: TiffPageSeries, kind: str) -> list[Any]:
    """The pages to show: all of them (channels), or the plane in focus of a Hamamatsu stack."""
    for axis, length in zip(series.axes, series.shape, strict=True):
        if axis == "C" and length > 1 and (length != 3 or kind in _FLUORESCENCE_LAYOUTS):
            raise UnsupportedImageError(
                f"has {length} channels; a stained section has three, red, green and blue. "
                "Save it as RGB."
            )
        if axis in "ZI" and kind == "ndpi":
            return [min(series, key=_distance_from_focus)]
        if axis not in "YXSC" and length > 1:
            words = _AXIS_WORDS.get(axis, f"a stack along its axis {axis}")
            raise UnsupportedImageError(
                f"is {words} of {length} images. Save the plane to segment as a file."
            )
    return list(series)


def _distance_from_focus(page: Any) -> float:
    offset = page.tags.valueof(_NDPI_FOCUS) if isinstance(page, TiffPage) else None
    return abs(float(offset)) if isinstance(offset, int | float) else 0.0


def _planes(
    tif: TiffFile,
    series: TiffPageSeries,
    frames: list[Any],
    channels: int,
    file: PositionalFile,
) -> list[Plane]:
    page = series.keyframe
    if page.imagedepth > 1:
        raise UnsupportedImageError(
            f"is a volume of {page.imagedepth} slices. Save the plane to segment as a file."
        )
    if channels == 3 and page.samplesperpixel > 1:
        raise UnsupportedImageError("has three channels of several samples. Save it as RGB.")
    if channels == 1:
        return page_plane(page, _own(tif, frames[0]), file)
    # ImageJ and tifffile may list the first of several uncompressed planes alone.
    if (page.is_imagej or page.is_shaped) and series.dataoffset is not None:
        return contiguous_channels(page, series.dataoffset, channels, file)
    return [page_plane(page, _own(tif, frame), file)[0] for frame in frames]


def _own(tif: TiffFile, frame: Any) -> Any:
    if frame is None or frame.parent is not tif:
        raise UnsupportedImageError(
            "is spread over several files, or one of its planes is missing. Save it as one file."
        )
    return frame
