"""What the colours of a slide at low resolution say: stained tissue, glass, or felt pen.

Dyes absorb the colours of light unequally, glass, dust, shadows of the cover slip's edge and
black borders absorb them alike. So the measure of tissue is the difference between the largest
and the smallest optical density (Beer-Lambert: ``-log10(I / I_glass)``) of the three channels;
it does not depend on how bright the lamp was. Felt pens absorb red, which dyes hardly do, or
are as good as black, or are of a red that no eosin reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .rgb import RGB

Mask = npt.NDArray[np.bool_]
Density = npt.NDArray[np.float32]
Channel = npt.NDArray[Any]

_WHITE = 240.0
# Glass is bright, even, and never tinted like eosin; less of it than this says nothing.
_GLASS_DARKEST, _GLASS_TINT, _GLASS_MAGENTA, _GLASS_EVENNESS = 190, 40, 4, 1.6
_GLASS_SHARE = 0.005
# Below this no colour is left to be judged: black borders, stripes without light.
_BLACK = 36
# Dyes: the difference of the densities is at least this part of their mean.
_GREY = 0.22
_ROWS = 512


def surely_glass(image: RGB) -> Mask:
    """Where there can be nothing but empty glass: bright, even and not tinted like eosin.

    Parameters
    ----------
    image : ndarray of uint8, (y, x, 3)
        The slide at about 8 to 16 um/px.

    Returns
    -------
    ndarray of bool, (y, x)
        Without the pure white of what was left out of the scan.
    """
    from scipy.ndimage import uniform_filter

    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    low, high = _smallest(red, green, blue), _largest(red, green, blue)
    bright = (low >= _GLASS_DARKEST) & (low < 255)
    neutral = (high - low <= _GLASS_TINT) & (np.minimum(red, blue) - green <= _GLASS_MAGENTA)
    grey = (red + green + blue).astype(np.float32) / 3
    mean = uniform_filter(grey, 3, mode="nearest")
    variance = uniform_filter(np.square(grey), 3, mode="nearest") - np.square(mean)
    glass: Mask = bright & neutral & (variance <= _GLASS_EVENNESS**2)
    return glass


def glass_colour(image: RGB, glass: Mask) -> npt.NDArray[np.float32]:
    """The colour of empty glass.

    Parameters
    ----------
    image : ndarray of uint8, (y, x, 3)
    glass : ndarray of bool, (y, x)
        See `surely_glass`.

    Returns
    -------
    ndarray of float32, (3,)
        The median over `glass`; where that is hardly anything, a neutral white as bright as
        the brightest green.
    """
    if glass.sum() >= max(_GLASS_SHARE * glass.size, 1):
        return np.asarray(np.median(image[glass], axis=0), np.float32)
    bright = float(np.percentile(image[..., 1], 99))
    return np.full(3, np.clip(bright, _WHITE - 15, _WHITE + 15), np.float32)


def stain_strength(image: RGB, white: npt.NDArray[np.float32]) -> Density:
    """How much dye: the largest minus the smallest optical density of the channels.

    Parameters
    ----------
    image : ndarray of uint8, (y, x, 3)
    white : ndarray of float32, (3,)
        See `glass_colour`.

    Returns
    -------
    ndarray of float32, (y, x)
        0 where the colour is grey or black, whatever its darkness.
    """
    table = _density_table(white)
    strength = np.empty(image.shape[:2], np.float32)
    for rows in _bands(len(image)):
        red, green, blue = _densities(image[rows], table)
        difference = _largest(red, green, blue) - _smallest(red, green, blue)
        grey = difference < _GREY * (red + green + blue) / 3
        black = _largest(*(image[rows, :, channel] for channel in range(3))) < _BLACK
        strength[rows] = np.where(grey | black, 0, difference)
    return strength


def pen_colour(image: RGB, white: npt.NDArray[np.float32]) -> tuple[Mask, Mask]:
    """Where the colour is that of a felt pen.

    Parameters
    ----------
    image : ndarray of uint8, (y, x, 3)
    white : ndarray of float32, (3,)

    Returns
    -------
    sure, perhaps : ndarray of bool, (y, x)
        Ink without doubt; and what belongs to it where it touches such ink: its pale rim.
    """
    table = _density_table(white)
    sure = np.empty(image.shape[:2], np.bool_)
    perhaps = np.empty_like(sure)
    for rows in _bands(len(image)):
        densities = _densities(image[rows], table)
        sure[rows] = _ink(*densities, 1.0)
        perhaps[rows] = _ink(*densities, 0.25)
    return sure, perhaps


def _ink(red: Density, green: Density, blue: Density, strength: float) -> Mask:
    """Blue and green, black, or red ink; `strength` below 1 takes paler ink as well."""
    mean = (red + green + blue) / 3
    # Haematoxylin alone may absorb a little more red than green, but never so much of it.
    cold = (red - green > 0.16 * strength) & (red > 0.4 * strength)
    cold |= (red > 1.05 * green) & (red > 0.7)
    difference = _largest(red, green, blue) - _smallest(red, green, blue)
    black = (difference < _GREY * mean) & (mean > 0.55 * strength)
    # Eosin lets blue light pass, brown (DAB) takes some of the red, blood is less saturated.
    pure = (red < 0.16 * green) & (blue > 0.6 * green)
    warm = pure & (blue > 0.6 * strength) & (green > 0.75 * strength)
    inked: Mask = cold | black | warm
    return inked


def _density_table(white: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Optical density of each value 0..255 in each channel, (3, 256), not below 0."""
    values = np.arange(256, dtype=np.float32)[None, :]
    return np.asarray(np.maximum(0, -np.log10((values + 1) / (white[:, None] + 1))), np.float32)


def _densities(image: RGB, table: npt.NDArray[np.float32]) -> tuple[Density, Density, Density]:
    red, green, blue = (table[channel].take(image[..., channel]) for channel in range(3))
    return red, green, blue


def _bands(height: int) -> Iterator[slice]:
    """Rows at a time, so that densities never take more memory than the picture."""
    for start in range(0, height, _ROWS):
        yield slice(start, start + _ROWS)


# NumPy takes ten times as long to reduce an axis of three.
def _largest(red: Channel, green: Channel, blue: Channel) -> Channel:
    return np.maximum(np.maximum(red, green), blue)


def _smallest(red: Channel, green: Channel, blue: Channel) -> Channel:
    return np.minimum(np.minimum(red, green), blue)
