"""The outlines of the pieces of tissue on a slide, anywhere on it, at any resolution.

The slide is cut into equal fields, one for each piece: a rounded rectangle whose outline noise
makes irregular. It is the zero line of a smooth function of position, which is worked out on a
coarse lattice and interpolated, so that windows agree and large ones are quick.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from synthetic_tissue.noise import FloatArray, value_noise

_CHANNEL = 900
_LATTICE = 16
_EXPONENT = 3.0
# Half axes as shares of a piece's field; amplitude and wavelength (share) of the noise. The
# widest piece, 0.41 * (1 + 0.13), stays inside its field.
_HALF = (0.37, 0.41)
_ROUGHNESS = ((0.09, 0.3), (0.04, 0.08))


class Outline:
    """Tissue pieces on a slide.

    Parameters
    ----------
    height, width : int
        Of the slide, px.
    pieces : int
        0 for tissue everywhere.
    seed : int
    """

    def __init__(self, height: int, width: int, pieces: int, seed: int) -> None:
        self.pieces = pieces
        self._seed = seed
        rows, columns = _grid(height, width, pieces)
        self._columns = columns
        self._field = (height / rows, width / columns)
        smallest = min(self._field)
        # Bound of the slope of `value`, px^-1: of the rounded rectangle and of the noise.
        slope = 1.5 / (_HALF[0] * smallest)
        slope += sum(5.4 * amplitude / (wave * smallest) for amplitude, wave in _ROUGHNESS)
        self.slack = slope * _LATTICE

    def value(self, y: npt.ArrayLike, x: npt.ArrayLike) -> FloatArray:
        """Above 0 in tissue, below 0 on glass, at level-0 positions of one shape."""
        y, x = (np.asarray(position, dtype=np.float64) for position in (y, x))
        if not self.pieces:
            return np.ones(np.broadcast_shapes(y.shape, x.shape))
        height, width = self._field
        row, column = np.floor(y / height), np.floor(x / width)
        number = row * self._columns + column
        # Pieces differ a little in size; the last field may hold none.
        wobble = np.abs(np.sin(12.9898 * (number + 1) + 78.233 * self._seed))
        half = _HALF[0] + (_HALF[1] - _HALF[0]) * wobble
        v, u = (y / height - row - 0.5) / half, (x / width - column - 0.5) / half
        value = 1.0 - (np.abs(v) ** _EXPONENT + np.abs(u) ** _EXPONENT) ** (1.0 / _EXPONENT)
        for channel, (amplitude, wave) in enumerate(_ROUGHNESS, _CHANNEL):
            noise = value_noise(self._seed, channel, y, x, wave * min(self._field))
            value = value + amplitude * noise
        inside: FloatArray = np.where(number < self.pieces, value, -1.0)
        return inside

    def lattice_range(self, y0: int, x0: int, y1: int, x1: int) -> tuple[float, float]:
        """Smallest and largest value on the lattice around a window of level-0 pixels."""
        if not self.pieces:
            return 1.0 + self.slack, 1.0 + self.slack
        spacing = _LATTICE
        # Far from its outline a large piece need not be looked at so closely.
        while (y1 - y0) * (x1 - x0) > 256**2 * spacing**2:
            spacing *= 2
        values = self._lattice(y0, x0, y1, x1, spacing)
        wider = self.slack * (spacing / _LATTICE - 1.0)
        return float(values.min()) - wider, float(values.max()) + wider

    def inside(self, y0: int, x0: int, y1: int, x1: int, downsample: int) -> npt.NDArray[np.bool_]:
        """Whether pixels' centres lie in tissue; window in px of a level."""
        spacing = max(_LATTICE, downsample)
        box = (y0 * downsample, x0 * downsample, y1 * downsample, x1 * downsample)
        values = self._lattice(*box, spacing)
        rows, down = _between(y0, y1, downsample, spacing)
        columns, across = _between(x0, x1, downsample, spacing)
        upper = values[:, columns] * (1 - across) + values[:, columns + 1] * across
        between = upper[rows] * (1 - down[:, None]) + upper[rows + 1] * down[:, None]
        inside: npt.NDArray[np.bool_] = between > 0
        return inside

    def _lattice(self, y0: int, x0: int, y1: int, x1: int, spacing: int) -> FloatArray:
        """Values at the lattice points around a window, both ends included."""
        rows = np.arange(y0 // spacing, (y1 - 1) // spacing + 2) * spacing
        columns = np.arange(x0 // spacing, (x1 - 1) // spacing + 2) * spacing
        y, x = np.meshgrid(rows, columns, indexing="ij")
        return self.value(y, x)


def _between(
    start: int, stop: int, downsample: int, spacing: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Lattice point before each pixel's centre, counted from the window's first, and how far."""
    at = (np.arange(start, stop) + 0.5) * downsample / spacing
    index = np.floor(at).astype(np.int64)
    return index - start * downsample // spacing, at - index


def _grid(height: int, width: int, pieces: int) -> tuple[int, int]:
    """Rows and columns of fields, as square as possible."""
    if pieces < 2:
        return 1, 1
    rows = max(1, min(pieces, round((pieces * height / width) ** 0.5)))
    return rows, -(-pieces // rows)
