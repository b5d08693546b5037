"""What lies between the glands: fibres, gaps, small vessels and the cells of connective tissue."""

from __future__ import annotations

import numpy as np

from .layout import GlandLayout
from .noise import FloatArray, hash_uniform, ridged_noise, smoothstep, value_noise
from .nuclei import Nuclei, paint_nuclei
from .recipe import Recipe

# How far from a gland its presence changes the stroma; windows need that much margin.
REACH_UM = 9.0
_CHANNEL, _CHANNEL_CELLS = 500, 600
_SITE_UM = 7.4


class Stroma:
    """Connective tissue of one slide.

    Parameters
    ----------
    recipe : Recipe
    layout : GlandLayout
        Fibres run with the bend of the tissue.
    seed : int
    """

    def __init__(self, recipe: Recipe, layout: GlandLayout, seed: int) -> None:
        self.recipe = recipe
        self.layout = layout
        self.seed = seed

    def draw(
        self, outside: FloatArray, origin: tuple[int, int], mpp: float
    ) -> tuple[FloatArray, FloatArray]:
        """Stains of a window.

        Parameters
        ----------
        outside : ndarray, (Y, X)
            Distance to the nearest gland in um, 0 inside, right up to `REACH_UM`.
        origin : (int, int)
            Row and column of the first pixel.
        mpp : float
            um per pixel.

        Returns
        -------
        hematoxylin, eosin : ndarray, (Y, X)
            Optical densities.
        """
        rows, columns = np.mgrid[: outside.shape[0], : outside.shape[1]]
        y, x = (rows + origin[0] + 0.5) * mpp, (columns + origin[1] + 0.5) * mpp
        hematoxylin, eosin = self._matrix(y, x, outside)
        blood = self._blood(y, x, outside)
        eosin = eosin + blood * (0.95 - eosin)
        hematoxylin = hematoxylin * (1.0 - 0.85 * blood)
        cells = self._cells(outside, origin, mpp)
        stain, cover = paint_nuclei(cells, outside.shape, origin, mpp, self.seed)
        halo = self._plasma(cells, outside.shape, origin, mpp)
        hematoxylin = np.maximum(hematoxylin, 0.34 * halo)
        eosin = np.maximum(eosin, 0.4 * halo)
        return hematoxylin * (1.0 - 0.8 * cover) + stain, eosin * (1.0 - 0.4 * cover)

    def _matrix(
        self, y: FloatArray, x: FloatArray, outside: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fibres, ground substance and the white gaps in it."""
        seed, recipe = self.seed, self.recipe
        along, across = self._fibre_frame(y, x)
        fibres = 0.6 * ridged_noise(seed, _CHANNEL, across, along / 7.0, 5.5)
        fibres += 0.4 * ridged_noise(seed, _CHANNEL + 1, across, along / 5.0, 2.6)
        fibres = (fibres - 0.5) * 2.6
        grain = value_noise(seed, _CHANNEL + 2, y, x, 1.8)
        patch = value_noise(seed, _CHANNEL + 3, y, x, 38.0)
        body = np.clip(1.0 + 0.42 * fibres + 0.3 * grain + 0.22 * patch, 0.1, None)
        hematoxylin, eosin = recipe.stroma[0] * body, recipe.stroma[1] * body
        sheath = smoothstep(3.2, 0.8, outside)
        gaps = self._gaps(y, x, along, across, outside) * (1.0 - 0.85 * sheath)
        gaps = np.maximum(gaps, self._clefts(y, x, outside))
        return _mix(hematoxylin, 0.03, gaps), _mix(eosin, 0.035, gaps)

    def _gaps(
        self,
        y: FloatArray,
        x: FloatArray,
        along: FloatArray,
        across: FloatArray,
        outside: FloatArray,
    ) -> FloatArray:
        """White spaces between fibres, where the tissue is loose."""
        seed = self.seed
        loose = value_noise(seed, _CHANNEL + 4, y, x, 55.0) + 2.0 * self.recipe.looseness - 1.0
        streaks = 0.55 * value_noise(seed, _CHANNEL + 5, across, along / 2.6, 6.0)
        streaks += 0.35 * value_noise(seed, _CHANNEL + 6, y, x, 8.0)
        streaks += 0.3 * value_noise(seed, _CHANNEL + 7, y, x, 3.0)
        return smoothstep(0.1, 0.42, streaks + 0.3 * loose) * (0.65 + 0.25 * self.recipe.looseness)

    def _clefts(self, y: FloatArray, x: FloatArray, outside: FloatArray) -> FloatArray:
        """Shrinkage gaps along parts of the glands' borders."""
        seed = self.seed
        width = self.recipe.cleft * value_noise(seed, _CHANNEL + 8, y, x, 42.0)
        width += 0.3 * self.recipe.cleft * value_noise(seed, _CHANNEL + 9, y, x, 7.0)
        return 0.95 * smoothstep(0.3, 1.2, outside) * smoothstep(0.0, 1.2, width - outside)

    def _blood(self, y: FloatArray, x: FloatArray, outside: FloatArray) -> FloatArray:
        """Capillaries packed with red cells, away from the glands."""
        place = smoothstep(0.66, 0.74, value_noise(self.seed, _CHANNEL + 10, y, x, 26.0))
        cells = smoothstep(-0.35, 0.1, value_noise(self.seed, _CHANNEL + 11, y, x, 4.2))
        return place * cells * smoothstep(2.0, 4.0, outside)

    def _fibre_frame(self, y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates (um) along and across the fibres, bent with the tissue."""
        shift_y, shift_x = self.layout.displacement(y, x)
        bent_y = y + 1.6 * shift_y + 9.0 * value_noise(self.seed, _CHANNEL + 12, y, x, 60.0)
        bent_x = x + 1.6 * shift_x + 9.0 * value_noise(self.seed, _CHANNEL + 13, y, x, 60.0)
        sine, cosine = np.sin(self.layout.angle), np.cos(self.layout.angle)
        # The lattice's long direction is (cos, sin) turned by its angle: (y, x) = (sin, cos).
        return bent_y * sine + bent_x * cosine, bent_y * cosine - bent_x * sine

    def _cells(self, outside: FloatArray, origin: tuple[int, int], mpp: float) -> Nuclei:
        """Nuclei at hashed sites, none closer to a gland than its basement membrane."""
        low = np.floor(np.array(origin) * mpp / _SITE_UM).astype(int) - 2
        high = np.ceil((np.array(origin) + outside.shape) * mpp / _SITE_UM).astype(int) + 2
        rows, columns = np.mgrid[low[0] : high[0], low[1] : high[1]]
        rows, columns = rows.ravel(), columns.ravel()
        draw = [hash_uniform(self.seed, _CHANNEL_CELLS + k, rows, columns) for k in range(9)]
        y = (rows + 0.1 + 0.8 * draw[0]) * _SITE_UM
        x = (columns + 0.1 + 0.8 * draw[1]) * _SITE_UM
        pixel = [
            np.floor(axis / mpp).astype(int) - first
            for axis, first in zip((y, x), origin, strict=True)
        ]
        inside = np.all(
            [(p >= 1) & (p < n - 1) for p, n in zip(pixel, outside.shape, strict=True)], axis=0
        )
        pixel = [np.clip(p, 1, n - 2) for p, n in zip(pixel, outside.shape, strict=True)]
        away = outside[pixel[0], pixel[1]]
        density = self.recipe.cellularity * (
            1.0 + 0.75 * value_noise(self.seed, _CHANNEL + 14, y, x, 60.0)
        )
        keep = inside & (away > 2.6) & (draw[2] < density)
        round_share = self.recipe.lymphocytes + 0.35 * value_noise(
            self.seed, _CHANNEL + 15, y, x, 70.0
        )
        lymphocyte = (draw[3] < round_share) & (away > 4.2)
        # Fibroblasts lie along the fibres, and around a gland along its border.
        slope_y = outside[pixel[0] + 1, pixel[1]] - outside[pixel[0] - 1, pixel[1]]
        slope_x = outside[pixel[0], pixel[1] + 1] - outside[pixel[0], pixel[1] - 1]
        border = np.arctan2(slope_x, -slope_y)
        angle = np.where(away < REACH_UM, border, self._fibre_angle(y, x)) + 0.5 * (draw[4] - 0.5)
        angle = np.where(lymphocyte, 2.0 * np.pi * draw[4], angle)
        long = np.where(lymphocyte, 2.7 + 0.9 * draw[5], 4.8 + 3.2 * draw[5])
        short = np.where(lymphocyte, long * (0.75 + 0.25 * draw[6]), 1.35 + 0.9 * draw[6])
        cells = Nuclei(
            centre=np.stack([y, x], axis=1),
            semi_axes=np.stack([long, short], axis=1),
            angle=angle,
            stain=np.where(lymphocyte, 1.25 + 0.75 * draw[7], 0.9 + 0.7 * draw[7]),
            vesicular=np.where(lymphocyte, 0.2, 0.5) * draw[8],
        )
        return cells.select(keep)

    def _fibre_angle(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Direction of the fibres, ``atan2(dy, dx)``, from the slope of the frame."""
        step = 1.0
        _, above = self._fibre_frame(y - step, x)
        _, below = self._fibre_frame(y + step, x)
        _, left = self._fibre_frame(y, x - step)
        _, right = self._fibre_frame(y, x + step)
        # Along a fibre `across` does not change: at right angles to its gradient.
        return np.arctan2(-(right - left), below - above)

    def _plasma(
        self, cells: Nuclei, shape: tuple[int, int], origin: tuple[int, int], mpp: float
    ) -> FloatArray:
        """Cytoplasm around a share of the round nuclei, 0 .. 1: plasma cells."""
        round_cells = cells.select(
            (cells.semi_axes[:, 0] < 4.0) & (cells.stain > 1.35) & (cells.vesicular > 0.06)
        )
        offset = 1.5 * np.stack([np.sin(round_cells.angle), np.cos(round_cells.angle)], axis=1)
        bodies = Nuclei(
            centre=round_cells.centre + offset,
            semi_axes=round_cells.semi_axes * 1.6,
            angle=round_cells.angle,
            stain=round_cells.stain,
            vesicular=round_cells.vesicular,
        )
        return paint_nuclei(bodies, shape, origin, mpp, self.seed + 1)[1]


def _mix(under: FloatArray, over: float, cover: FloatArray) -> FloatArray:
    return under + (over - under) * cover
