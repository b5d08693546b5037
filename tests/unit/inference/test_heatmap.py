"""The heat map says of each cell what the network would say of the field around it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from napari_gland_mtl.inference.heatmap import class_heatmap, field_radius


@pytest.fixture
def activations() -> np.ndarray:
    values = np.random.default_rng(3).normal(0, 3, (3, 23, 31))
    values[:, 4:9, 10:20] = np.nan
    return values


def oracle(activations: np.ndarray, radius: int) -> np.ndarray:
    """Cell by cell, in float64."""
    result = np.full(activations.shape, np.nan)
    for y, x in np.argwhere(np.isfinite(activations[0])):
        rows = slice(max(y - radius, 0), y + radius + 1)
        columns = slice(max(x - radius, 0), x + radius + 1)
        result[:, y, x] = softmax(np.nanmean(activations[:, rows, columns], axis=(1, 2)))
    return result


@pytest.mark.parametrize("radius", [1, 4, 40])
def test_equals_the_softmax_of_the_mean_activation_of_the_field(
    activations: np.ndarray, radius: int
) -> None:
    found = class_heatmap(activations, radius)
    np.testing.assert_allclose(found, oracle(activations, radius), atol=1e-6)


def test_what_was_not_analysed_stays_unknown_and_does_not_count(activations: np.ndarray) -> None:
    found = class_heatmap(activations, 2)
    assert np.isnan(found[:, 4:9, 10:20]).all()
    assert np.isfinite(found[:, 3, 15]).all()
    changed = np.where(np.isnan(activations), 0, activations)
    assert not np.allclose(class_heatmap(changed, 2)[:, 3, 15], found[:, 3, 15])


def test_bands_that_overlap_by_a_field_give_the_whole(activations: np.ndarray) -> None:
    whole = class_heatmap(activations, 3)
    band = class_heatmap(activations[:, 7:20], 3)[:, 3:-3]
    np.testing.assert_allclose(band, whole[:, 10:17], atol=1e-6)
    without_overlap = class_heatmap(activations[:, 10:17], 3)
    assert not np.allclose(without_overlap, whole[:, 10:17], equal_nan=True)


def test_the_field_has_the_same_size_at_any_pixel_size() -> None:
    for mpp in (0.5, 1.0, 1.6):
        side = (2 * field_radius(mpp, 16) + 1) * mpp * 16
        assert side == pytest.approx(400, abs=1.01 * mpp * 16)
    assert field_radius(20.0, 64) == 1
