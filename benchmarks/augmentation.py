"""Augmentation against a chain of kornia's transforms, and against a training step.

    python benchmarks/augmentation.py [--rounds 5] [--batch 8] [--patch 240]

Both vary a batch by flips, an affine map, an elastic deformation and colour, images and masks
together. kornia is no dependency of this package: without it the ratio to a step is given
alone. CPU only; the amounts of variation are alike, not equal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from alternating import medians
from losses import Step

from napari_gland_mtl.datasets.augmentation import AugmentationConfig, augment
from napari_gland_mtl.datasets.patches import PatchBatch

MPP = 1.24


def ours(batch: int, patch: int) -> Callable[[], object]:
    """One call of `augment` on windows of the size that the trainer draws."""
    config = AugmentationConfig()
    window = config.window(patch)
    drawn = PatchBatch(
        torch.randint(0, 256, (batch, 3, window, window), dtype=torch.uint8),
        torch.randint(1, 4, (batch, window, window), dtype=torch.uint8),
        torch.zeros(batch, dtype=torch.int64),
    )
    return lambda: augment(drawn, patch, MPP, config, seed=0)


def kornia_chain(batch: int, patch: int) -> dict[str, Callable[[], object]]:
    """Kornia's transforms one by one and in a row, on patches of the final size."""
    from kornia import augmentation

    affine = augmentation.RandomAffine(
        180, scale=(0.8, 1.25), shear=6, padding_mode="reflection", p=1.0
    )
    elastic = augmentation.RandomElasticTransform(
        kernel_size=(63, 63), sigma=(16, 16), padding_mode="reflection", p=1.0
    )
    colour = augmentation.ColorJiggle(0.2, 0.2, 0.2, 0.04, p=1.0)
    flip = augmentation.RandomHorizontalFlip(p=0.5)
    images = torch.rand(batch, 3, patch, patch)
    masks = torch.randint(1, 4, (batch, 1, patch, patch)).float()

    def applied(*transforms: Any) -> Callable[[], object]:
        masked: dict[Any, Any] = {"mask": {"resample": "nearest"}}
        chain = augmentation.AugmentationSequential(
            *transforms, data_keys=["input", "mask"], extra_args=masked
        )
        return lambda: chain(images, masks)

    return {
        "kornia affine": applied(affine),
        "kornia elastic": applied(elastic),
        "kornia colour": applied(colour),
        "kornia chain": applied(flip, affine, elastic, colour),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=240)
    options = parser.parse_args()
    tasks: dict[str, Callable[[], object]] = {
        "training step": Step(options.batch, options.patch).whole,
        "ours": ours(options.batch, options.patch),
    }
    if find_spec("kornia") is None:
        print("kornia is not installed (pip install kornia): no comparison with it")
    else:
        tasks |= kornia_chain(options.batch, options.patch)
    times = medians(tasks, options.rounds)
    for name, seconds in times.items():
        print(
            f"{name}: {seconds / times['ours']:.2f} x ours, "
            f"{seconds / times['training step']:.2f} of a training step"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
