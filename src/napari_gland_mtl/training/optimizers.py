"""The optimisers of a training and the course of their learning rate.

The paper trains network and log-variances together, with one optimiser; the log-variances are
a group of their own in it, because momentum makes them overshoot.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ..losses.weighting import AlternatingWeighting, LossWeighting
from .config import TrainingConfig

RATE_FACTOR = "rate_factor"
"""In a group of parameters: its learning rate, relative to that of the step."""


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Let an optimiser take its next step with the learning rate of that step."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(RATE_FACTOR, 1.0)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of a step, counted from 0."""
    rate = config.learning_rate
    if step < config.schedule_warmup_steps:
        return rate * (step + 1) / config.schedule_warmup_steps
    if config.schedule == "cosine":
        length = max(1, config.total_steps - config.schedule_warmup_steps)
        share = (step - config.schedule_warmup_steps) / length
        return rate * (0.5 * (1 + math.cos(math.pi * min(share, 1.0))) * 0.99 + 0.01)
    return rate


def build_optimizers(
    config: TrainingConfig, network: nn.Module, weighting: LossWeighting
) -> list[Optimizer]:
    """One optimiser for network and log-variances together; one per loss when alternating."""
    count = len(config.losses) if isinstance(weighting, AlternatingWeighting) else 1
    return [_build_optimizer(config, network, weighting) for _ in range(count)]


def _uncertainty_heads(network: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The parts of a network that predict log sigma^2; none in most."""
    names = ("uncertainty_head", "pixel_uncertainty_head")
    found = [getattr(network, name, None) for name in names]
    return [head for head in found if head is not None]


def _build_optimizer(
    config: TrainingConfig, network: nn.Module, weighting: LossWeighting
) -> Optimizer:
    heads = _uncertainty_heads(network)
    apart = {id(head.weight) for head in heads}
    groups: list[dict[str, Any]] = [
        {"params": [values for values in network.parameters() if id(values) not in apart]}
    ]
    own = list(weighting.parameters())
    sgd = config.optimiser == "sgd"
    if own:
        # The log-variances have neither momentum nor decay: with them they overshoot.
        without: dict[str, Any] = {"momentum": 0.0} if sgd else {"betas": (0.0, 0.999)}
        faster = (config.log_var_learning_rate or config.learning_rate) / config.learning_rate
        groups.append({"params": own, "weight_decay": 0.0, RATE_FACTOR: faster, **without})
        for head in heads:
            # A sum over all channels moves as many times as far as one of its weights; so that
            # it moves about as fast as s_i, and is not at its bound within ten steps.
            factor = faster / head.weight.shape[1]
            groups.append(
                {"params": [head.weight], "weight_decay": 0.0, RATE_FACTOR: factor, **without}
            )
    if sgd:
        return torch.optim.SGD(
            groups,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
