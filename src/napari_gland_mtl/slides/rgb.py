"""Samples as files store them (grey, palette, CMYK, alpha, 16 bits) turned into 8-bit RGB.

All functions take and give arrays (Y, X, C) and look at no neighbouring pixel, so that a tile
is converted exactly as the whole image would be. The rule for more than 8 bits is fixed: the
upper eight of the significant bits are kept. It never depends on the image's content, which
differs from tile to tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UnsupportedImageError

RGB = npt.NDArray[np.uint8]

# A white background in a 12-bit image stays below this; in a true 16-bit image it cannot.
_FULL_RANGE_MINIMUM = 1 << 12


def eight_bits(samples: npt.NDArray[Any], bits: int) -> RGB:
    """Keep the upper eight of `bits` significant bits.

    Parameters
    ----------
    samples : ndarray of bool, uint8 or uint16
        Any shape.
    bits : int
        Significant bits, 1 to 16: values are below ``2 ** bits``.

    Returns
    -------
    ndarray of uint8
        Same shape. Fewer than eight bits are stretched to 0..255.
    """
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    if bits < 8:
        scaled: RGB = (samples.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)
        return scaled
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    upper: RGB = np.minimum(samples >> (bits - 8), 255).astype(np.uint8)
    return upper


def check_full_range(maximum: int) -> None:
    """Refuse a 16-bit image that is 12-bit data in disguise: it would come out black.

    Parameters
    ----------
    maximum : int
        The largest sample of a part of the image.

    Raises
    ------
    UnsupportedImageError
        If no sample reaches 4096 of 65535.
    """
    if 0 < maximum < _FULL_RANGE_MINIMUM:
        raise UnsupportedImageError(
            f"has 16-bit samples of which none seems to exceed {maximum} of 65535, so "
            "that it would look black. Save it as 8-bit RGB, with the contrast you want."
        )


def rgb_from_samples(samples: RGB, *, premultiplied: bool = False) -> RGB:
    """Make RGB of grey (1 channel), grey + alpha (2), RGB (3) or RGBA (4), on white.

    Parameters
    ----------
    samples : ndarray of uint8, (Y, X, C)
        Channels beyond the fourth are ignored.
    premultiplied : bool
        Whether the colours were already multiplied by alpha.

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
    """
    channels = samples.shape[2]
    colors = samples[:, :, :1] if channels < 3 else samples[:, :, :3]
    if channels in (1, 3):
        return _three_channels(colors)
    alpha = samples[:, :, channels - 1 if channels == 2 else 3]
    return _three_channels(_over_white(colors, alpha, premultiplied))


def rgb_from_palette(indices: npt.NDArray[Any], palette: npt.NDArray[Any]) -> RGB:
    """Look colours up.

    Parameters
    ----------
    indices : ndarray of int, (Y, X, 1)
    palette : ndarray of int, (3, N)
        As in TIFF: 0..65535, though some writers use 0..255.

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
    """
    table = palette >> 8 if palette.max(initial=0) > 255 else palette
    colors: RGB = table.T.astype(np.uint8)[indices[:, :, 0]]
    return colors


def rgb_from_cmyk(samples: RGB) -> RGB:
    """Convert inks (0 none, 255 full) to light, ``(255 - ink) (255 - black) / 255``.

    No colour profile is applied: stains keep their order, print accuracy is not the aim.

    Parameters
    ----------
    samples : ndarray of uint8, (Y, X, 4)

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
    """
    light = 255 - samples[:, :, :4].astype(np.uint16)
    return ((light[:, :, :3] * light[:, :, 3:] + 127) // 255).astype(np.uint8)


def rgb_from_ycbcr(samples: RGB) -> RGB:
    """Convert full-range YCbCr (ITU-R BT.601, as JPEG uses it).

    Parameters
    ----------
    samples : ndarray of uint8, (Y, X, 3)

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
    """
    luma = samples[:, :, 0].astype(np.float32)
    blue, red = (samples[:, :, channel].astype(np.float32) - 128.0 for channel in (1, 2))
    colors = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    rgb: RGB = np.clip(np.rint(np.stack(colors, axis=2)), 0, 255).astype(np.uint8)
    return rgb


def _three_channels(colors: RGB) -> RGB:
    if colors.shape[2] == 3:
        return np.ascontiguousarray(colors)
    return np.repeat(colors, 3, axis=2)


def _over_white(colors: RGB, alpha: RGB, premultiplied: bool) -> RGB:
    opacity = alpha[:, :, np.newaxis].astype(np.uint16)
    light = colors.astype(np.uint16)
    if not premultiplied:
        light = (light * opacity + 127) // 255
    blended: RGB = np.minimum(light + 255 - opacity, 255).astype(np.uint8)
    return blended
