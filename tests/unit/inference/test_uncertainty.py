"""Uncertainty is the entropy of what the network says; a gland's is that around it, too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.measurements import measure_glands
from napari_gland_mtl.inference.uncertainty import RIM_UM, cell_means, entropy, rim_px


def oracle(probabilities):
    """-sum p log p / log A in float64, pixel by pixel."""
    count, height, width = probabilities.shape
    found = np.full((height, width), np.nan)
    for y in range(height):
        for x in range(width):
            values = probabilities[:, y, x].astype(np.float64)
            if values.sum() > 0:
                shares = values / values.sum()
                found[y, x] = -sum(p * np.log(p) for p in shares if p > 0) / np.log(count)
    return found


def test_certainty_is_0_a_toss_is_1_and_what_was_not_analysed_is_unknown():
    probabilities = np.array([[[1.0, 1 / 3, 0.5, 0.0]], [[0, 1 / 3, 0.5, 0]], [[0, 1 / 3, 0, 0]]])
    found = entropy(probabilities.astype(np.float32))
    assert found.dtype == np.float32
    expected = [0, 1, np.log(2) / np.log(3), np.nan]
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_entropy_is_that_of_the_definition(count, as_bytes):
    rng = np.random.default_rng(count)
    probabilities = np.moveaxis(rng.dirichlet(np.full(count, 0.3), (19, 23)), -1, 0)
    given_ = np.rint(255 * probabilities).astype(np.uint8) if as_bytes else probabilities
    found = entropy(given_ if as_bytes else given_.astype(np.float32))
    np.testing.assert_allclose(found, oracle(given_), atol=2e-6)
    assert found.min() >= 0
    assert found.max() <= 1


def test_one_assignment_alone_has_no_entropy():
    with pytest.raises(InvalidInputError, match="two assignments"):
        entropy(np.ones((1, 3, 3), np.float32))


def test_cells_are_means_of_what_was_analysed():
    values = np.random.default_rng(0).random((37, 50)).astype(np.float32)
    values[:16, 16:32] = np.nan
    values[20:, 3] = np.nan
    found = cell_means(values, 16)
    assert found.shape == (3, 4)
    assert np.isnan(found[0, 1])
    for y, x in ((0, 0), (1, 0), (2, 3)):
        part = values[16 * y : 16 * y + 16, 16 * x : 16 * x + 16]
        assert found[y, x] == pytest.approx(np.nanmean(part, dtype=np.float64), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.25, 0.62, 1.24, 2.0, 6.0]), st.booleans())
def test_a_gland_is_judged_with_its_rim(seed, mpp, holes):
    """Against a distance transform of each gland alone."""
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.random((70, 80)), 4) > 0.5
    glands, number = ndimage.label(mask)
    glands = glands.astype(np.int32)
    uncertainty = rng.random(glands.shape).astype(np.float32)
    if holes:
        uncertainty[rng.random(glands.shape) < 0.3] = np.nan
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    table = measure_glands(regions, glands, mpp, uncertainty=uncertainty)
    for label in range(1, number + 1):
        near = ndimage.distance_transform_edt(glands != label) * mpp <= RIM_UM + 1e-9
        analysed = uncertainty[near & ~np.isnan(uncertainty)]
        expected = analysed.mean(dtype=np.float64) if analysed.size else np.nan
        assert table["uncertainty"][label - 1] == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_border_that_was_missed_counts_and_what_lies_far_does_not():
    glands = np.zeros((60, 60), np.int32)
    glands[25:35, 25:35] = 7
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    sure = np.zeros(glands.shape, np.float32)
    beside, far = sure.copy(), sure.copy()
    beside[25:35, 36:39] = 1
    far[25:35, 45:48] = 1
    columns = [
        measure_glands(regions, glands, 1.0, uncertainty=map_)["uncertainty"][0]
        for map_ in (sure, beside, far)
    ]
    assert columns[0] == columns[2] == 0 < columns[1]


def test_the_map_may_reach_beyond_the_labels():
    """As for a window of a slide: the same as in the whole."""
    rng = np.random.default_rng(1)
    glands = np.zeros((80, 90), np.int32)
    glands[30:50, 40:60] = 1
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    uncertainty = rng.random(glands.shape).astype(np.float32)
    whole = measure_glands(regions, glands, 1.0, uncertainty=uncertainty)
    cut, wide = (slice(29, 51), slice(39, 61)), (slice(24, 56), slice(34, 66))
    part = measure_glands(
        regions[cut], glands[cut], 1.0, uncertainty=uncertainty[wide], uncertainty_offset=(5, 5)
    )
    assert part["uncertainty"].tolist() == whole["uncertainty"].tolist()
    narrow = measure_glands(regions[cut], glands[cut], 1.0, uncertainty=uncertainty[cut])
    assert narrow["uncertainty"].tolist() != whole["uncertainty"].tolist()
    assert rim_px(1.0) == 5


def test_a_gland_of_which_nothing_is_known_has_no_uncertainty_and_without_a_map_none_has():
    glands = np.zeros((20, 20), np.int32)
    glands[5:9, 5:9] = 1
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    unknown = np.full(glands.shape, np.nan, np.float32)
    assert np.isnan(measure_glands(regions, glands, 1.0, uncertainty=unknown)["uncertainty"]).all()
    assert "uncertainty" not in measure_glands(regions, glands, 1.0)
