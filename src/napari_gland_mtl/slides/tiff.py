"""TIFF of every make, pyramidal or flat, of any size: only needed tiles are read and decoded.

16-bit samples keep their upper eight significant bits; how many are significant is what the
OME metadata or the tags say, otherwise all 16. An image that then would be black (12-bit data
in disguise) is refused rather than stretched by a guess.
"""

from __future__ import annotations

import logging
import struct
from pathlib import Path

from tifffile import TiffFile

from .file_errors import naming_file
from .open_files import PositionalFile
from .slide import Slide
from .tiff_leica import open_glass
from .tiff_pictures import accompanying_pictures
from .tiff_series import tissue_series
from .tiff_slide import TiffSlide, tissue_levels
from .tiff_stitched import refuse_overlapping
from .tiff_vendors import maker_of, tiff_pixel_size

_NDPI_TAG = 65420
# tifffile reports oddities to its log; without a handler they would land on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(path: Path, name: str) -> Slide:
    """Open a TIFF of any make.

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
    OverlappingTilesError
        If its tiles have to be put together, which only OpenSlide does.
    """
    file = PositionalFile(path)
    try:
        with naming_file(path), TiffFile(path, is_ndpi=_has_wide_offsets(file)) as tif:
            refuse_overlapping(tif)
            opener = open_glass if tif.is_scn else _open
            return opener(tif, path, name, file)
    except BaseException:
        file.close()
        raise


def _open(tif: TiffFile, path: Path, name: str, file: PositionalFile) -> Slide:
    series = tissue_series(tif)
    maker = maker_of(tif)
    return TiffSlide(
        tissue_levels(tif, series, file),
        file.close,
        name=name,
        path=path,
        format=maker.format,
        vendor=maker.vendor,
        pixel_size=tiff_pixel_size(tif, series),
        associated=accompanying_pictures(tif, [series], path, file),
    )


def _has_wide_offsets(file: PositionalFile) -> bool:
    """Whether it is Hamamatsu's NDPI, whose offsets have 64 bits although its header says 32.

    tifffile goes by the name, which may have been changed.
    """
    head = file.read(0, 12)
    if len(head) < 12 or head[:4] != b"II*\0":
        return False
    (offset,) = struct.unpack("<Q", head[4:])
    if offset + 2 > file.size:
        return False
    (count,) = struct.unpack("<H", file.read(offset, 2))
    tags = file.read(offset + 2, 12 * count)
    return any(
        struct.unpack_from("<H", tags, start)[0] == _NDPI_TAG
        for start in range(0, len(tags) - 11, 12)
    )
