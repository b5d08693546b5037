"""How busy the pipeline keeps a GPU, and how much tissue it gets through.

    python benchmarks/gpu_pipeline.py [--rounds 5] [--tiles 64] [--tile 1024] [--batch 8]
                                      [--precision auto] [--readers 4] [--flips] [--compiled]

The width-16 network over tiles of an image in memory: reading ahead, the way to the GPU and back,
averaging, rounding, cutting out. The bare forward pass is that of the same network on a batch
that is on the GPU already. By the clock, in turn, medians. Where there is no CUDA device it says
so and ends.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from alternating import at_least

from napari_gland_mtl.inference.predictor import PredictedTile, Predictor
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.network import NetworkConfig, build_network

BAR = 0.8
MPP = 0.5


class Endless:
    """An image of any size, the same pixels over and over."""

    def __init__(self, height: int, width: int, window: int) -> None:
        self.shape = (height, width)
        rng = np.random.default_rng(0)
        self._pixels = rng.integers(0, 256, (2 * window, 2 * window, 3), dtype=np.uint8)

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Some pixels of the size of the window."""
        height, width = window.shape
        y, x = window.y0 % height, window.x0 % width
        return self._pixels[y : y + height, x : x + width]


class Pipeline:
    """The stream over all tiles, and the bare forward pass of as many windows."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        network = build_network(NetworkConfig(widths=(16, 32, 64, 128, 256)))
        self.predictor = Predictor(
            network,
            "cuda",
            options.tile,
            options.batch,
            flips=options.flips,
            precision=options.precision,
            compiled=options.compiled,
        )
        self.readers = options.readers
        side = options.tile * 8
        height = options.tile * -(-options.tiles // 8)
        self.image = Endless(height, side, options.tile + 2 * self.predictor.halo)
        self.tiles = self.predictor.plan(self.image.shape)

    def stream(self) -> None:
        """All tiles, as a slide's would be run."""
        results = self.predictor.stream(self.image, self.tiles, readers=self.readers)
        if not all(isinstance(result, PredictedTile) for result in results):
            raise SystemExit("A tile failed.")

    def bare(self) -> None:
        """The forward passes alone."""
        engine, batch = self.predictor.built_engine, self.predictor.batch_size
        if engine is None:
            raise SystemExit("The stream has to run first.")
        shape = (batch, *self.tiles[0].window.shape, 3)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, device="cuda")
        passes = len(self.predictor.flips) * -(-len(self.tiles) // batch)
        with torch.inference_mode():
            for _ in range(passes):
                engine(images)


def seconds(task: Callable[[], None]) -> float:
    """By the clock, until the GPU is done."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    task()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiles", type=int, default=64, help="a multiple of 8 and of --batch")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing was measured.")
        return 0
    return measure(Pipeline(options), options.rounds)


def measure(pipeline: Pipeline, rounds: int) -> int:
    pipeline.stream()  # makes the engine ready, compiled if it is to be
    pipeline.bare()
    times = [(seconds(pipeline.stream), seconds(pipeline.bare)) for _ in range(rounds)]
    stream, bare = (statistics.median(column) for column in zip(*times, strict=True))
    predictor, count = pipeline.predictor, len(pipeline.tiles)
    area = count * (predictor.tile_size * MPP / 1000) ** 2
    print(f"{torch.cuda.get_device_name()}, {predictor.precision}, batch {predictor.batch_size}")
    print(f"{count / stream:.1f} tiles per second, bare {count / bare:.1f}")
    print(f"{area / stream:.2f} mm2 per second at {MPP} um/px")
    peak = torch.cuda.max_memory_allocated() / 2**20
    print(f"{peak:.0f} MiB of the GPU's memory at most")
    return at_least("bare forward pass in the pipeline's time", bare / stream, BAR)


if __name__ == "__main__":
    sys.exit(main())
