"""The losses of an epoch: means over the steps that showed something to them.

A batch may have nothing to show to a loss, no image of known class, say. Its value is 0 then, and
so is that of a loss that has nothing left to learn from: what was counted tells them apart. Sums
and gaps are part of the state, so that a training stopped in mid-epoch gives the same means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .state import Progress


def add_step(progress: Progress, losses: Mapping[str, float], counts: Mapping[str, float]) -> None:
    """Add the losses of a step to those of its epoch.

    Parameters
    ----------
    progress : Progress
        Changed in place.
    losses : mapping of str to float
    counts : mapping of str to float
        How many things each of them is a mean over; 0 where the batch had nothing to show to it.
    """
    sums, gaps = progress.loss_sums, progress.loss_gaps
    progress.loss_sums = {name: sums.get(name, 0.0) + losses[name] for name in losses}
    progress.loss_gaps = {name: gaps.get(name, 0) + (not counts[name]) for name in losses}


def take_means(progress: Progress, steps: int) -> dict[str, float]:
    """The means of an epoch of so many steps, NaN where none showed anything; starts anew."""
    sums, gaps = progress.loss_sums, progress.loss_gaps
    progress.loss_sums, progress.loss_gaps = {}, {}
    shown = {name: steps - gaps.get(name, 0) for name in sums}
    return {name: sums[name] / shown[name] if shown[name] else math.nan for name in sums}
