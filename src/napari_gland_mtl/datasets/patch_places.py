"""Where in an image a training patch is centred.

Of a sparse annotation most places show nothing that teaches: of one gland outlined in a square
millimetre, eleven patches of twelve would see nothing. There the centre lies near a pixel of which
something is known; where all is annotated, anywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..regions import NOT_ANNOTATED

_FARTHEST = 5
"""A fifth of a patch with its margin: the pixel stays inside however the patch is turned."""


class PatchPlaces:
    """The places of one image.

    Parameters
    ----------
    labels : ndarray of uint8, (Y, X)
        0 where not annotated.
    """

    def __init__(self, labels: npt.NDArray[np.uint8]) -> None:
        self._labels = labels
        # Per row, for a list of all pixels would be many times as large as the image.
        self._up_to_row = np.cumsum(np.count_nonzero(labels != NOT_ANNOTATED, axis=1))

    @property
    def annotated_px(self) -> int:
        """How many pixels are annotated."""
        return int(self._up_to_row[-1])

    def centre(self, size: int, rng: np.random.Generator) -> tuple[int, int]:
        """Draw the centre of a patch of `size` pixels."""
        height, width = self._labels.shape
        if self.annotated_px == self._labels.size:
            return int(rng.integers(height)), int(rng.integers(width))
        y, x = self._annotated(int(rng.integers(self.annotated_px)))
        most = size // _FARTHEST
        down, right = (int(shift) for shift in rng.integers(-most, most + 1, 2))
        return min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)

    def _annotated(self, number: int) -> tuple[int, int]:
        """The annotated pixel of that number, counted row by row."""
        y = int(np.searchsorted(self._up_to_row, number, side="right"))
        before = int(self._up_to_row[y - 1]) if y else 0
        columns = np.flatnonzero(self._labels[y] != NOT_ANNOTATED)
        return y, int(columns[number - before])
