"""Form batches of the tiles that have pixels, and cut the answer to a batch into tiles again.

Tiles that could not be read keep their place among the others and are in no batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .reading import FailedTile, ReadTile
from .tiling import Tile
from .transfer import Answer

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PredictedTile:
    """What the network says of one tile.

    Attributes
    ----------
    tile : Tile
    probabilities : ndarray, (A, h, w)
        Of the valid assignments in the order of the region codes; `tile.core` in size.
        float32 from :meth:`Predictor.predict`. From :meth:`Predictor.stream` uint8,
        ``round(255 p)``, of which at least one is not 0 in any pixel.
    class_map : ndarray of float32, (K, h / stride, w / stride)
        Class activations of `tile.core`, divided by the model's temperature.
    """

    tile: Tile
    probabilities: Float32Array | UInt8Array
    class_map: Float32Array


def windows_in(items: Iterable[ReadTile | FailedTile]) -> int:
    """How many of the tiles have pixels."""
    return sum(isinstance(item, ReadTile) for item in items)


def first_windows(
    todo: Iterable[ReadTile | FailedTile], windows: int
) -> list[ReadTile | FailedTile]:
    """The first tiles, so many of them with pixels."""
    group: list[ReadTile | FailedTile] = []
    for item in todo:
        if windows_in(group) == windows:
            break
        group.append(item)
    return group


def cut_cores(
    group: Iterable[ReadTile | FailedTile],
    answer: Answer | None,
    stride: int,
    class_temperature: float = 1.0,
) -> Iterator[PredictedTile | FailedTile]:
    """Cut the cores out of the answer to a batch; copies, as its memory is used again.

    Here alone the class activations are divided by the model's temperature: whatever is made
    of them, of a field, a slide or a gland, is calibrated alike.
    """
    number = 0
    for item in group:
        if isinstance(item, FailedTile):
            yield item
        elif answer is not None:
            core = item.tile.core_in_window
            coarse = core.coarsened(stride)
            class_map = answer.class_map[(number, ..., *coarse.slices)].copy()
            if class_temperature != 1:
                class_map /= np.float32(class_temperature)
            yield PredictedTile(
                item.tile, answer.probabilities[(number, ..., *core.slices)].copy(), class_map
            )
            number += 1
