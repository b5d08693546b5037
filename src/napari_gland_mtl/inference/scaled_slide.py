"""A slide seen at the network's own um/px, read window by window.

The network knows one scale only. Each window is read from the coarsest pyramid level that is
still fine enough and resampled on its own, which gives the pixels that resampling the whole
image would have given, so memory depends on the window and not on the slide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import numpy.typing as npt

from ..slides import Slide
from ..slides.resampling import resample_window, resampled_size, source_window
from .tiling import Window

LEVEL_TOLERANCE = 1.01
"""A level counts as fine enough up to this factor: scanners write 0.4991 for 0.5."""


class ScaledSlide:
    """A slide resampled to another um/px, without ever holding more than a window of it.

    Parameters
    ----------
    slide : Slide
    mpp : float
        Um per pixel of the slide's full resolution.
    target_mpp : float
        Um per pixel wanted.

    Attributes
    ----------
    mpp : float
        Um per pixel of this view: `target_mpp`.
    shape : tuple of int
        Height and width at `target_mpp`.
    scale : float
        Pixels of the full resolution per pixel of this view.
    """

    def __init__(self, slide: Slide, mpp: float, target_mpp: float) -> None:
        self._slide = slide
        self.mpp = target_mpp
        self.scale = target_mpp / mpp
        self._levels = slide.levels
        full = self._levels[0]
        self.shape = (
            resampled_size(full.height, self.scale),
            resampled_size(full.width, self.scale),
        )
        self.level = self._coarsest_sufficient_level()

    def _coarsest_sufficient_level(self) -> int:
        sufficient = [
            index
            for index, level in enumerate(self._levels)
            if level.downsample <= max(self.scale, 1.0) * LEVEL_TOLERANCE
        ]
        return max(sufficient, key=lambda index: self._levels[index].downsample)

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Pixels of a window of this view, uint8 RGB (Y, X, 3)."""
        level = self._levels[self.level]
        y0, x0, y1, x1 = self._source(window)
        pixels = self._slide.read_region(self.level, y0, x0, y1 - y0, x1 - x0)
        resampled = resample_window(pixels, self._scales, (level.height, level.width), window)
        return cast("npt.NDArray[np.uint8]", resampled)

    def announce(self, windows: Iterable[Window]) -> None:
        """Say which windows will be read, each once, so that no tile is decoded twice.

        See `Slide.announce`. Parts of a window beyond the view are left out.
        """
        inside = (window.clipped(*self.shape) for window in windows)
        self._slide.announce(self.level, [self._source(window) for window in inside])

    @property
    def _scales(self) -> tuple[float, float]:
        """Pixels of the level that is read per pixel of this view, along y and x."""
        y, x = self._levels[self.level].downsamples
        return self.scale / y, self.scale / x

    def _source(self, window: Window) -> tuple[int, int, int, int]:
        """Pixels of the level that a window of this view is interpolated from."""
        level = self._levels[self.level]
        scale_y, scale_x = self._scales
        y0, y1 = source_window(window.y0, window.y1, level.height, scale_y)
        x0, x1 = source_window(window.x0, window.x1, level.width, scale_x)
        return y0, x0, y1, x1

    def window_below(self, region: Window) -> Window:
        """Pixels of this view that a region of the full resolution is interpolated from."""
        up = 1 / self.scale
        y0, y1 = source_window(region.y0, region.y1, self.shape[0], up)
        x0, x1 = source_window(region.x0, region.x1, self.shape[1], up)
        return Window(y0, x0, y1, x1)
