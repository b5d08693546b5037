"""Which of the images in a TIFF is the tissue, and which are its lower resolutions.

A TIFF may hold a pyramid, a label and a macro photograph, a Z stack, time points or several
scenes. The largest image is taken; a stack, or several images of that size, is refused with a
hint, because segmenting an arbitrary plane would be a silent guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tifffile import TiffFile, TiffPage, TiffPageSeries

from ..errors import UnsupportedImageError
from .tiff_pages import Plane, PositionalFile, contiguous_channels, page_plane

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


@dataclass(frozen=True)
class TiffLevel:
    """One resolution: its size, the page that describes it, and its planes of samples."""

    height: int
    width: int
    page: TiffPage
    planes: tuple[Plane, ...]


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
    same = [series for series in images if _size(series) == _size(largest)]
    if len(same) > 1:
        raise UnsupportedImageError(
            f"holds {len(same)} images of the same size. Save the one to segment as a file."
        )
    return largest


def pyramid_levels(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> list[TiffLevel]:
    """The levels of `series`, the largest first.

    Raises
    ------
    UnsupportedImageError
        If it is a stack or has other than 1, 3 or 4 channels.
    """
    candidates = list(series.levels)
    if len(candidates) == 1:
        candidates += _separate_levels(tif, series)
    levels = [_level(tif, level, file) for level in candidates]
    levels.sort(key=lambda level: -level.height * level.width)
    return levels


def _size(series: TiffPageSeries) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes["Y"], sizes["X"]


def _pixels(series: TiffPageSeries) -> int:
    height, width = _size(series)
    return height * width


def _separate_levels(tif: TiffFile, top: TiffPageSeries) -> list[TiffPageSeries]:
    """Levels that are pages of their own: tiled or marked as reduced, of the same aspect."""
    height, width = _size(top)
    levels = []
    for series in tif.series:
        if series is top or not {"X", "Y"} <= set(series.axes) or series.axes != top.axes:
            continue
        small_height, small_width = _size(series)
        ratio = (height / small_height) / (width / small_width)
        # A rounded edge of a small level weighs more than one of a large level.
        slack = max(_ASPECT_TOLERANCE, 1.0 / small_height + 1.0 / small_width)
        page = series.keyframe
        is_level = page.is_tiled or page.is_reduced
        if is_level and abs(ratio - 1.0) <= slack and series.dtype == top.dtype:
            levels.append(series)
    return levels


def _level(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> TiffLevel:
    _refuse_stacks(series)
    page = series.keyframe
    height, width = _size(series)
    channels = dict(zip(series.axes, series.shape, strict=True)).get("C", 1)
    return TiffLevel(height, width, page, tuple(_planes(tif, series, channels, file)))


def _refuse_stacks(series: TiffPageSeries) -> None:
    for axis, length in zip(series.axes, series.shape, strict=True):
        if axis == "C" and length not in (1, 3):
            raise UnsupportedImageError(
                f"has {length} channels; a stained section has three, red, green and blue. "
                "Save it as RGB."
            )
        if axis not in "YXSC" and length > 1:
            words = _AXIS_WORDS.get(axis, f"a stack along its axis {axis}")
            raise UnsupportedImageError(
                f"is {words} of {length} images. Save the plane to segment as a file."
            )


def _planes(
    tif: TiffFile, series: TiffPageSeries, channels: int, file: PositionalFile
) -> list[Plane]:
    page = series.keyframe
    if page.imagedepth > 1:
        raise UnsupportedImageError(
            f"is a volume of {page.imagedepth} slices. Save the plane to segment as a file."
        )
    if channels == 3 and page.samplesperpixel > 1:
        raise UnsupportedImageError("has three channels of several samples. Save it as RGB.")
    if channels == 1:
        return page_plane(page, _own(tif, series[0]), file)
    # ImageJ and tifffile may list the first of several uncompressed planes alone.
    if (page.is_imagej or page.is_shaped) and series.dataoffset is not None:
        return contiguous_channels(page, series.dataoffset, channels, file)
    return [page_plane(page, _own(tif, frame), file)[0] for frame in series]


def _own(tif: TiffFile, frame: Any) -> Any:
    if frame is None or frame.parent is not tif:
        raise UnsupportedImageError(
            "is spread over several files, or one of its planes is missing. Save it as one file."
        )
    return frame
