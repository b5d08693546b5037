"""Which cells of the class map are tissue, so that empty glass has no say in an image's class.

The network gives class activations everywhere, and on glass they mean nothing. A field is
searched for tissue in the same way as a slide is, but as the network sees it: what was read for
the tiles, and no more of a large slide than that.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..slides.low_resolution import LowResolution
from ..slides.tissue import TissueConfig, TissueMask, tissue_in
from .scaled_slide import ScaledSlide
from .tiling import Window

_UM = 8.0
"""Um per pixel at which tissue is looked for, as in slides."""
_ROWS = 256
"""Rows that are read at a time."""
# Glass beside tissue says as little as any other.
_CONFIG = TissueConfig(margin_um=0.0)


def tissue_cells(view: ScaledSlide, extent: Window, stride: int) -> npt.NDArray[np.bool_]:
    """Find the cells of a class map whose centre is tissue.

    Parameters
    ----------
    view : ScaledSlide
        The image as the network sees it.
    extent : Window
        What the cells cover, in px of `view`, on multiples of `stride`; it may reach past the
        image.
    stride : int
        Px of `view` per cell.

    Returns
    -------
    ndarray of bool, (h, w)
        Nothing is set where there is no tissue at all.
    """
    found = _tissue(view, extent.clipped(*view.shape))
    return found.window(0, 0, *extent.coarsened(stride).shape, scale=stride)


def _tissue(view: ScaledSlide, window: Window) -> TissueMask:
    """The tissue in a window, counted from its corner."""
    factor = max(1, round(_UM / view.mpp))
    rows = max(_ROWS // factor, 1) * factor
    bands = [
        _reduced(view.read(window._replace(y0=y, y1=min(y + rows, window.y1))), factor)
        for y in range(window.y0, window.y1, rows)
    ]
    image = np.concatenate(bands)
    small = LowResolution(image, float(factor), np.ones(image.shape[:2], dtype=np.bool_))
    return tissue_in(small, view.mpp, _CONFIG)


def _reduced(pixels: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Means of ``factor x factor`` pixels; the last row and column repeat to fill theirs."""
    height, width = pixels.shape[:2]
    y, x = math.ceil(height / factor), math.ceil(width / factor)
    missing = ((0, y * factor - height), (0, x * factor - width), (0, 0))
    padded = np.pad(pixels, missing, mode="edge").reshape(y, factor, x, factor, 3)
    means: npt.NDArray[np.uint8] = np.rint(padded.mean(axis=(1, 3), dtype=np.float32)).astype(
        np.uint8
    )
    return means
