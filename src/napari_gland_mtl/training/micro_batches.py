"""Losses and gradients of one batch, in parts where memory does not hold all of it.

Memory grows with the patches that go through the network at once. Where it runs out, their number
is halved and the step done again: gradients of the parts are added up, each part's losses weighted
by its share of what they are means over (annotated pixels, images of known class), so that
gradients and learned weights are those of the whole batch. Only batch normalisation sees the
parts one by one, unless its statistics are frozen.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..datasets.patches import PatchBatch
from ..losses.instance_weighting import InstanceWeighting
from ..losses.objective import loss_counts
from ..losses.terms import BatchLosses, ImageNumbers
from ..losses.weighting import LossWeighting
from .config import TrainingConfig
from .multi_objective import MultiObjectiveWeighting
from .whole_batch import WholeBatchDropout2d

Losses = dict[str, Tensor]

# Of PyTorch on processors, Apple's GPUs, and of the libraries it calls.
_WORDS = ("out of memory", "not enough memory", "allocate memory", "_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def out_of_memory_words(config: TrainingConfig, step: int, kept: int | None, folder: Path) -> str:
    """What to say where halving does not help any more, or is not possible."""
    side = config.patch_size
    if config.devices > 1:
        return (
            f"The memory of the GPU ran out at step {step}, with {config.batch_size} patches of "
            f"{side} px on {config.devices} of them. The state after step {kept} is kept in "
            f"{folder}: go on with it on more devices, or start anew with fewer or smaller patches."
        )
    if config.multi_objective:
        return (
            f"Memory ran out at step {step}, with {config.batch_size} patches of {side} px. The "
            f"weighting {config.weighting!r} cannot compute them in parts. The state after step "
            f"{kept} is kept in {folder}: close other programs or choose another device and go on "
            "with it, or start anew with fewer or smaller patches, or another weighting."
        )
    return (
        f"Memory ran out at step {step}, even with a single patch of {side} px at once. The state "
        f"after step {kept} is kept in {folder}: close other programs or choose another device "
        "and go on with it, or start anew with smaller patches."
    )


class Passed(NamedTuple):
    """What came of a batch, beside the gradients.

    Attributes
    ----------
    total : scalar Tensor
        What was differentiated; if it is not finite, nothing was.
    losses : dict of str to scalar Tensor
        Unweighted, of the whole batch.
    images : ImageNumbers
        Of each patch.
    """

    total: Tensor
    losses: Losses
    images: ImageNumbers


@dataclass
class Passes:
    """Takes batches through the network, in as few parts as memory allows.

    Parameters
    ----------
    network : Module
    weighting : LossWeighting
    losses_of : callable
        Losses of some patches, in training mode: ``losses_of(patches)``.
    count : int
        Patches of a batch.
    divisible : bool
        Whether batches may be divided; several processes that wait for each other may not.
    at_once : int
        Patches that go through the network at once; 0 for all.
    notices : list of str
        What happened, in words; see `take_notices`.
    """

    network: nn.Module
    weighting: LossWeighting
    losses_of: Callable[[PatchBatch], BatchLosses]
    count: int
    divisible: bool = True
    at_once: int = 0
    notices: list[str] = field(default_factory=list)

    def run(self, batch: PatchBatch) -> Passed:
        """Leave the gradients of a batch in the parameters."""
        while True:
            statistics = [buffer.clone() for buffer in self.network.buffers()]
            try:
                return self._attempt(batch)
            except (RuntimeError, MemoryError) as error:
                if not (self._may_halve and is_out_of_memory(error)):
                    raise
            # Not before here has the error let go of what the attempt had in memory.
            self._halve()
            for buffer, before in zip(self.network.buffers(), statistics, strict=True):
                buffer.copy_(before)

    def take_notices(self) -> list[str]:
        """What has happened since the last call, in words."""
        notices, self.notices = self.notices, []
        return notices

    @property
    def _may_halve(self) -> bool:
        return self.divisible and (self.at_once or self.count) > 1

    def _halve(self) -> None:
        self.at_once = ((self.at_once or self.count) + 1) // 2
        _release_memory()
        patches = "1 patch is" if self.at_once == 1 else f"{self.at_once} patches are"
        self.notices.append(
            f"Memory ran out: from now on {patches} computed at once, and a step still learns from "
            f"{self.count}. It takes somewhat longer."
        )

    def _attempt(self, batch: PatchBatch) -> Passed:
        self.network.zero_grad(set_to_none=True)
        self.weighting.zero_grad(set_to_none=True)
        if self.at_once:
            return self._in_parts(batch)
        losses = self.losses_of(batch)
        images = self.weighting.image_numbers(losses)
        if isinstance(self.weighting, MultiObjectiveWeighting):
            total = self.weighting.descend(losses.means, self.network)
            return Passed(total, losses.means, images)
        total = self.weighting.objective(losses)
        if torch.isfinite(total):
            total.backward()  # type: ignore[no-untyped-call]
        return Passed(total, losses.means, images)

    def _in_parts(self, batch: PatchBatch) -> Passed:
        names, dropouts = self.weighting.names, _divided_dropouts(self.network, self.count)
        whole = loss_counts(batch.labels, batch.classes, names)
        sums: Losses = {}
        images: list[ImageNumbers] = []
        totals: list[Tensor] = []
        for first in range(0, self.count, self.at_once):
            rows = slice(first, first + self.at_once)
            for layer in dropouts:
                layer.rows = rows
            part = batch.part(rows)
            losses = self.losses_of(part)
            images.append(self.weighting.image_numbers(losses))
            shares = self._shares(losses, loss_counts(part.labels, part.classes, names), whole)
            totals.append(self._part_backward(losses, shares, whole))
            sums = {name: sums.get(name, 0) + shares[name].detach() for name in names}
        total = torch.stack(totals).sum()
        if not isinstance(self.weighting, InstanceWeighting):
            total = self.weighting(sums)
            if total.requires_grad:  # the learned weights
                total.backward()
        return Passed(total, sums, ImageNumbers.joined(images))

    def _shares(self, losses: BatchLosses, own: Losses, whole: Losses) -> Losses:
        """What the losses of a part add to those of the whole."""
        return {
            name: loss * (int(own[name]) / max(int(whole[name]), 1))
            for name, loss in losses.means.items()
        }

    def _part_backward(self, losses: BatchLosses, shares: Losses, whole: Losses) -> Tensor:
        """Add the gradients of a part; returns what it adds to the total, where that is a sum."""
        if isinstance(self.weighting, InstanceWeighting):
            part = self.weighting.objective(losses, whole)
        else:
            factors = self.weighting.weights().detach()
            part = (factors * self.weighting.stacked(shares)).sum()
        part.backward()  # type: ignore[no-untyped-call]
        return part.detach()


def _divided_dropouts(network: nn.Module, count: int) -> list[WholeBatchDropout2d]:
    """The layers that draw one mask for the whole batch, put in place of those that do not."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Dropout2d) and not isinstance(layer, WholeBatchDropout2d):
                setattr(parent, name, WholeBatchDropout2d(layer.p, count, slice(None)))
    return [layer for layer in network.modules() if isinstance(layer, WholeBatchDropout2d)]


def _release_memory() -> None:
    # At 0 while a window trains: it must not be done in the thread of a job (`widgets._garbage`).
    if gc.get_threshold()[0] > 0:
        gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
