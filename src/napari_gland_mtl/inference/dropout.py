"""Dropout that stays on while a network is applied, and drops the same everywhere.

A network trained with dropout stands for many thinned ones; how much they differ says what it
has not learned (Gal and Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016). Here
each pass is one thinned network, chosen by its number alone: the channels that are dropped are
the same in every window of an image, so that tiles fit together as they do without dropout, and
the same image gives the same result, whatever the tiles, the batches and the machine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import InvalidInputError
from ..network import GlandNetwork, NetworkConfig


class FixedDropout(nn.Module):
    """Drops channels by a lot that depends on the number of the pass alone.

    Parameters
    ----------
    share : float
        Probability that a channel is dropped.
    place : int
        Which of the network's dropouts it is.

    Attributes
    ----------
    sample : int or None
        Number of the pass; None for off.
    """

    def __init__(self, share: float, place: int) -> None:
        super().__init__()
        self.share, self.place = share, place
        self.sample: int | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, H, W) with the same channels dropped in all N."""
        if self.sample is None:
            return features
        # On the processor: lots differ between kinds of devices.
        lot = torch.Generator().manual_seed(1_000_003 * self.sample + self.place)
        kept = torch.rand(features.shape[1], generator=lot) >= self.share
        mask = kept.to(features.dtype) / (1 - self.share)
        return features * mask.to(features.device)[None, :, None, None]


def fix_dropout(module: nn.Module) -> list[FixedDropout]:
    """Put `FixedDropout`, switched off, in the place of every dropout of a module."""
    fixed: list[FixedDropout] = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout2d) and child.p > 0:
                fixed.append(FixedDropout(child.p, len(fixed)))
                setattr(parent, name, fixed[-1])
    return fixed


def has_dropout(config: NetworkConfig) -> bool:
    """Whether a network was made with dropout anywhere."""
    return max(config.dropout, config.class_dropout) > 0


def check_dropout(network: GlandNetwork, samples: int, engine: str = "auto") -> None:
    """Refuse, before any work, passes with dropout where they cannot be had.

    Parameters
    ----------
    network : GlandNetwork
    samples : int
        How many passes; 0 for none.
    engine : str
        As asked for.

    Raises
    ------
    InvalidInputError
        If the network was trained without dropout, or the engine is openvino.
    """
    if not samples:
        return
    if not has_dropout(network.config):
        raise InvalidInputError(
            "This model was trained without dropout, so passes with dropout say nothing. Set the "
            "dropout samples to 0, or train a model with dropout."
        )
    if engine == "openvino":
        raise InvalidInputError(
            "The engine openvino runs a network without dropout. Choose the engine torch or auto, "
            "or set the dropout samples to 0."
        )
