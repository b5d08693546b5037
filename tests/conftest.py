"""Fixtures of all tests: synthetic tissue, and a network whose answers are known beforehand.

No real data may be part of the project. Trained weights would make tests slow and their
expectations vague: here the weights of a real `GlandNetwork` are set by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import settings
from synthetic_slide import SyntheticSlide, base_field
from synthetic_tissue import SyntheticField, make_field

# How long an example takes says nothing on a busy machine.
settings.register_profile("project", settings.default, deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def synthetic_field() -> Callable[..., SyntheticField]:
    """Factory of synthetic fields with their truth, each made once; do not write into them.

    Called as ``synthetic_field(kind="benign", height=256, width=256, mpp=0.62, seed=0)``; about a
    second for 256 x 256 pixels.
    """

    @lru_cache(maxsize=32)
    def make(
        kind: str = "benign", height: int = 256, width: int = 256, mpp: float = 0.62, seed: int = 0
    ) -> SyntheticField:
        field = make_field(kind, height, width, mpp, seed)
        for array in (field.image, field.regions, field.glands):
            array.setflags(write=False)
        return field

    return make


@pytest.fixture(scope="session")
def synthetic_slide() -> Callable[..., SyntheticSlide]:
    """Factory of small synthetic slides, of which tissue, regions and glands are known.

    Called as ``synthetic_slide(height=1200, width=1500, mpp=0.62, kind="benign", **options)``,
    with the options of `SyntheticSlide`. The field that they repeat, 384 px, takes three
    seconds and is drawn once for each kind and mpp; a slide takes milliseconds. To open one as
    a file, write it with ``synthetic_slide.write_tiff(path, slide)``.
    """

    def make(
        height: int = 1200,
        width: int = 1500,
        mpp: float = 0.62,
        kind: str = "benign",
        **options: Any,
    ) -> SyntheticSlide:
        return SyntheticSlide(height, width, field=base_field(kind, 384, mpp), **options)

    return make


@pytest.fixture(scope="session")
def colour_network() -> Callable[[float], Any]:
    """Makes a network that segments by colour: white is lumen, purple epithelium, pink stroma.

    Called with the logit of "malignant" over "benign", which it says of every image.
    """
    return _colour_network


def _colour_network(malignant_logit: float) -> Any:
    """Region logits that are linear in the green channel of the pixel itself."""
    import torch

    from napari_gland_mtl.network import NetworkConfig, build_network

    config = NetworkConfig(
        widths=(4, 8, 8, 8, 8), image_mean=(0.0, 0.0, 0.0), image_std=(1.0, 1.0, 1.0)
    )
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.zero_()
        green, centre = 1, (1, 1)
        first, second = (block[0].weight for block in network.encoder.levels[0])
        first[(0, green, *centre)] = second[(0, 0, *centre)] = 1.0
        last = network.decoder[-1].blocks[0][0].weight
        last[(0, 4, *centre)] = 1.0  # the skip connection comes after the risen channels
        stroma, lumen = 0, 2
        weight, bias = network.region_head.weight, network.region_head.bias
        weight[stroma, 0], bias[stroma] = 40.0, -40.0 * 0.42
        weight[lumen, 0], bias[lumen] = 200.0, -200.0 * 0.78
        network.class_head[-1].bias.copy_(torch.tensor([0.0, malignant_logit]))
    return network.eval()
