"""Give blocks of an image their surroundings, though each block is read once.

What is asked about a pixel often depends on its neighbours. Reading every block with a rim
would decode the chunks around it again; here the last rows and columns that were read are kept
instead, and what is handed out lies a margin above and to the left of what came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .tiling import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    Planes = npt.NDArray[Any]


class Overlap:
    """Blocks of planes in, from left to right and from the top to the bottom; windows out.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    margin : int
        Pixels around each window that is handed out, where the image does not end before.
    """

    def __init__(self, shape: tuple[int, int], margin: int) -> None:
        self._shape = shape
        self._margin = margin
        self._above: list[Planes] = []
        self._below: list[Planes] = []
        self._left: Planes | None = None

    def add(self, planes: Planes, window: Window) -> tuple[Planes, Window, Window]:
        """Take a block in.

        Parameters
        ----------
        planes : ndarray, (P, h, w)
        window : Window
            Where they lie.

        Returns
        -------
        surroundings : ndarray, (P, h', w')
        outer, inner : Window
            Where `surroundings` lies, and the part of it that is complete and was not handed
            out before. The inner windows of all blocks cover the image exactly once.
        """
        if window.x0 == 0:
            self._above, self._below, self._left = self._below, [], None
        column = len(self._below)
        if self._above:
            planes = np.concatenate([self._above[column], planes], axis=1)
        reach = 2 * self._margin
        self._below.append(planes[:, max(planes.shape[1] - reach, 0) :].copy())
        if self._left is not None:
            planes = np.concatenate([self._left, planes], axis=2)
        self._left = planes[:, :, max(planes.shape[2] - reach, 0) :].copy()
        height, width = planes.shape[1:]
        outer = Window(window.y1 - height, window.x1 - width, window.y1, window.x1)
        return planes, outer, self._inner(window)

    def _inner(self, window: Window) -> Window:
        def moved(edge: int, end: int) -> int:
            return edge if edge in (0, end) else max(edge - self._margin, 0)

        (height, width), (y0, x0, y1, x1) = self._shape, window
        return Window(moved(y0, height), moved(x0, width), moved(y1, height), moved(x1, width))
