"""Turn the name of a device into one that this machine has, and find out what pays on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from .errors import DeviceNotAvailableError

LEAST_GAIN = 1.2
"""How many times faster a less exact way has to be to be worth it; timing errs by less."""


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


def pays(
    candidate: Callable[[], object],
    plain: Callable[[], object],
    gain: float = LEAST_GAIN,
    rounds: int = 3,
) -> bool:
    """Whether one way of doing a thing is so many times faster than another, by the clock.

    Both are run in turn, so that a busy machine slows both alike; the best of each counts.

    Parameters
    ----------
    candidate, plain : callable
        The same piece of work done in either way, on the processor.
    gain : float
        By how much `candidate` has to be faster.
    rounds : int
        Calls of each.
    """

    def seconds(task: Callable[[], object]) -> float:
        start = time.perf_counter()
        task()
        return time.perf_counter() - start

    times = [(seconds(plain), seconds(candidate)) for _ in range(rounds)]
    return min(pair[0] for pair in times) >= gain * min(pair[1] for pair in times)
