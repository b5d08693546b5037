"""Labels that are made but not yet given out, as runs of gland number and region code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..metrics.runs import Runs, concatenated
from .tiling import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]

CODE_BITS = 8
"""A painted value is the number of the gland, shifted by this, and the code of the region."""


def pack(regions: Regions, glands: Instances) -> Instances:
    """Labels as values to paint."""
    packed: Instances = (glands << CODE_BITS) | regions
    return packed


def unpack(painted: Instances) -> tuple[Regions, Instances]:
    """Region codes and gland numbers of painted values."""
    return (painted & (2**CODE_BITS - 1)).astype(np.uint8), painted >> CODE_BITS


def renumbered(runs: Runs, shift: int) -> Runs:
    """Packed runs with a number added to those of all glands."""
    is_gland = runs.value >= 2**CODE_BITS
    return runs.with_values(runs.value + np.where(is_gland, shift << CODE_BITS, 0))


class Canvas:
    """Painted pixels of a slide, of which no two paintings share one."""

    def __init__(self) -> None:
        self._parts: list[tuple[Window, Runs]] = []

    @property
    def nbytes(self) -> int:
        """Memory that the runs take."""
        return sum(runs.nbytes for _, runs in self._parts)

    def add(self, runs: Runs) -> None:
        """Paint."""
        if runs.size:
            self._parts.append((_box(runs), runs))

    def read(self, window: Window) -> npt.NDArray[np.int32]:
        """The painted values of a window, 0 where there is nothing."""
        parts = [runs.within(*window) for box, runs in self._parts if _meet(box, window)]
        inside = concatenated(parts).shifted(-window.y0, -window.x0).in_order()
        painted: npt.NDArray[np.int32] = inside.paint(window.shape)
        return painted

    def forget_above(self, y: int) -> None:
        """Drop all that lies in the rows before `y`."""
        kept = []
        for box, runs in self._parts:
            if box.y1 <= y:
                continue
            below = runs.where(runs.y >= y) if box.y0 < y else runs
            kept.append((_box(below) if box.y0 < y else box, below))
        self._parts = kept


def _box(runs: Runs) -> Window:
    return Window(
        int(runs.y.min()), int(runs.start.min()), int(runs.y.max()) + 1, int(runs.stop.max())
    )


def _meet(first: Window, second: Window) -> bool:
    return (
        first.y0 < second.y1
        and second.y0 < first.y1
        and first.x0 < second.x1
        and second.x0 < first.x1
    )
