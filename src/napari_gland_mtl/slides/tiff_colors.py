"""How the samples of a TIFF page become RGB: grey, palette, ink, YCbCr, alpha, more than 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import PHOTOMETRIC, TiffPage

from ..errors import UnsupportedImageError
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

JPEG_2000 = (33003, 33004, 33005, 34712)
# JPEG (four codes), JPEG 2000 and WebP (two codes) turn YCbCr into RGB while decoding.
_DECODED_TO_RGB = (6, 7, 33007, 34892, *JPEG_2000, 34927, 50001)
_ASSOCIATED_ALPHA = 1
_UNSPECIFIED_EXTRA = 0


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
    if photometric == PHOTOMETRIC.YCBCR and page.compression not in _DECODED_TO_RGB:
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
