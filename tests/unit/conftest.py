"""A model whose answers are known beforehand, and tissue drawn in the colours it knows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.checkpoint import ModelCard, load_model, save_model

PINK, PURPLE, WHITE = (230, 150, 190), (110, 60, 150), (245, 245, 245)
MODEL_MPP = 1.0
MALIGNANT_LOGIT = 1.0


@pytest.fixture(scope="session")
def colour_model_path(colour_network, tmp_path_factory):
    """A checkpoint that segments by colour at 1 um/px and calls everything malignant."""
    network = colour_network(MALIGNANT_LOGIT)
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
