"""Glands out of probability maps: what is kept, what is split, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage
from skimage.segmentation import watershed

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.decoding import DecodingConfig, decode
from napari_gland_mtl.inference.separation import separate_glands
from napari_gland_mtl.metrics import count_violations
from napari_gland_mtl.regions import GLAND_REGIONS

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
MPP = 1.24


def disks(*circles, shape=(160, 200)):
    """Which of the disks (y, x, radius) each pixel lies in, the later one if in several."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=int)
    for number, (cy, cx, radius) in enumerate(circles, 1):
        labels[np.hypot(y - cy, x - cx) <= radius] = number
    return labels


def blurred(regions, sigma=2.0):
    """Probabilities of a network that sees `regions` through a blur."""
    hot = np.stack([regions == code for code in (STROMA, EPITHELIUM, LUMEN)]).astype(np.float32)
    values = np.stack([ndimage.gaussian_filter(layer, sigma) for layer in hot])
    return values / values.sum(axis=0)


def tissue(*circles):
    """Glands with a lumen of 0.4 of their radius, in stroma."""
    regions = np.where(disks(*circles) > 0, EPITHELIUM, STROMA)
    regions[disks(*((y, x, 0.4 * r) for y, x, r in circles)) > 0] = LUMEN
    return regions


def test_separate_glands_come_back_as_they_are():
    circles = ((50, 50, 30), (110, 140, 35))
    decoded = decode(blurred(tissue(*circles)), mpp=MPP)
    truth = disks(*circles)
    assert decoded.glands.max() == 2
    assert np.mean((decoded.glands > 0) == (truth > 0)) > 0.99
    assert np.mean(decoded.regions == tissue(*circles)) > 0.98


def test_touching_glands_stay_distinct():
    """Two disks that touch: joined by the threshold, told apart by the neck between them."""
    circles = ((80, 58, 35), (80, 129, 35))
    values = blurred(tissue(*circles))
    joined = decode(values, mpp=MPP, config=DecodingConfig(min_seed_area_um2=1e6))
    assert joined.glands.max() == 1
    decoded = decode(values, mpp=MPP)
    assert decoded.glands.max() == 2
    left, right = decoded.glands[80, 40], decoded.glands[80, 150]
    assert left != right
    assert np.all(decoded.glands[80, 40:91] == left)
    assert np.all(decoded.glands[80, 96:150] == right)


def test_wider_bridges_are_cut_by_a_stronger_erosion():
    values = blurred(tissue((80, 60, 35), (80, 128, 35)))
    weaker = DecodingConfig(seed_erosion_um=3)
    assert decode(values, mpp=MPP, config=weaker).glands.max() == 1
    assert decode(values, mpp=MPP, config=DecodingConfig(seed_erosion_um=15)).glands.max() == 2


def test_a_single_long_gland_is_not_cut():
    regions = np.full((160, 200), STROMA)
    regions[60:100, 20:180] = EPITHELIUM
    regions[75:85, 35:165] = LUMEN
    assert decode(blurred(regions), mpp=MPP).glands.max() == 1


def test_glands_joined_in_their_lumen_are_closed_towards_each_other():
    regions = np.full((60, 120), STROMA)
    regions[10:50, 10:110] = EPITHELIUM
    regions[20:40, 20:100] = LUMEN
    regions[:26, 55:65] = regions[34:, 55:65] = STROMA
    decoded = decode(blurred(regions, 1), mpp=2.0, config=DecodingConfig(seed_erosion_um=12))
    assert decoded.glands.max() == 2
    first, second = decoded.glands[:, :-1], decoded.glands[:, 1:]
    y, x = np.nonzero((first != second) & (first > 0) & (second > 0))
    assert len(y)
    assert np.all(decoded.regions[y, x] == EPITHELIUM)
    assert np.all(decoded.regions[y, x + 1] == EPITHELIUM)


def test_small_glands_and_small_lumina_go():
    regions = tissue((50, 50, 30))
    regions[100:110, 100:110] = EPITHELIUM
    regions[28:30, 50:52] = LUMEN
    config = DecodingConfig(min_gland_area_um2=0, min_lumen_area_um2=0)
    kept = decode(blurred(regions, 0.5), mpp=MPP, config=config)
    assert kept.glands.max() == 2
    assert kept.regions[28, 50] == LUMEN
    config = DecodingConfig(min_gland_area_um2=300, min_lumen_area_um2=20)
    cleaned = decode(blurred(regions, 0.5), mpp=MPP, config=config)
    assert cleaned.glands.max() == 1
    assert cleaned.regions[105, 105] == STROMA
    assert cleaned.regions[28, 50] == EPITHELIUM
    assert cleaned.regions[50, 50] == LUMEN


def test_sizes_are_micrometres_whatever_the_pixel_size():
    config = DecodingConfig(min_gland_area_um2=2000)
    values = blurred(tissue((50, 50, 20)))  # 1257 px
    assert decode(values, mpp=1.0, config=config).glands.max() == 0
    assert decode(values, mpp=1.5, config=config).glands.max() == 1


