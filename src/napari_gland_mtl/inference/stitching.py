"""Put the tiles of a prediction together and bring them to the grid of the image.

The network answers on its own grid, for whole tiles; the user wants an answer for every pixel
of the image or of a region of it, and wants to know which pixels were analysed at all.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from ..slides.resampling import resample_window, source_window
from .predictor import Float32Array, PredictedTile
from .scaled_slide import ScaledSlide
from .tiling import Tile, Window
from .tissue_cells import tissue_cells
from .uncertainty import entropy

ROWS_AT_ONCE = 512
"""Rows brought to the image's grid at a time, to keep the intermediate arrays small."""


class Mosaic:
    """Collects predicted tiles of an image, or of a region of it.

    Parameters
    ----------
    view : ScaledSlide
        The image at the network's um/px.
    region : Window
        What is wanted, in px of the image's full resolution.
    tiles : list of Tile
        All tiles that will be added, on the network's grid; they cover `region`.
    stride : int
        Network px per px of the class map.
    assignments, classes : int
        Number of valid assignments and of classes.

    Attributes
    ----------
    class_map : ndarray of float32, (K, h, w)
        Class activations on the network's coarsest grid.
    done : ndarray of bool, (h, w)
        Which pixels of `class_map` belong to a tile that was added.
    """

    def __init__(
        self,
        view: ScaledSlide,
        region: Window,
        tiles: list[Tile],
        stride: int,
        assignments: int,
        classes: int,
    ) -> None:
        self._view = view
        self._region = region
        self._stride = stride
        self._extent = Window(
            min(tile.core.y0 for tile in tiles),
            min(tile.core.x0 for tile in tiles),
            max(tile.core.y1 for tile in tiles),
            max(tile.core.x1 for tile in tiles),
        )
        coarse = self._extent.coarsened(stride).shape
        self._probabilities = np.zeros((assignments, *self._extent.shape), dtype=np.float32)
        self.class_map = np.zeros((classes, *coarse), dtype=np.float32)
        self.done = np.zeros(coarse, dtype=bool)

    def add(self, result: PredictedTile) -> None:
        """Write one tile into its place."""
        core = result.tile.core.relative_to(self._extent.y0, self._extent.x0)
        coarse = core.coarsened(self._stride).slices
        self._probabilities[(..., *core.slices)] = result.probabilities
        self.class_map[(..., *coarse)] = result.class_map
        self.done[coarse] = True

    @property
    def complete(self) -> bool:
        """Whether every tile was added."""
        return bool(self.done.all())

    def class_probabilities(self) -> Float32Array:
        """Softmax of the class activations averaged over what was analysed and is no glass, (K,).

        All classes are equally likely as long as nothing was analysed. Where there is no tissue
        at all, all that was analysed counts.
        """
        classes = len(self.class_map)
        if not self.done.any():
            return np.full(classes, 1 / classes, dtype=np.float32)
        return softmax(self.class_map[:, self._judged()].mean(axis=1, dtype=np.float64))

    def _judged(self) -> npt.NDArray[np.bool_]:
        """The cells of `class_map` that were analysed and are tissue."""
        rows, columns = (np.flatnonzero(self.done.any(axis=axis)) for axis in (1, 0))
        box = Window(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        # Of a stopped run, what the tiles have read is looked at, and no more.
        extent = Window(*(int(value) * self._stride for value in box))
        seen = extent.relative_to(-self._extent.y0, -self._extent.x0)
        judged = np.zeros_like(self.done)
        judged[box.slices] = tissue_cells(self._view, seen, self._stride)
        judged &= self.done
        return judged if judged.any() else self.done

    def probabilities(self) -> Float32Array:
        """Probabilities of the valid assignments on the image's grid, (A, Y, X) of the region.

        Linear between the network's pixels, zero where nothing was analysed.
        """
        return self._on_image_grid(self._probabilities)

    def uncertainty(self) -> Float32Array:
        """Entropy of these probabilities on the image's grid, (Y, X) of the region.

        0 .. 1, linear between the network's pixels, NaN where nothing was analysed.
        """
        known = np.nan_to_num(entropy(self._probabilities), copy=False)
        found: Float32Array = self._on_image_grid(known[None])[0]
        if not self.complete:
            found[~self.analysed()] = np.nan
        return found

    def _on_image_grid(self, layers: Float32Array) -> Float32Array:
        """Layers on the network's grid, (n, h, w), brought to the image's, (n, Y, X)."""
        region, up = self._region, 1 / self._view.scale
        result = np.empty((len(layers), *region.shape), dtype=np.float32)
        x0, x1 = source_window(region.x0, region.x1, self._view.shape[1], up)
        for start in range(region.y0, region.y1, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, region.y1)
            y0, y1 = source_window(start, stop, self._view.shape[0], up)
            source = Window(y0, x0, y1, x1).relative_to(self._extent.y0, self._extent.x0)
            pixels = np.moveaxis(layers[(..., *source.slices)], 0, -1)
            window = (start, region.x0, stop, region.x1)
            rows = resample_window(pixels, up, self._view.shape, window)
            result[:, start - region.y0 : stop - region.y0] = np.moveaxis(
                cast("Float32Array", rows), -1, 0
            )
        return result

    def analysed(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the region, on the image's grid, lie in a tile that was added."""
        rows, columns = self._cells()
        mask: npt.NDArray[np.bool_] = self.done[np.ix_(rows, columns)]
        return mask

    def class_map_of_region(self) -> tuple[Float32Array, int]:
        """The class map from the first pixel of the region on.

        Returns
        -------
        class_map : ndarray of float32, (K, ceil(Y / cell), ceil(X / cell))
        cell : int
            Px of the image per cell, a quarter of a cell of the network, so that a region that
            begins within one of those is off by little.
        """
        cell = max(1, int(self._stride * self._view.scale) // 4)
        rows, columns = (
            indices[min(cell // 2, len(indices) - 1) :: cell] for indices in self._cells()
        )
        return self.class_map[:, rows[:, None], columns], cell

    def _cells(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Row of `class_map` for every row of the region, and column for every column."""
        region, extent = self._region, self._extent
        height, width = self._view.shape
        return (
            self._coarse_index(region.y0, region.y1, height) - extent.y0 // self._stride,
            self._coarse_index(region.x0, region.x1, width) - extent.x0 // self._stride,
        )

    def _coarse_index(self, start: int, stop: int, size: int) -> npt.NDArray[np.intp]:
        centres = (np.arange(start, stop) + 0.5) / self._view.scale
        return np.minimum(centres.astype(np.intp), size - 1) // self._stride


def softmax(values: npt.NDArray[np.floating]) -> Float32Array:
    """Softmax along the first axis, safe for any finite values."""
    exponentials = np.exp(values - values.max(axis=0))
    probabilities: Float32Array = (exponentials / exponentials.sum(axis=0)).astype(np.float32)
    return probabilities
