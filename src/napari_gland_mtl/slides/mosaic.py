"""A slide put together from several scanned areas of one glass, on a white canvas.

Scanners save the areas that hold tissue and leave out the glass between them. Parts may lie
anywhere and need not meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rgb import RGB
from .slide import Box, Slide


@dataclass(frozen=True)
class MosaicPart:
    """A scanned area.

    Attributes
    ----------
    slide : Slide
        With as many levels as the canvas.
    corners : tuple of (y, x)
        Its upper left pixel on each level of the canvas.
    """

    slide: Slide
    corners: tuple[tuple[int, int], ...]


class MosaicSlide(Slide):
    """Several slides on a white canvas.

    Parameters
    ----------
    parts : sequence of MosaicPart
        A later one covers an earlier one.
    **properties
        As for `Slide`; the shapes are those of the canvas.
    """

    def __init__(self, parts: Sequence[MosaicPart], **properties: Any) -> None:
        super().__init__(**properties)
        self._parts = tuple(parts)

    def tile_shape(self, level: int) -> tuple[int, int] | None:
        """Of the first part; parts begin anywhere, so that tiles of several do not line up."""
        return self._parts[0].slide.tile_shape(level)

    def chunk_shape(self, level: int) -> tuple[int, int]:
        """See `Slide.chunk_shape`."""
        return self._parts[0].slide.chunk_shape(level)

    def announce(self, level: int, windows: Iterable[Box]) -> None:
        """See `Slide.announce`."""
        self._check_window(level, 0, 0, 1, 1)
        boxes = list(windows)
        for part in self._parts:
            y, x = part.corners[level]
            part.slide.announce(
                level, [(y0 - y, x0 - x, y1 - y, x1 - x) for y0, x0, y1, x1 in boxes]
            )

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        window = np.empty((height, width, 3), np.uint8)
        self._read_into(level, y, x, window)
        return window

    def _read_into(self, level: int, y: int, x: int, out: RGB) -> None:
        out.fill(255)
        for part in self._parts:
            corner_y, corner_x = part.corners[level]
            size = part.slide.levels[level]
            y0, x0 = max(y, corner_y), max(x, corner_x)
            y1 = min(y + out.shape[0], corner_y + size.height)
            x1 = min(x + out.shape[1], corner_x + size.width)
            if y0 < y1 and x0 < x1:
                part.slide.threads = self.threads
                out[y0 - y : y1 - y, x0 - x : x1 - x] = part.slide.read_region(
                    level, y0 - corner_y, x0 - corner_x, y1 - y0, x1 - x0
                )

    def close(self) -> None:
        """Close all parts."""
        super().close()
        for part in self._parts:
            part.slide.close()
