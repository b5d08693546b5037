"""Decide by a probe whether training in bfloat16 pays on a device.

bfloat16 trains about twice as fast on processors and GPUs made for it and several times slower
on others, so it is tried on a small piece of the real work rather than looked up.
"""

from __future__ import annotations

import time

import torch

from ..network import GlandNetwork

LEAST_GAIN = 1.2


def bfloat16_pays(network: GlandNetwork, device: torch.device, size: int = 128) -> bool:
    """Whether a training step of `network` is at least 1.2 times faster in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    images = torch.rand(2, 3, size, size)

    def seconds(enabled: bool) -> float:
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                logits = network(images).region_logits
            torch.autograd.grad(logits.float().square().mean(), list(network.parameters())[:1])
            best = min(best, time.perf_counter() - start)
        return best

    was_training, buffers = network.training, [b.clone() for b in network.buffers()]
    network.eval()
    plain, half = seconds(False), seconds(True)
    network.train(was_training)
    for buffer, before in zip(network.buffers(), buffers, strict=True):
        buffer.copy_(before)
    return plain >= LEAST_GAIN * half
