"""Layers that see the whole batch while each process computes a share of it.

Batch normalisation takes its statistics over all patches of a step, and dropout draws one mask
for all of them. With the batch spread over several processes the sums are added up across them,
and every process draws the whole mask and takes its own rows: the network then computes what it
would compute in one process, but for rounding. Names and shapes of weights stay as they are, so
that checkpoints are the same.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn import functional

from ..losses.region_probabilities import at_least_float32


class _Sum(Function):
    """The sum over all processes; its gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(_context, gradient)


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up a tensor over all processes, bit for bit the same in each; differentiable.

    What is differentiated is the sum of all processes' objectives: where each of n processes
    holds the same objective, gradients come out n times too large until
    ``DistributedDataParallel`` takes their mean.
    """
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the patches of all processes, however many each has.

    PyTorch's own ``SyncBatchNorm`` does the same, faster, and on GPUs alone.
    """

    @classmethod
    def like(cls, plain: nn.BatchNorm2d) -> Self:
        """The same layer: parameters and running statistics are shared with `plain`."""
        norm = cls(plain.num_features, plain.eps, plain.momentum)
        norm.weight, norm.bias = plain.weight, plain.bias
        norm.running_mean, norm.running_var = plain.running_mean, plain.running_var
        norm.num_batches_tracked = plain.num_batches_tracked
        return norm.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W) by the mean and variance of all processes' pixels."""
        if not self.training:
            return super().forward(input)
        values, over, shape = at_least_float32(input), (0, 2, 3), (1, -1, 1, 1)
        pixels = values.new_tensor([values[:, 0].numel()])
        total = sum_over_processes(torch.cat([values.sum(over), pixels]))
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = values - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(over)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = centred * scale.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        share = self.momentum or 0.0
        for name, new in (("running_mean", mean), ("running_var", variance)):
            self.get_buffer(name).lerp_(new, share)
        self.get_buffer("num_batches_tracked").add_(1)


class WholeBatchDropout2d(nn.Dropout2d):
    """Dropout whose mask is that of the whole batch, of which these are some rows.

    Parameters
    ----------
    p : float
        Chance of a channel to be left out, 0..1.
    count : int
        Patches of the whole batch.
    rows : slice
        Which of them are here.
    """

    def __init__(self, p: float, count: int, rows: slice) -> None:
        super().__init__(p)
        self.count, self.rows = count, rows

    def forward(self, input: Tensor) -> Tensor:
        """Leave out channels of (N, C, H, W) in training."""
        if not self.training:
            return input
        kept = input.new_ones((self.count, input.shape[1], 1, 1))
        return input * functional.dropout2d(kept, self.p)[self.rows]


def see_whole_batch(network: nn.Module, count: int, rows: slice, on_gpu: bool) -> None:
    """Put layers into `network` that see the whole batch, in the place of those that do not.

    Parameters
    ----------
    network : Module
        Changed in place; its parameters and the names of its state stay.
    count : int
        Patches of the whole batch.
    rows : slice
        Those that this process computes.
    on_gpu : bool
        Take PyTorch's ``SyncBatchNorm``.
    """
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Dropout2d):
                setattr(parent, name, WholeBatchDropout2d(layer.p, count, rows))
            elif isinstance(layer, nn.BatchNorm2d) and not on_gpu:
                setattr(parent, name, WholeBatchNorm2d.like(layer))
    if on_gpu:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
