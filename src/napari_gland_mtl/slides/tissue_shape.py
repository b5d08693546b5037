"""From the strength of stain, pixel by pixel, to pieces of tissue: thresholds, holes, sizes.

All of it on the small picture of a slide, a few million pixels at most; sizes in its pixels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .rgb import RGB
from .tissue_colour import Density, Mask, pen_colour

# Nets of fat cells and single fibres become areas.
_SMOOTHING_UM = 8.0
# The threshold that is chosen lies between these: glass stays below 0.005, fat and mucus reach
# 0.02 and all else 0.04, so that a field full of tissue or empty comes out right, too.
_LOWEST, _HIGHEST = 0.008, 0.02
# Around what is surely stained, half as much is enough, unless this slide's glass reaches it.
_WEAK, _UNEVEN_GLASS = 0.5, 1.5
_THIN_UM = 40.0
_PEN_AREA_UM2 = 20_000.0


def stained(strength: Density, glass: Mask, threshold: float | None, um: float) -> Mask:
    """Pixels with stain, and paler ones that touch them.

    Parameters
    ----------
    strength : ndarray of float32, (y, x)
        See `tissue_colour.stain_strength`.
    glass : ndarray of bool, (y, x)
        See `tissue_colour.surely_glass`.
    threshold : float or None
        None chooses one for this slide: Otsu's, within bounds.
    um : float
        Um per pixel.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.filters import apply_hysteresis_threshold

    smooth = gaussian_filter(strength, _SMOOTHING_UM / um, mode="nearest")
    if threshold is None:
        low, high = choose_thresholds(smooth, glass)
    else:
        low = high = threshold
    mask: Mask = apply_hysteresis_threshold(smooth, low, high)
    return mask


def choose_thresholds(strength: Density, glass: Mask) -> tuple[float, float]:
    """Otsu's threshold on the square root of the strength, within bounds, and a weaker one.

    Returns
    -------
    low, high : float
        Both above what the glass of this slide has.
    """
    from skimage.filters import threshold_otsu

    root = np.sqrt(strength)
    otsu = float(threshold_otsu(root)) ** 2 if root.max() > root.min() else 0.0
    high = min(max(otsu, _LOWEST), _HIGHEST)
    uneven = float(np.percentile(strength[glass], 99)) if glass.any() else 0.0
    low = min(max(_WEAK * high, _UNEVEN_GLASS * uneven, _LOWEST), _HIGHEST)
    return low, max(low, high)


def pen_marks(image: RGB, white: npt.NDArray[np.float32], um: float) -> Mask:
    """Strokes of felt pen; specks of such a colour are no strokes."""
    from skimage.filters import apply_hysteresis_threshold

    sure, perhaps = pen_colour(image, white)
    if not sure.any():
        return sure
    marks: Mask = apply_hysteresis_threshold(perhaps.astype(np.uint8) + sure, 0.5, 1.5)
    return marks & _components_with(marks, sure, _PEN_AREA_UM2 / um**2)


def fill_holes(mask: Mask, largest: float) -> Mask:
    """Set what is enclosed and has at most `largest` pixels.

    A hole that the edge of the picture cuts counts as enclosed if most of its rim is tissue.
    """
    from scipy.ndimage import binary_dilation, label

    if largest <= 0 or not mask.any():
        return mask
    holes, count = label(~mask)
    area = np.bincount(holes.ravel(), minlength=count + 1)
    border = np.concatenate([holes[0], holes[-1], holes[1:-1, 0], holes[1:-1, -1]])
    open_rim = np.bincount(border, minlength=count + 1)
    closed_rim = np.bincount(holes[binary_dilation(mask) & ~mask], minlength=count + 1)
    fill = (area <= largest) & ((open_rim == 0) | (closed_rim > open_rim))
    fill[0] = False
    filled: Mask = mask | fill[holes]
    return filled


def drop_small(mask: Mask, least: float, um: float) -> Mask:
    """Keep pieces of at least `least` pixels that are not mere threads."""
    from scipy.ndimage import binary_erosion

    times = round(_THIN_UM / 2 / um)
    core = binary_erosion(mask, iterations=times, border_value=1) if times else mask
    return _components_with(mask, mask, least) & _components_with(mask, core, 1)


def grow(mask: Mask, reach: float) -> Mask:
    """Add all pixels within `reach` pixels."""
    from scipy.ndimage import distance_transform_edt

    if reach <= 0 or not mask.any():
        return mask
    # Only the neighbourhood of tissue is measured, in bands: distances of a whole slide would
    # be eight times as large as its mask.
    margin = math.ceil(reach) + 1
    band = max(1024, 4 * margin)
    grown = np.empty_like(mask)
    for start in range(0, len(mask), band):
        first, last = max(start - margin, 0), min(start + band + margin, len(mask))
        part = mask[first:last]
        rows = slice(start, min(start + band, len(mask)))
        if part.any():
            near = distance_transform_edt(~part) <= reach
            grown[rows] = near[start - first : rows.stop - first]
        else:
            grown[rows] = False
    return grown


def _components_with(mask: Mask, seeds: Mask, least: float) -> Mask:
    """The 8-connected pieces of `mask` that hold at least `least` pixels of `seeds`."""
    from scipy.ndimage import label

    pieces, count = label(mask, structure=np.ones((3, 3)))
    held = np.bincount(pieces[seeds & mask], minlength=count + 1)
    keep = held >= max(least, 1)
    keep[0] = False
    kept: Mask = keep[pieces]
    return kept
