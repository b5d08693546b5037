"""The derived lumen is the true one, as far as the stain tells, and never breaks a rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_gland_mtl.datasets.lumen import LumenConfig, derive_regions
from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics import count_violations

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
MPP = 0.62


def overlap(found, true):
    return np.count_nonzero(found & true) / np.count_nonzero(found | true)


@pytest.mark.parametrize(("kind", "least"), [("benign", 0.85), ("malignant", 0.6)])
def test_lumen_of_synthetic_tissue_is_found(synthetic_field, kind, least):
    field = synthetic_field(kind=kind, height=256, width=256, mpp=MPP, seed=1)
    regions = derive_regions(field.image, field.glands, MPP)
    assert np.array_equal(regions > STROMA, field.glands > 0)
    assert count_violations(regions, field.glands).total == 0
    true = field.regions == LUMEN
    assert overlap(regions == LUMEN, true) > least
    # Better than the plain guess that everything far enough from the rim is lumen.
    depth = ndimage.distance_transform_edt(field.glands > 0, sampling=MPP)
    guess = (depth > LumenConfig().rim_um) & (field.glands > 0)
    assert overlap(regions == LUMEN, true) > overlap(guess, true)


def one_gland(mpp, lumen):
    """A disc of 40 um radius in 100 x 100 um, its lumen of 22 um radius white or not."""
    side = round(100 / mpp)
    y, x = np.ogrid[:side, :side]
    distance = np.hypot(y - side / 2, x - side / 2) * mpp
    image = np.full((side, side, 3), (225, 160, 200), np.uint8)
    gland, inside = distance < 40, distance < 22
    image[gland] = (120, 60, 150)
    if lumen:
        image[inside] = (243, 240, 244)
    noise = np.random.default_rng(0).normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), gland.astype(np.int32), inside


@pytest.mark.parametrize("mpp", [0.5, 1.0, 2.0])
def test_lumen_is_found_at_any_pixel_size(mpp):
    image, gland, inside = one_gland(mpp, lumen=True)
    assert overlap(derive_regions(image, gland, mpp) == LUMEN, inside) > 0.8


@pytest.mark.parametrize("mpp", [0.5, 1.0, 2.0])
def test_solid_gland_has_no_lumen(mpp):
    image, gland, _ = one_gland(mpp, lumen=False)
    regions = derive_regions(image, gland, mpp)
    assert not (regions == LUMEN).any()
    assert np.array_equal(regions == EPITHELIUM, gland > 0)


def test_lumen_may_reach_the_image_border():
    image, gland, inside = one_gland(1.0, lumen=True)
    cut = slice(50, None)
    regions = derive_regions(image[cut], gland[cut], 1.0)
    assert (regions[0] == LUMEN).any()
    assert overlap(regions == LUMEN, inside[cut]) > 0.8


def test_touching_glands_keep_a_rim_between_their_lumens():
    glands = np.zeros((60, 100), np.int32)
    glands[10:50, 10:50], glands[10:50, 50:90] = 1, 2
    image = np.full((60, 100, 3), (120, 60, 150), np.uint8)
    image[18:42, 18:82] = 243  # as if the wall between the two were pale, too
    regions = derive_regions(image, glands, 1.0)
    assert (regions[:, :50] == LUMEN).any()
    assert (regions[:, 50:] == LUMEN).any()
    assert not (regions[:, 46:54] == LUMEN).any()


def test_gland_inside_the_hole_of_another_stays_itself():
    glands = np.zeros((60, 60), np.int32)
    glands[5:55, 5:55] = 2
    glands[15:45, 15:45] = 0
    glands[20:40, 20:40] = 1
    image = np.full((60, 60, 3), (120, 60, 150), np.uint8)
    image[27:33, 27:33] = 243
    config = LumenConfig(min_area_um2=10)
    assert (derive_regions(image, glands, 1.0, config)[20:40, 20:40] == LUMEN).any()


@given(
    hnp.arrays(np.int32, (24, 24), elements=st.sampled_from([0, 1, 1, 2])),
    hnp.arrays(np.uint8, (24, 24), elements=st.sampled_from([20, 250])),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_mask_and_stain_give_lawful_regions(glands, grey, coarse):
    glands = ndimage.maximum_filter(glands * (np.random.default_rng(0).random((24, 24)) < 0.1), 7)
    image = np.repeat(grey[..., None], 3, axis=2)
    config = LumenConfig(rim_um=0.5, min_area_um2=0, opening_um=0, smoothing_um=0.5)
    regions = derive_regions(image, glands, 4.0 if coarse else 0.5, config)
    assert count_violations(regions).total == 0


def test_bias_makes_lumens_grow(synthetic_field):
    field = synthetic_field(kind="benign", height=256, width=256, mpp=MPP, seed=1)
    sizes = [
        np.count_nonzero(derive_regions(field.image, field.glands, MPP, config) == LUMEN)
        for config in (LumenConfig(bias=-0.5), LumenConfig(), LumenConfig(bias=0.5))
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_no_gland_is_stroma():
    image = np.full((8, 9, 3), 200, np.uint8)
    assert (derive_regions(image, np.zeros((8, 9), np.int32), MPP) == STROMA).all()


def test_bad_input_is_refused():
    image, mask = np.zeros((8, 9, 3), np.uint8), np.zeros((8, 8), np.int32)
    with pytest.raises(InvalidInputError, match="differ in size"):
        derive_regions(image, mask, MPP)
    with pytest.raises(InvalidInputError, match="above 0"):
        derive_regions(image[:, :8], mask, 0.0)
