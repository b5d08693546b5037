"""A network whose answers are known beforehand, and tissue drawn in the colours it knows.

Trained weights would make tests slow and their expectations vague. Here the weights of a real
`GlandNetwork` are set by hand so that purple is epithelium, white is lumen and pink is stroma.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gland_mtl.checkpoint import ModelCard, load_model, save_model
from napari_gland_mtl.network import NetworkConfig, build_network

PINK, PURPLE, WHITE = (230, 150, 190), (110, 60, 150), (245, 245, 245)
MODEL_MPP = 1.0
MALIGNANT_LOGIT = 1.0


def _network():
    """Region logits that are linear in the green channel of the pixel itself."""
    config = NetworkConfig(
        widths=(4, 8, 8, 8, 8), image_mean=(0.0, 0.0, 0.0), image_std=(1.0, 1.0, 1.0)
    )
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.zero_()
        green, centre = 1, (1, 1)
        first, second = (block[0].weight for block in _convolutions(network.encoder.levels[0]))
        first[(0, green, *centre)] = 1.0
        second[(0, 0, *centre)] = 1.0
        (last,) = (block[0].weight for block in _convolutions(network.decoder[-1].blocks))
        last[(0, 4, *centre)] = 1.0  # the skip connection comes after the risen channels
        stroma, epithelium, lumen = range(3)
        weight, bias = network.region_head.weight, network.region_head.bias
        weight[stroma, 0], bias[stroma] = 40.0, -40.0 * 0.42
        weight[epithelium, 0], bias[epithelium] = 0.0, 0.0
        weight[lumen, 0], bias[lumen] = 200.0, -200.0 * 0.78
        network.class_head[-1].bias.copy_(torch.tensor([0.0, MALIGNANT_LOGIT]))
    return network.eval()


def _convolutions(blocks):
    return list(blocks.children())


@pytest.fixture(scope="session")
def colour_model_path(tmp_path_factory):
    """A checkpoint that segments by colour at 1 um/px and calls everything malignant."""
    network = _network()
    card = ModelCard(
        name="colours",
        description="Segments by colour, for tests.",
        mpp=MODEL_MPP,
        network=network.config.model_dump(mode="json"),
        licence="none",
        measures={"object_dice": {"mean": 0.5}},
        log_vars={"segmentation": -0.25},
    )
    return save_model(tmp_path_factory.mktemp("model") / "colours.safetensors", network, card)


@pytest.fixture(scope="session")
def colour_model(colour_model_path):
    return load_model(colour_model_path)


def draw_tissue(height_um, width_um, mpp, centres_um, radius_um=24.0, lumen_um=10.0):
    """Round glands in stroma: the image with its true regions and instances."""
    shape = round(height_um / mpp), round(width_um / mpp)
    y, x = ((np.arange(size) + 0.5) * mpp for size in shape)
    regions = np.ones(shape, dtype=np.uint8)
    glands = np.zeros(shape, dtype=np.int32)
    for number, (cy, cx) in enumerate(centres_um, 1):
        distance = np.hypot(y[:, None] - cy, x[None, :] - cx)
        regions[distance < radius_um] = 2
        regions[distance < lumen_um] = 3
        glands[distance < radius_um] = number
    colours = np.array([(0, 0, 0), PINK, PURPLE, WHITE], dtype=np.uint8)
    return colours[regions], regions, glands


@pytest.fixture(scope="session")
def tissue():
    """The function that draws round glands."""
    return draw_tissue


FOUR_GLANDS_UM = ((40, 40), (40, 120), (120, 45), (125, 130))


@pytest.fixture(scope="session")
def four_glands():
    """Four glands in 160 x 180 um at 0.5 um/px: image, regions, instances."""
    return draw_tissue(160, 180, 0.5, FOUR_GLANDS_UM)
