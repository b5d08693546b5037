"""Guards against forgetting: what a network that goes on learning keeps of the one it began as.

A few annotated areas of one laboratory pull all weights towards them, and images that the start
model knew well come out worse. Three things hold against that, each a setting: parts that do not
learn (the encoder), batch statistics that stay, and weights that are a mean of the learned ones
and those of the start model (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The
mean is taken of the result alone: what is being trained goes its own way.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from ..network import GlandNetwork
from .config import TrainingConfig


def freeze(network: GlandNetwork, config: TrainingConfig) -> None:
    """Exclude the parts from learning that are to stay as they are."""
    if config.freeze_encoder:
        network.encoder.requires_grad_(False)


def set_training(network: GlandNetwork, config: TrainingConfig) -> None:
    """Training mode, but for layers whose batch statistics are to stay as they are."""
    network.train()
    if config.freeze_encoder:
        network.encoder.eval()
    if config.freeze_statistics:
        for layer in network.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()


class Blend:
    """The mean of a learned network and the one that it began as.

    Parameters
    ----------
    start : GlandNetwork
        Before the first step; copied.
    keep : float
        Share of the start in the mean, 0..1.

    Examples
    --------
    >>> from napari_gland_mtl.network import NetworkConfig, build_network
    >>> network = build_network(NetworkConfig(widths=(4, 8)))
    >>> blend = Blend(network, keep=0.25)
    >>> with torch.no_grad():
    ...     _ = network.region_head.bias.fill_(1.0)  # was 0
    >>> blend.of(network).region_head.bias.tolist()
    [0.75, 0.75, 0.75]
    """

    def __init__(self, start: GlandNetwork, keep: float) -> None:
        self.keep = keep
        self._start = {name: value.clone() for name, value in start.state_dict().items()}
        self._mean = copy.deepcopy(start).requires_grad_(False)

    @torch.no_grad()
    def of(self, learned: GlandNetwork) -> GlandNetwork:
        """``start + (1 - keep) * (learned - start)`` of all weights and batch statistics.

        The same network every time, with other weights.
        """
        mean = self._mean.state_dict()
        for name, new in learned.state_dict().items():
            if new.dtype.is_floating_point:
                mean[name].copy_(torch.lerp(self._start[name], new, 1 - self.keep))
            else:
                mean[name].copy_(new)
        return self._mean
