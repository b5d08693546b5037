"""Where the glands are, and their outlines, at any place of an endless tissue.

Centres sit on a stretched, rotated hexagonal lattice, jittered by a hash of the lattice cell.
Each outline is a star-shaped curve around its centre that stays on its own side of the line
towards every neighbour, so glands never overlap; then a smooth, invertible bend of the whole
plane turns stars into the curved shapes of real glands, without tearing or joining any.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .noise import FloatArray, IntArray, hash_uniform, value_noise
from .recipe import Recipe

ANGLES = 240
SPACING_UM = 0.35
_INDEX_SPAN = 23_000
_CHANNEL_CENTRE, _CHANNEL_SHAPE, _CHANNEL_WARP = 10, 20, 40
# The softened minimum over the neighbours: higher follows the polygon of bisectors closer.
_ROUNDNESS = 5.0
# No outline reaches further from its centre, in lattice pitches.
_FARTHEST = 1.4

Cell = tuple[int, int]


def gland_id(cell: Cell) -> int:
    """Label of the gland of a lattice cell: unique, positive and below 2**31.

    Raises
    ------
    ValueError
        If the cell lies further out than such labels reach (about 2 m of tissue).
    """
    if max(abs(cell[0]), abs(cell[1])) >= _INDEX_SPAN:
        raise ValueError("Synthetic tissue ends about 2 m from its origin; ask for less.")
    row, column = (2 * n if n >= 0 else -2 * n - 1 for n in cell)
    return row * 2 * _INDEX_SPAN + column + 1


class GlandLayout:
    """Glands of one tissue.

    Parameters
    ----------
    recipe : Recipe
    seed : int
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe = recipe
        self.seed = seed
        self.angle = float(np.pi * hash_uniform(seed, _CHANNEL_CENTRE + 9, 0, 0))
        rotation = np.array(
            [
                [np.cos(self.angle), np.sin(self.angle)],
                [-np.sin(self.angle), np.cos(self.angle)],
            ]
        )
        across = recipe.pitch * np.sqrt(0.75 / recipe.stretch)
        along = recipe.pitch * np.sqrt(recipe.stretch)
        # Columns: the step from one lattice row, and one lattice column, to the next.
        self._basis = rotation @ np.array([[across, 0.0], [0.0, along]])
        self._outline = lru_cache(maxsize=512)(self._make_outline)

    def cells_near(self, y0: float, x0: float, y1: float, x1: float) -> list[Cell]:
        """Occupied lattice cells whose gland may reach into a window, given in um."""
        reach = _FARTHEST * self.recipe.pitch + sum(amplitude for amplitude, _ in self.recipe.warp)
        corners = np.array(
            [(y, x) for y in (y0 - reach, y1 + reach) for x in (x0 - reach, x1 + reach)]
        )
        index = np.linalg.solve(self._basis, corners.T)
        low = np.floor(index.min(axis=1)).astype(int) - 1
        high = np.ceil(index.max(axis=1)).astype(int) + 1
        rows, columns = np.mgrid[low[0] : high[0] + 1, low[1] : high[1] + 1]
        rows, columns = rows.ravel(), columns.ravel()
        centres = self._centres(rows, columns)
        near = self._present(rows, columns)
        near &= (centres >= (y0 - reach, x0 - reach)).all(axis=1)
        near &= (centres <= (y1 + reach, x1 + reach)).all(axis=1)
        return [
            (int(row), int(column)) for row, column in zip(rows[near], columns[near], strict=True)
        ]

    def outline(self, cell: Cell) -> FloatArray:
        """Closed outline of a cell's gland: (n, 2) points in um, equally spaced, read-only."""
        return self._outline(cell)

    def displacement(self, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The bend of the tissue at positions in um: what to add to reach the straight world."""
        shift_y, shift_x = np.zeros_like(y), np.zeros_like(x)
        for octave, (amplitude, wavelength) in enumerate(self.recipe.warp):
            channel = _CHANNEL_WARP + 2 * octave
            shift_y += amplitude * value_noise(self.seed, channel, y, x, wavelength)
            shift_x += amplitude * value_noise(self.seed, channel + 1, y, x, wavelength)
        return shift_y, shift_x

    def _present(self, rows: IntArray, columns: IntArray) -> npt.NDArray[np.bool_]:
        return hash_uniform(self.seed, _CHANNEL_CENTRE, rows, columns) < self.recipe.presence

    def _centres(self, rows: IntArray, columns: IntArray) -> FloatArray:
        shift = [
            self.recipe.jitter
            * (2.0 * hash_uniform(self.seed, _CHANNEL_CENTRE + k, rows, columns) - 1.0)
            for k in (1, 2)
        ]
        index = np.stack([rows + shift[0], columns + 0.5 * (rows % 2) + shift[1]], axis=-1)
        centres: FloatArray = index @ self._basis.T
        return centres

    def _size(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Radius of each cell's gland in um, log-normal by Box and Muller's transform."""
        first, second = (hash_uniform(self.seed, _CHANNEL_SHAPE + k, rows, columns) for k in (0, 1))
        normal = np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)
        spread = np.clip(self.recipe.radius_spread * normal, -0.75, 0.5)
        return self.recipe.radius * np.exp(spread)

    def _free_radius(self, cell: Cell, angles: FloatArray) -> FloatArray:
        """The outline as it would be without neighbours: a lobed ellipse, in um."""
        draw = np.array(
            [float(hash_uniform(self.seed, _CHANNEL_SHAPE + k, *cell)) for k in range(2, 14)]
        )
        low, high = self.recipe.aspect
        aspect = low + (high - low) * draw[0]
        # Long axis along the lattice's stretched direction, give or take.
        turned = angles + self.angle + 0.7 * (draw[1] - 0.5)
        root = np.sqrt(aspect)
        radius = 1.0 / np.hypot(np.cos(turned) / root, np.sin(turned) * root)
        for harmonic, (amplitude, phase) in enumerate(zip(draw[2:7], draw[7:12], strict=True), 2):
            wave = np.cos(harmonic * angles + 2.0 * np.pi * phase)
            radius += self.recipe.lobes * (2.0 * amplitude - 1.0) * wave
        size = self._size(np.array([cell[0]]), np.array([cell[1]]))[0]
        # The cap keeps two glands that could meet within the neighbourhood that is looked at.
        capped: FloatArray = np.minimum(
            size * np.maximum(radius, 0.3), _FARTHEST * self.recipe.pitch
        )
        return capped

    def _neighbour_limits(self, cell: Cell, angles: FloatArray) -> FloatArray:
        """Distance (um) to the line towards each neighbour, (neighbours, angles)."""
        rows, columns = np.mgrid[cell[0] - 5 : cell[0] + 6, cell[1] - 3 : cell[1] + 4]
        rows, columns = rows.ravel(), columns.ravel()
        others = self._present(rows, columns) & ~((rows == cell[0]) & (columns == cell[1]))
        rows, columns = rows[others], columns[others]
        own = np.array([cell[0]]), np.array([cell[1]])
        offset = self._centres(rows, columns) - self._centres(*own)
        distance = np.hypot(offset[:, 0], offset[:, 1])
        size, own_size = self._size(rows, columns), self._size(*own)
        # The larger gland takes the larger part of the way; both parts add up to all of it.
        share = np.clip(own_size / (own_size + size), 0.36, 0.64)
        room = np.maximum(share * distance - 0.5 * self.recipe.gap, 2.0)
        direction = np.arctan2(offset[:, 0], offset[:, 1])
        towards = np.cos(angles[None, :] - direction[:, None])
        return room[:, None] / np.maximum(towards, 1e-3)

    def _make_outline(self, cell: Cell) -> FloatArray:
        angles = np.linspace(0.0, 2.0 * np.pi, ANGLES, endpoint=False)
        candidates = np.vstack(
            [self._free_radius(cell, angles), self._neighbour_limits(cell, angles)]
        )
        radius = (candidates**-_ROUNDNESS).sum(axis=0) ** (-1.0 / _ROUNDNESS)
        centre = self._centres(np.array([cell[0]]), np.array([cell[1]]))[0]
        straight = centre + radius[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        points = straight.copy()
        # Inverse of the bend by fixed-point iteration: its slope is below one.
        for _ in range(40):
            shift_y, shift_x = self.displacement(points[:, 0], points[:, 1])
            previous, points = points, straight - np.stack([shift_y, shift_x], axis=1)
            if np.abs(points - previous).max() < 0.01:
                break
        outline = _equally_spaced(points)
        outline.setflags(write=False)
        return outline


def _equally_spaced(points: FloatArray) -> FloatArray:
    closed = np.vstack([points, points[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0.0, length[-1], max(24, round(length[-1] / SPACING_UM)), endpoint=False)
    return np.stack([np.interp(at, length, closed[:, axis]) for axis in (0, 1)], axis=1)
