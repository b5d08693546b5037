"""Which device a worker process takes, where several of them share a machine.

Whoever starts one worker per GPU usually shows each its own (``CUDA_VISIBLE_DEVICES``,
dask-cuda). Where all workers see all GPUs, each takes the first that no other has taken: a lock
on a file in the machine's temporary folder, which ends with the process however it ends.
"""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ..devices import choose_device
from ..errors import MissingExtraError

DEVICE_VARIABLE = "NAPARI_GLAND_MTL_DEVICE"
"""Environment variable that says which device a worker takes."""
_PATIENCE_S = 3.0

_held: dict[str, Any] = {}
"""Locks of the GPUs that this process has taken."""


def worker_device(asked: str = "auto") -> str:
    """The device that this process computes on.

    Parameters
    ----------
    asked : str
        As in the settings: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:1``. The environment
        variable ``NAPARI_GLAND_MTL_DEVICE`` counts more, so that every worker can be told.

    Returns
    -------
    str
        ``cpu``, ``mps``, ``cuda`` or, where there are several GPUs, ``cuda:1``.

    Raises
    ------
    DeviceNotAvailableError
    """
    import torch

    asked = os.environ.get(DEVICE_VARIABLE, asked)
    device = choose_device(asked)
    count = torch.cuda.device_count() if str(device) == "cuda" else 0
    return f"cuda:{claim(gpu_names(count))}" if count > 1 else str(device)


def gpu_names(count: int) -> list[str]:
    """Names that mean the same GPU to all processes of this machine, in this process's order."""
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return shown if len(shown) == count and all(shown) else [str(index) for index in range(count)]


def claim(
    names: list[str],
    folder: Path | None = None,
    held: dict[str, Any] | None = None,
    patience_s: float = _PATIENCE_S,
) -> int:
    """Take the first GPU that no other process has taken, for as long as this process lives.

    Parameters
    ----------
    names : list of str
        Of the GPUs, as all processes call them.
    folder : Path, optional
        Where the locks are: local to the machine.
    held : dict, optional
        Locks taken before.
    patience_s : float
        How long to wait for one to become free: a worker that was killed may be dying still.

    Returns
    -------
    int
        Place in `names`. Where there are more workers than GPUs they share.
    """
    held = _held if held is None else held
    for index, name in enumerate(names):
        if name in held:
            return index
    end = time.monotonic() + patience_s
    while True:
        for index, name in enumerate(names):
            lock = _try_lock(name, folder)
            if lock is not None:
                held[name] = lock
                return index
        if time.monotonic() >= end:
            return os.getpid() % len(names)
        time.sleep(0.1)


def _try_lock(name: str, folder: Path | None) -> Any:
    """A lock on a GPU, or None if another process has it."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError(
            "Several GPUs on one machine need the package filelock. Install it with: "
            'pip install "napari-gland-mtl[cluster]"'
        ) from error
    place = Path(tempfile.gettempdir()) if folder is None else folder
    plain = "".join(letter if letter.isalnum() else "-" for letter in f"{getpass.getuser()}-{name}")
    lock = FileLock(place / f"napari-gland-mtl-gpu-{plain}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
