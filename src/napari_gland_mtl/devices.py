"""Turn the name of a device into one that this machine has."""

from __future__ import annotations

import torch

from .errors import DeviceNotAvailableError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name, or with ``"auto"`` the fastest at hand: cuda, mps, cpu.

    Parameters
    ----------
    name : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    DeviceNotAvailableError
        If this machine (or this build of PyTorch) does not have it; names those it has.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available[:0] = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(available[0])
    if name not in available:
        raise DeviceNotAvailableError(
            f"The device {name!r} is not available on this machine. Use one of: auto, "
            f"{', '.join(available)}."
        )
    return torch.device(name)
