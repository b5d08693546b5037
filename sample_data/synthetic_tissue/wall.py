"""The outline of one gland on the pixel grid: the coordinates in which its cells are laid out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from .noise import FloatArray, IntArray
from .recipe import Recipe

_MARGIN_UM = 4.0
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PixelGrid:
    """The pixel grid of a tissue.

    Attributes
    ----------
    mpp : float
        um per pixel of the image and its truth.
    oversampling : int
        Drawn pixels per image pixel along each axis; coarse images are drawn finely and
        averaged, since nuclei must not alias.
    """

    mpp: float
    oversampling: int

    @property
    def fine_mpp(self) -> float:
        """Size of a drawn pixel in um."""
        return self.mpp / self.oversampling


class Wall:
    """The outline of a gland with, for each drawn pixel, its depth below it in um."""

    def __init__(self, outline: FloatArray, grid: PixelGrid) -> None:
        self.outline = outline
        self.grid = grid
        mpp, fine = grid.mpp, grid.fine_mpp
        low = np.floor((outline.min(axis=0) - _MARGIN_UM) / mpp).astype(int)
        high = np.ceil((outline.max(axis=0) + _MARGIN_UM) / mpp).astype(int)
        height, width = (int(n) for n in high - low)
        self.coarse_shape = (height, width)
        self.shape = (height * grid.oversampling, width * grid.oversampling)
        self.origin = (int(low[0]) * grid.oversampling, int(low[1]) * grid.oversampling)
        rows, columns = np.mgrid[: self.shape[0], : self.shape[1]]
        self.y = (rows + self.origin[0] + 0.5) * fine
        self.x = (columns + self.origin[1] + 0.5) * fine
        self.inside = _rasterise(outline / fine - self.origin - 0.5, self.shape)
        self.coarse_inside = _rasterise(outline / mpp - low - 0.5, self.coarse_shape)
        tree = cKDTree(outline)
        distance, _ = tree.query(np.stack([self.y, self.x], axis=-1), workers=1)
        self.depth = np.where(self.inside, distance, -distance)
        self.tree = tree
        step = np.roll(outline, -3, axis=0) - np.roll(outline, 3, axis=0)
        step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
        inward = np.stack([step[:, 1], -step[:, 0]], axis=1)
        area = 0.5 * np.sum(
            outline[:, 1] * np.roll(outline[:, 0], -1) - outline[:, 0] * np.roll(outline[:, 1], -1)
        )
        self.inward = inward * (1.0 if area > 0 else -1.0)
        self.spacing = float(np.hypot(*(outline[1] - outline[0])))
        self.length = self.spacing * len(outline)
        self.inradius = float(max(self.depth.max(), 1.0))

    def below(self, index: IntArray, depth: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Points (n, 2) at a depth below outline points, and which of them really lie there."""
        points = self.outline[index] + self.inward[index] * depth[:, None]
        reached, _ = self.tree.query(points, workers=1)
        # Past the middle of the gland another stretch of the wall is nearer.
        return points, reached > 0.82 * depth

    def border(self, recipe: Recipe) -> float:
        """Height of the epithelium in um: small glands keep some centre."""
        share = 0.45 if recipe.mucinous else 0.72
        return min(recipe.epithelium, share * self.inradius)


def _rasterise(polygon: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Pixels whose centre lies in a closed polygon (n, 2) given in px, by the even-odd rule."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first, stop = np.ceil(low).astype(int), np.ceil(high).astype(int)
    count = stop - first
    edge = np.repeat(np.arange(len(polygon)), count)
    row = (
        np.repeat(first, count)
        + np.arange(count.sum())
        - np.repeat(np.cumsum(count) - count, count)
    )
    fraction = (row - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    crossing = start[edge, 1] + fraction * (end[edge, 1] - start[edge, 1])
    toggles = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    np.add.at(toggles, (row, np.ceil(crossing).astype(int)), 1)
    inside: BoolArray = np.cumsum(toggles, axis=1)[:, :-1] % 2 == 1
    return inside
