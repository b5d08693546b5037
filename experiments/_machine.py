"""What kind of machine a run was computed on, in words that name no host."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

from napari_gland_mtl.devices import choose_device


@cache
def machine(device: str = "auto") -> str:
    """The GPU's name, or the processor's with the threads used."""
    kind = choose_device(device).type
    if kind == "cuda":
        return str(torch.cuda.get_device_name())
    if kind != "cpu":
        return f"{_processor()}, GPU ({kind})"
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} {'thread' if threads == 1 else 'threads'}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
