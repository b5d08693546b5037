"""PNG, JPEG and BMP: fields of view, decoded as a whole when they are first looked at.

These formats cannot be read by window, and they know print resolutions rather than pixel
sizes. Grey, palette, CMYK and transparent images become RGB on white. The EXIF orientation is
left alone: turning a field of view would shift it against its annotations.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UnsupportedImageError
from .file_errors import naming_file
from .pixel_size import UNKNOWN_PIXEL_SIZE, PixelSize, from_resolution
from .rgb import RGB, check_full_range, eight_bits, rgb_from_samples
from .slide import Slide

_DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class RasterSlide(Slide):
    """A PNG, JPEG or BMP file; its pixels stay in memory once they were read."""

    def __init__(self, path: Path, name: str) -> None:
        with naming_file(path), _open(path) as image:
            width, height = image.size
            super().__init__(
                name=name,
                format="JPEG" if image.format == "MPO" else str(image.format),
                shapes=[(height, width)],
                pixel_size=_pixel_size(image),
                path=path,
            )
        self._file = path
        self._pixels: RGB | None = None
        self._lock = Lock()

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        return self._whole()[y : y + height, x : x + width]

    def _lazy_level(self, level: int) -> Any:
        return self._whole()

    def check(self) -> None:
        """Decode all of it: these formats are read as a whole anyway."""
        self._whole()

    def _whole(self) -> RGB:
        with self._lock:
            if self._pixels is None:
                with naming_file(self._file), _open(self._file) as image:
                    self._pixels = _decode(image)
                self._pixels.setflags(write=False)
            return self._pixels

    def close(self) -> None:
        """Let go of the pixels."""
        super().close()
        with self._lock:
            self._pixels = None


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Large fields of view are no attack; Pillow's error for twice the size stays.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=("PNG", "JPEG", "BMP"))
    except Image.DecompressionBombError:
        raise UnsupportedImageError(
            "is too large for its format, which has to be decoded as a whole. Save it "
            "as a tiled TIFF or OME-Zarr."
        ) from None


def _decode(image: Image.Image) -> RGB:
    if image.mode in _DEEP_GREY_MODES:
        samples = np.asarray(image)[:, :, np.newaxis].astype(np.uint16)
        check_full_range(int(samples.max()))
        return rgb_from_samples(eight_bits(samples, 16))
    if image.has_transparency_data:
        return rgb_from_samples(np.asarray(image.convert("RGBA")))
    # 16-bit RGB: Pillow keeps the upper byte, which is the rule everywhere here.
    return np.array(image.convert("RGB"))


def _pixel_size(image: Image.Image) -> PixelSize:
    dpi = image.info.get("dpi")
    if dpi is None:
        return UNKNOWN_PIXEL_SIZE
    x, y = dpi
    return from_resolution(float(y), float(x), f"The {image.format} header")
