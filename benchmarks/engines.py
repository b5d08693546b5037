"""How many times faster each engine is than PyTorch as it comes.

    python benchmarks/engines.py [--rounds 5] [--window 1184] [--half] [--compiled]

The width-16 network, from the pixels of one window to probabilities. "As it comes" is eager,
contiguous float32. OpenVINO is left out where it is not installed; with `--half` bfloat16 and
with `--compiled` torch.compile are added, for information. CPU only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from alternating import at_least, medians

from napari_gland_mtl.inference.engine import Engine
from napari_gland_mtl.inference.openvino_engine import OpenVINOEngine, openvino_installed
from napari_gland_mtl.inference.torch_engine import TorchEngine
from napari_gland_mtl.losses.region_probabilities import log_assignment_probabilities
from napari_gland_mtl.network import GlandNetwork, NetworkConfig, build_network

BAR_DEFAULT, BAR_EXTRA = 1.25, 1.7
STARTS = 3


def eager(network: GlandNetwork, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The network as anybody would call it."""
    output = network(images.permute(0, 3, 1, 2).contiguous())
    log_p = log_assignment_probabilities(output.region_logits, network.config.regions)
    return log_p.exp(), output.class_map


def engines(network: GlandNetwork, half: bool, compiled: bool) -> dict[str, Engine]:
    """All that can be had here, by name."""
    chosen: dict[str, Engine] = {"PyTorch, channels last": TorchEngine(network)}
    if compiled:
        chosen["PyTorch, compiled"] = TorchEngine(network, compiled=True)
    if half:
        chosen["PyTorch, bfloat16"] = TorchEngine(network, precision="bfloat16")
    if openvino_installed():
        chosen["OpenVINO"] = OpenVINOEngine(network)
        if half:
            chosen["OpenVINO, bfloat16"] = OpenVINOEngine(network, "bfloat16")
    return chosen


def start_seconds(network: GlandNetwork, images: torch.Tensor) -> float:
    """How long OpenVINO takes to be ready for a size of window, by the clock."""
    times = []
    for _ in range(STARTS):
        start = time.perf_counter()
        engine = OpenVINOEngine(network)
        engine.prepare(tuple(images.shape))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=int, default=1184, help="px, a multiple of 16")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=(16, 32, 64, 128, 256))).eval()
    images = torch.randint(0, 256, (1, options.window, options.window, 3), dtype=torch.uint8)
    chosen = engines(network, options.half, options.compiled)
    with torch.inference_mode():
        expected = eager(network, images)[0]
        for name, engine in chosen.items():
            difference = float((engine(images)[0] - expected).abs().max())
            print(f"{name}: probabilities differ by at most {difference:.1g}")
        tasks: dict[str, Callable[[], object]] = {"as it comes": lambda: eager(network, images)}
        for name, engine in chosen.items():
            tasks[name] = lambda engine=engine: engine(images)  # type: ignore[misc]
        times = medians(tasks, options.rounds)
        if "OpenVINO" in chosen:
            print(f"OpenVINO is ready after {start_seconds(network, images):.1f} s")
    return report({name: times["as it comes"] / seconds for name, seconds in times.items()})


def report(gains: dict[str, float]) -> int:
    for name in ("PyTorch, compiled", "PyTorch, bfloat16", "OpenVINO, bfloat16"):
        if name in gains:
            print(f"{name}, against eager contiguous: {gains[name]:.2f}")
    missed = at_least("default engine against eager", gains["PyTorch, channels last"], BAR_DEFAULT)
    if "OpenVINO" in gains:
        missed |= at_least("OpenVINO against eager", gains["OpenVINO"], BAR_EXTRA)
    else:
        print('OpenVINO is not installed: pip install "napari-gland-mtl[openvino]"')
    return missed


if __name__ == "__main__":
    sys.exit(main())
