"""Run a network over an image of any size, tile by tile, as if it saw the whole at once.

Each tile comes back as probabilities of the valid region assignments and as the class
activations on the network's coarsest grid. Memory depends on the tile and the batch; what to
keep of the results is left to the caller. Flips of the window (test-time augmentation) are
averaged as probabilities, so that what is averaged is a distribution over valid assignments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..losses.region_probabilities import log_assignment_probabilities
from ..network import GlandNetwork
from .tiling import Tile, Window, pad_mirrored, plan_tiles, round_up

Float32Array = npt.NDArray[np.float32]

MIN_SIDE = 32
"""Smallest image side in px at the network's scale; below, there is no tissue to speak of."""

NO_FLIP: tuple[tuple[int, ...], ...] = ((),)
ALL_FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


class PixelSource(Protocol):
    """An image at the network's um/px: an array in a test, a scaled slide in earnest."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Pixels of a window inside the image, (Y, X, 3)."""


@dataclass(frozen=True)
class PredictedTile:
    """What the network says of one tile.

    Attributes
    ----------
    tile : Tile
    probabilities : ndarray of float32, (A, h, w)
        Of the valid assignments in the order of the region codes; `tile.core` in size.
    class_map : ndarray of float32, (K, h / stride, w / stride)
        Class activations of `tile.core`.
    """

    tile: Tile
    probabilities: Float32Array
    class_map: Float32Array


class Predictor:
    """Applies a network to windows of an image.

    Parameters
    ----------
    network : GlandNetwork
        Moved to `device` and set to evaluation.
    device : torch.device or str
    tile_size : int
        Side of a tile in network px, a multiple of the network's stride. The network sees the
        tile and a halo of its receptive radius around it.
    batch_size : int
        Windows per pass. Halved for good whenever the device runs out of memory.
    flips : bool
        Average over the four flips of each window; four times the work.
    """

    def __init__(
        self,
        network: GlandNetwork,
        device: torch.device | str = "cpu",
        tile_size: int = 512,
        batch_size: int = 1,
        flips: bool = False,
    ) -> None:
        self.device = torch.device(device)
        # The layout of the weights is left alone: this may be a network in training.
        self.network = network.eval().to(self.device)
        self.tile_size = tile_size
        self.batch_size = batch_size
        self.flips = ALL_FLIPS if flips else NO_FLIP
        self.stride = network.stride
        self.halo = round_up(network.receptive_radius, self.stride)

    def plan(self, shape: tuple[int, int], region: Window | None = None) -> list[Tile]:
        """Tiles for an image, or for the aligned surroundings of a region of it.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the image in network px.
        region : Window, optional
            In network px, inside the image.

        Raises
        ------
        InvalidInputError
            If the image is too small to say anything about it, or the tile size is no multiple
            of the stride.
        """
        if min(shape) < MIN_SIDE:
            raise InvalidInputError(
                f"The image is too small: {shape[0]} x {shape[1]} px at the scale of the network, "
                f"which needs at least {MIN_SIDE} x {MIN_SIDE}. Check the pixel size, or take a "
                f"larger field."
            )
        padded = (round_up(shape[0], self.stride), round_up(shape[1], self.stride))
        aligned = region.aligned(self.stride) if region else None
        return plan_tiles(padded, self.tile_size, self.halo, self.stride, aligned)

    def predict(
        self,
        source: PixelSource,
        tiles: list[Tile],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[PredictedTile]:
        """Predict tiles in order, a batch at a time.

        Parameters
        ----------
        source : PixelSource
            The image at the network's um/px.
        tiles : list of Tile
            From :meth:`plan`, with the shape of `source`.
        stopped : callable
            Asked before every pass; after it says yes no further tile comes.

        Raises
        ------
        InvalidInputError
            If the device has too little memory for a single window.
        """
        position = 0
        while position < len(tiles) and not stopped():
            batch = tiles[position : position + self.batch_size]
            try:
                results = self._predict_batch(source, batch, stopped)
            except torch.OutOfMemoryError:
                self._halve_batch()
                continue
            if results is None:
                return
            yield from results
            position += len(batch)

    def _halve_batch(self) -> None:
        if self.batch_size == 1:
            side = self.tile_size + 2 * self.halo
            raise InvalidInputError(
                f"The memory of the device {self.device} does not hold one window of {side} x "
                f"{side} px. Choose a smaller tile size or the device cpu."
            ) from None
        self.batch_size //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _predict_batch(
        self, source: PixelSource, batch: list[Tile], stopped: Callable[[], bool]
    ) -> list[PredictedTile] | None:
        """Results of one batch; None if it was stopped between its flips."""
        pixels = np.stack([self._read(source, tile.window) for tile in batch])
        # Channels last, as the pixels come, is what makes convolutions fast.
        images = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        probabilities, class_map = self._pass(images, self.flips[0])
        for flip in self.flips[1:]:
            if stopped():
                return None
            more_probabilities, more_class_map = self._pass(images, flip)
            probabilities += more_probabilities
            class_map += more_class_map
        probabilities /= len(self.flips)
        class_map /= len(self.flips)
        return [
            self._keep_core(tile, probabilities[index], class_map[index])
            for index, tile in enumerate(batch)
        ]

    def _read(self, source: PixelSource, window: Window) -> npt.NDArray[np.uint8]:
        """Pixels of a window; past the bottom and right of the image, its mirror image."""
        return pad_mirrored(source.read(window.clipped(*source.shape)), *window.shape)

    def _pass(self, images: Tensor, flip: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Assignment probabilities (N, A, H, W) and class map of the images seen flipped."""
        output = self.network(images.flip(flip) if flip else images)
        log_p = log_assignment_probabilities(output.region_logits, self.network.config.regions)
        probabilities, class_map = log_p.exp_(), output.class_map.float()
        if flip:
            return probabilities.flip(flip), class_map.flip(flip)
        return probabilities, class_map.clone()

    def _keep_core(self, tile: Tile, probabilities: Tensor, class_map: Tensor) -> PredictedTile:
        core = tile.core_in_window
        coarse = core.coarsened(self.stride)
        return PredictedTile(
            tile,
            probabilities[(..., *core.slices)].cpu().numpy().copy(),
            class_map[(..., *coarse.slices)].cpu().numpy().copy(),
        )
