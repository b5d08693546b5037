"""How many times faster tiles are predicted here than by MONAI's sliding window.

    python benchmarks/sliding_window.py [--rounds 2] [--side 5120] [--tile 1024]

The same width-16 network on the same image in memory, to probabilities of the same size. MONAI
gets windows as large as ours, its own default overlap, and the network as it comes; what it would
take with the network laid out channels last, as ours is, is printed too, and so is what each
costs per computed px, that is with the overlap left aside. Where MONAI averages windows whose
borders saw too little, tiles here are exact. Both get better with larger images, which have less
border; below 5120 px it costs MONAI more. Needs MONAI (`pip install monai`), which is no
dependency.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import numpy.typing as npt
import torch
from alternating import at_least, medians
from monai.inferers import SlidingWindowInferer

from napari_gland_mtl.inference.predictor import PredictedTile, Predictor
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.losses.region_probabilities import log_assignment_probabilities
from napari_gland_mtl.network import GlandNetwork, NetworkConfig, build_network

BAR_SAME, BAR_DEFAULT = 1.4, 3.0
RGB = npt.NDArray[np.uint8]


class Image:
    """Pixels in memory."""

    def __init__(self, pixels: RGB) -> None:
        self.pixels, self.shape = pixels, pixels.shape[:2]

    def read(self, window: Window) -> RGB:
        """Pixels of a window."""
        return self.pixels[window.slices]


class Monai:
    """MONAI's sliding window over the same image; a call does all of it."""

    def __init__(self, network: GlandNetwork, pixels: RGB, window: int) -> None:
        self.network = network
        # MONAI works on numbers from 0 to 1; bringing the image there is not counted.
        self.image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        self.inferer = SlidingWindowInferer(roi_size=window, sw_batch_size=1)
        self.computed = 0

    def probabilities(self, windows: torch.Tensor) -> torch.Tensor:
        """What MONAI calls for every batch of windows."""
        self.computed += windows.shape[0] * windows.shape[2] * windows.shape[3]
        logits = self.network(windows).region_logits.contiguous()
        return log_assignment_probabilities(logits, self.network.config.regions).exp()

    def __call__(self) -> object:
        """Probabilities of the whole image."""
        self.computed = 0
        with torch.inference_mode():
            return self.inferer(self.image, self.probabilities)


class Ours:
    """Tiles of the same image, put together; a call does all of it."""

    def __init__(self, predictor: Predictor, pixels: RGB) -> None:
        self.predictor, self.image = predictor, Image(pixels)
        self.tiles = predictor.plan(self.image.shape)
        height, width = self.tiles[0].window.shape
        self.computed = len(self.tiles) * height * width
        self.result = np.empty((3, *self.image.shape), dtype=np.uint8)

    def __call__(self) -> object:
        """Probabilities of the whole image."""
        for result in self.predictor.stream(self.image, self.tiles):
            if isinstance(result, PredictedTile):
                self.result[(..., *result.tile.core.slices)] = result.probabilities
        return self.result


def plain_network(channels_last: bool = False) -> GlandNetwork:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=(16, 32, 64, 128, 256))).eval()
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", type=int, default=5120, help="px, a multiple of 16")
    parser.add_argument("--tile", type=int, default=1024)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    network = plain_network()
    same = Ours(Predictor(network, tile_size=options.tile, engine="torch"), pixels)
    default = Ours(Predictor(network, tile_size=options.tile), pixels)
    window = same.tiles[0].window.shape[0]
    monai = Monai(network, pixels, window)
    monai_laid_out = Monai(plain_network(channels_last=True), pixels, window)
    tasks = {"MONAI": monai, "laid out": monai_laid_out, "same": same, "default": default}
    seconds = medians(tasks, options.rounds)
    area = options.side**2
    print(f"px computed per px of the image: MONAI {monai.computed / area:.2f}, ", end="")
    print(f"ours {same.computed / area:.2f}")
    per_computed = (seconds["MONAI"] / monai.computed) / (seconds["same"] / same.computed)
    print(f"faster per computed px, both on PyTorch: {per_computed:.2f}")
    laid_out = seconds["laid out"] / seconds["same"]
    print(f"faster than MONAI with its network laid out channels last: {laid_out:.2f}")
    gain = seconds["MONAI"] / seconds["same"]
    missed = at_least("faster than MONAI, both on PyTorch", gain, BAR_SAME)
    gain = seconds["MONAI"] / seconds["default"]
    name = default.predictor.engine
    return missed | at_least(f"faster than MONAI by default ({name})", gain, BAR_DEFAULT)


if __name__ == "__main__":
    sys.exit(main())
