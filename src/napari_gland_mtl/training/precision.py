"""Choose the device and decide by a probe whether bfloat16 pays there.

bfloat16 trains about twice as fast on processors and GPUs made for it and several times slower
on others, so it is tried on a small piece of the real work rather than looked up.
"""

from __future__ import annotations

import time

import torch

from ..errors import DeviceNotAvailableError
from ..network import GlandNetwork

LEAST_GAIN = 1.2


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that exists.

    Raises
    ------
    DeviceNotAvailableError
        If this machine has no such device.
    """
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        best = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceNotAvailableError(
            f"{name!r} is no device; use auto, cpu, cuda or mps."
        ) from error
    number = device.index or 0
    if device.type == "cuda" and number < torch.cuda.device_count():
        return device
    if (device.type == "mps" and has_mps) or device.type == "cpu":
        return device
    raise DeviceNotAvailableError(
        f"This machine has no device {name!r}. Use --device auto, or cpu."
    )


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