def test_the_raw_count_is_that_of_the_network():
    regions = tissue((50, 50, 30))
    regions[120:125, 120:125] = LUMEN
    regions[30, 50] = STROMA
    decoded = decode(blurred(regions, 0.2), mpp=MPP)
    assert decoded.violations_raw == count_violations(regions)
    assert decoded.violations_raw.total == 2
    assert decoded.violations.total == 0


def test_nothing_is_said_where_nothing_was_analysed():
    analysed = np.ones((160, 200), dtype=bool)
    analysed[:, 50:] = False
    decoded = decode(blurred(tissue((50, 50, 30))), mpp=MPP, analysed=analysed)
    assert not decoded.regions[:, 50:].any()
    assert decoded.regions[50, 49] == LUMEN
    assert decoded.glands[50, 49] == 1


def test_an_image_without_glands():
    decoded = decode(blurred(np.full((20, 30), STROMA)), mpp=MPP)
    assert np.all(decoded.regions == STROMA)
    assert not decoded.glands.any()
    one = decode(np.array([[[0.1]], [[0.2]], [[0.7]]]))
    assert one.violations.total == 0


def test_bytes_are_as_good_as_floats():
    """Whole numbers 0 .. 255 stand for 0 .. 1, with the same thresholds."""
    values = np.round(255 * blurred(tissue((50, 50, 30), (110, 140, 35)))).astype(np.uint8)
    from_bytes, from_floats = decode(values, mpp=MPP), decode(values / 255, mpp=MPP)
    np.testing.assert_array_equal(from_bytes.regions, from_floats.regions)
    np.testing.assert_array_equal(from_bytes.glands, from_floats.glands)
    assert from_bytes.violations_raw == from_floats.violations_raw
    even = np.broadcast_to(np.array([102, 102, 51], np.uint8)[:, None, None], (3, 40, 40))
    at, above = DecodingConfig(gland_threshold=0.6), DecodingConfig(gland_threshold=0.601)
    assert decode(even, config=at).glands.all()
    assert not decode(even, config=above).glands.any()


def test_the_short_flood_is_the_long_one():
    """Seeds flood from the outline of what is surely theirs; flooding from all of it, for a
    control, gives the same but for single pixels where two floods arrive at once."""
    rng = np.random.default_rng(0)
    config = DecodingConfig(
        seed_erosion_um=2, min_seed_area_um2=10, min_gland_area_um2=0, gland_threshold=0.4
    )
    smooth = ndimage.gaussian_filter(rng.normal(size=(300, 300)), 4)
    probability = (1 / (1 + np.exp(-60 * smooth))).astype(np.float32)
    labels = separate_glands(probability, 1.0, config)
    clumps, count = ndimage.label(probability >= 0.4, np.ones((3, 3)))
    assert labels.max() > count
    eroded = ndimage.distance_transform_edt(probability >= config.seed_threshold) > 2
    seeds = ndimage.label(eroded, np.ones((3, 3)))[0]
    seeds = np.where(np.bincount(seeds.ravel())[seeds] >= 10, seeds, 0)
    long = watershed(-probability, seeds, mask=probability >= 0.4, connectivity=2)
    pairs = np.stack([labels[seeds > 0], seeds[seeds > 0]])
    name = np.zeros(labels.max() + 1, dtype=int)
    name[pairs[0]] = pairs[1]
    several = np.isin(clumps, [c for c in range(1, count + 1) if np.ptp(name[labels[clumps == c]])])
    assert np.mean(name[labels][several] != long[several]) < 1e-3


def test_the_probability_is_left_alone():
    values = blurred(tissue((50, 50, 30)))
    before = values.copy()
    decode(values, mpp=MPP)
    np.testing.assert_array_equal(values, before)
    labels = separate_glands(values[1] + values[2], MPP, DecodingConfig())
    assert labels.dtype == np.int32


@pytest.mark.parametrize(
    ("values", "mpp", "message"),
    [
        (np.ones((2, 4, 4)), 1.0, "per valid assignment"),
        (np.ones((3, 4)), 1.0, "per valid assignment"),
        (np.full((3, 4, 4), np.nan), 1.0, "not finite"),
        (np.ones((3, 4, 4)), 0.0, "pixel size"),
    ],
)
def test_unusable_probabilities_are_refused(values, mpp, message):
    with pytest.raises(InvalidInputError, match=message):
        decode(values, GLAND_REGIONS, mpp)


def test_an_area_of_another_shape_is_refused():
    with pytest.raises(InvalidInputError, match="analysed area"):
        decode(np.ones((3, 4, 4)), analysed=np.ones((4, 5), dtype=bool))


def test_settings_have_limits():
    with pytest.raises(ValidationError):
        DecodingConfig(gland_threshold=1.5)
    with pytest.raises(ValidationError):
        DecodingConfig(thresh=0.5)
