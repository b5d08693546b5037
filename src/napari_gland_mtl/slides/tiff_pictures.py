"""The small pictures in a TIFF besides the tissue: label, macro photograph, thumbnail."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import imagecodecs
import numpy as np
from tifffile import TiffFile, TiffPageSeries

from ..errors import UnreadableImageError, UnsupportedImageError
from .file_errors import naming_file
from .open_files import PositionalFile
from .rgb import RGB, rgb_from_samples
from .tiff_pages import TiffLevel
from .tiff_series import level_series, series_size, single_level
from .tiff_vendors import philips_pictures

_LARGEST = 64 * 2**20
"""Pixels; what is larger is tissue."""
_WORDS = {"label": "label", "macro": "macro", "overview": "macro", "thumb": "thumbnail"}

Picture = Callable[[], RGB]


def accompanying_pictures(
    tif: TiffFile,
    tissue: Iterable[TiffPageSeries],
    path: Path,
    file: PositionalFile,
    names: Mapping[int, str] | None = None,
) -> dict[str, Picture]:
    """What reads the pictures of a TIFF that are not its tissue.

    Parameters
    ----------
    tif : TiffFile
    tissue : iterable of TiffPageSeries
        Left out, with their levels.
    path : Path
    file : PositionalFile
        Read from when a picture is asked for.
    names : mapping of int to str, optional
        Names for pages by their offset in the file, where the file's own say nothing.
    """
    used = {level.keyframe.offset for series in tissue for level in level_series(tif, series)}
    pictures: dict[str, Picture] = {}
    for number, series in enumerate(tif.series):
        offset = series.keyframe.offset
        level = None if offset in used else _level(tif, series, file)
        if level is not None:
            name = (names or {}).get(offset) or _name(series) or f"image {number}"
            pictures.setdefault(name, _reader(level, path))
    if tif.is_philips:
        for name, text in philips_pictures(tif):
            pictures.setdefault(name, _encoded_reader(text, path))
    return pictures


def _level(tif: TiffFile, series: TiffPageSeries, file: PositionalFile) -> TiffLevel | None:
    """A picture that can be shown; None for stacks and whatever else is none."""
    try:
        height, width = series_size(series)
        return single_level(tif, series, file) if 0 < height * width <= _LARGEST else None
    except (UnreadableImageError, UnsupportedImageError, LookupError):
        return None


def _name(series: TiffPageSeries) -> str:
    given = series.name.strip().lower()
    if series.kind == "bif" and "label" in given:  # Ventana's is a photograph of all of the glass
        return "macro"
    for word, name in _WORDS.items():
        if word in given:
            return name
    return given


def _reader(level: TiffLevel, path: Path) -> Picture:
    def read() -> RGB:
        with naming_file(path, "at one of the pictures that come with it"):
            return level.whole()

    return read


def _encoded_reader(text: str, path: Path) -> Picture:
    def read() -> RGB:
        with naming_file(path, "at one of the pictures that come with it"):
            try:
                data = base64.b64decode(text)
            except binascii.Error as error:
                raise ValueError("its picture is no base64") from error
            samples = np.atleast_3d(imagecodecs.jpeg_decode(data))
            return rgb_from_samples(samples)

    return read
