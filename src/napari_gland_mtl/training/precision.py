"""Decide by a probe whether training in bfloat16 pays on a device.

bfloat16 trains about twice as fast on processors and GPUs made for it and several times slower
on others, so it is tried on a small piece of the real work rather than looked up.
"""

from __future__ import annotations

import torch

from ..devices import pays
from ..network import GlandNetwork


def bfloat16_pays(network: GlandNetwork, device: torch.device, size: int = 128) -> bool:
    """Whether a training step of `network` is at least 1.2 times faster in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    images = torch.rand(2, 3, size, size)
    # The first weights that learn: gradients go back to there.
    first = [weights for weights in network.parameters() if weights.requires_grad][:1]

    def step(half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = network(images).region_logits
        torch.autograd.grad(logits.float().square().mean(), first)

    was_training, buffers = network.training, [b.clone() for b in network.buffers()]
    network.eval()
    faster = pays(lambda: step(half=True), lambda: step(half=False))
    network.train(was_training)
    for buffer, before in zip(network.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return faster
