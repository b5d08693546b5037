"""Measures of shapes whose size is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.measurements import BASE_COLUMNS, measure_glands

STROMA, EPITHELIUM, LUMEN = 1, 2, 3


def ring(outer=40, inner=25, size=101):
    y, x = np.mgrid[:size, :size] - size // 2
    radius = np.hypot(y, x)
    regions = np.where(radius <= outer, EPITHELIUM, STROMA)
    regions[radius <= inner] = LUMEN
    return regions, (radius <= outer).astype(np.int32)


def test_a_round_gland_has_the_measures_of_a_ring():
    table = measure_glands(*ring(), mpp=0.5)
    assert tuple(table) == BASE_COLUMNS
    row = {name: column[0] for name, column in table.items()}
    assert row["label"] == 1
    assert (row["y_um"], row["x_um"]) == pytest.approx((25, 25))
    assert row["area_um2"] == pytest.approx(math.pi * 20**2, rel=0.01)
    assert row["lumen_area_um2"] == pytest.approx(math.pi * 12.5**2, rel=0.01)
    assert row["lumen_to_gland_ratio"] == pytest.approx((25 / 40) ** 2, rel=0.01)
    assert row["perimeter_um"] == pytest.approx(2 * math.pi * 20, rel=0.05)
    assert row["epithelial_thickness_um"] == pytest.approx(7.5, abs=0.25)
    assert row["solidity"] == pytest.approx(1, abs=0.03)
    assert not row["touches_border"]


def test_thickness_of_straight_epithelium_is_exact():
    regions = np.full((20, 31), STROMA)
    regions[3:16] = EPITHELIUM
    regions[6:13] = LUMEN
    table = measure_glands(regions, np.where(regions > 1, 1, 0), mpp=2.0)
    assert table["epithelial_thickness_um"][0] == pytest.approx(6)
    assert table["touches_border"][0]


def test_no_lumen_no_thickness():
    regions = np.full((9, 9), STROMA)
    regions[2:5, 2:5] = EPITHELIUM
    table = measure_glands(regions, np.where(regions > 1, 1, 0), mpp=1.0)
    assert np.isnan(table["epithelial_thickness_um"][0])
    assert table["lumen_area_um2"][0] == 0


def test_an_image_without_an_outside_gives_no_thickness():
    regions = np.full((9, 9), EPITHELIUM)
    regions[4, 4] = LUMEN
    table = measure_glands(regions, np.ones((9, 9), int), mpp=1.0)
    assert np.isnan(table["epithelial_thickness_um"][0])


def test_rows_follow_the_labels_whatever_their_numbers():
    regions = np.full((10, 30), STROMA)
    glands = np.zeros((10, 30), dtype=np.int32)
    for x, number in ((2, 70), (12, 3), (22, 11)):
        regions[2:6, x : x + 5] = EPITHELIUM
        glands[2:6, x : x + 5] = number
    regions[:, 29] = 0
    regions[2:6, 27:29] = EPITHELIUM
    glands[2:6, 27:29] = 11
    table = measure_glands(regions, glands, mpp=1.0)
    assert table["label"].tolist() == [3, 11, 70]
    assert table["area_um2"].tolist() == [20, 28, 20]
    assert table["x_um"].tolist() == [14, 25, 4]
    assert table["touches_border"].tolist() == [False, True, False]


def test_thin_glands_have_a_solidity():
    regions = np.full((8, 8), STROMA)
    regions[1, 1:5] = regions[5, 5] = EPITHELIUM
    glands = np.where(regions > 1, 1, 0)
    glands[5, 5] = 2
    np.testing.assert_allclose(measure_glands(regions, glands, mpp=1.0)["solidity"], 1)


def test_class_probability_is_the_softmax_of_the_mean_over_the_gland():
    regions = np.full((32, 48), STROMA)
    glands = np.zeros((32, 48), dtype=np.int32)
    regions[4:8, 12:20] = regions[20:28, 34:40] = EPITHELIUM
    glands[4:8, 12:20], glands[20:28, 34:40] = 1, 2
    class_map = np.zeros((2, 2, 3))
    class_map[1] = [[1, 3, 0], [0, 0, -4]]
    table = measure_glands(
        regions, glands, 1.0, class_map, classes=("benign", "malignant"), class_map_stride=16
    )
    expected = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(4))]
    np.testing.assert_allclose(table["malignant_probability"], expected)
    np.testing.assert_allclose(table["benign_probability"] + table["malignant_probability"], 1)


def test_extreme_activations_stay_finite():
    class_map = np.array([[[1e4]], [[-1e4]]])
    table = measure_glands(*ring(), 1.0, class_map, classes=("a", "b"), class_map_stride=101)
    assert table["a_probability"][0] == 1
    assert table["b_probability"][0] == 0


def test_no_gland_gives_an_empty_table_with_all_columns():
    empty = np.full((8, 8), STROMA)
    table = measure_glands(empty, empty * 0, 1.0, np.zeros((2, 1, 1)), classes=("a", "b"))
    assert set(table) == {*BASE_COLUMNS, "a_probability", "b_probability"}
    assert all(len(column) == 0 for column in table.values())


def test_unusable_input_is_refused():
    regions, glands = ring()
    with pytest.raises(InvalidInputError, match="same shape"):
        measure_glands(regions, glands[1:], 1.0)
    with pytest.raises(InvalidInputError, match="pixel size"):
        measure_glands(regions, glands, -1.0)
    with pytest.raises(InvalidInputError, match="names were given"):
        measure_glands(regions, glands, 1.0, np.zeros((2, 7, 7)), classes=("a",))
    with pytest.raises(InvalidInputError, match="three axes"):
        measure_glands(regions, glands, 1.0, np.zeros((7, 7)), classes=("a",))
    with pytest.raises(InvalidInputError, match="stride"):
        measure_glands(
            regions, glands, 1.0, np.zeros((1, 7, 7)), classes=("a",), class_map_stride=0
        )
