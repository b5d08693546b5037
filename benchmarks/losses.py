"""What the topology and geometry losses add to a training step.

    python benchmarks/losses.py [--rounds 7] [--batch 8] [--patch 250]

Their cost, forward and backward, is measured on the logits alone (all four losses less the
other two) and set against a whole step of the width-16 network with all four. CPU only.
"""

from __future__ import annotations

import argparse
import sys

import torch
from alternating import medians, verdict

from napari_gland_mtl.losses import LOSS_NAMES, UncertaintyWeighting, multi_loss
from napari_gland_mtl.network import NetworkConfig, NetworkOutput, build_network

BAR = 0.08
WITHOUT = ("classification", "segmentation")


class Step:
    """A training step and its losses on made-up patches; what they show plays no part."""

    def __init__(self, batch: int, patch: int) -> None:
        torch.manual_seed(0)
        config = NetworkConfig(widths=(16, 32, 64, 128, 256))
        self.hierarchy = config.regions
        self.network = build_network(config)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.rand(batch, 3, patch, patch)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = blobs(batch, patch)
        self.classes = torch.randint(0, len(config.classes), (batch,))
        self.weighting = UncertaintyWeighting(LOSS_NAMES)
        parameters = [*self.network.parameters(), *self.weighting.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
        self.logits = torch.randn(batch, len(self.hierarchy), patch, patch)

    def whole(self) -> None:
        """Network, losses, gradients, optimiser."""
        output = self.network(self.images)
        losses = multi_loss(output, self.labels, self.classes, self.hierarchy)
        self.optimizer.zero_grad(set_to_none=True)
        self.weighting(losses).backward()
        self.optimizer.step()

    def losses_alone(self, names: tuple[str, ...]) -> None:
        """The named losses and their gradients with respect to the logits."""
        regions = self.logits.clone().requires_grad_()
        classes = torch.zeros(len(self.classes), 2, requires_grad=True)
        output = NetworkOutput(classes, regions, classes[..., None, None])
        losses = multi_loss(output, self.labels, self.classes, self.hierarchy, names)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]


def blobs(batch: int, patch: int) -> torch.Tensor:
    """Labels in connected areas, as the geometry loss expects them."""
    coarse = torch.randint(1, 4, (batch, 1, patch // 25 + 1, patch // 25 + 1)).float()
    fine = torch.nn.functional.interpolate(coarse, (patch, patch), mode="nearest")
    return fine[:, 0].to(torch.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=250)
    options = parser.parse_args()
    step = Step(options.batch, options.patch)
    times = medians(
        {
            "whole step": step.whole,
            "four losses": lambda: step.losses_alone(LOSS_NAMES),
            "without topology and geometry": lambda: step.losses_alone(WITHOUT),
        },
        options.rounds,
    )
    for name, seconds in times.items():
        print(f"{name}: {seconds / times['whole step']:.3f} of a step")
    added = times["four losses"] - times["without topology and geometry"]
    return verdict("topology and geometry losses in a step", added / times["whole step"], BAR)


if __name__ == "__main__":
    sys.exit(main())
