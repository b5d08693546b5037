"""Lower levels of labels keep what is thin, invent nothing, and are the same block by block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.export.downsampling import (
    INSTANCES,
    MEAN,
    MEAN_OF_KNOWN,
    region_levels,
)
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
FACTORS = [1, 2, 4, 8]
REGIONS = region_levels(GLAND_REGIONS)
NESTED = RegionHierarchy(
    regions=(
        Region(name="stroma"),
        Region(name="muscle"),
        Region(name="epithelium"),
        Region(name="lumen", parent="epithelium"),
        Region(name="mucin", parent="lumen"),
    )
)


def levels(method, block, factors=FACTORS):
    return list(method.levels(block, factors))


def one(method, *four):
    """What four pixels become."""
    return int(levels(method, np.array(four).reshape(2, 2), [1, 2])[1][0, 0])


def ring(centre, radius, width, size=128):
    """A round lumen in a gland whose epithelium is `width` px thick, 4-connected."""
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y - centre[0], x - centre[1])
    regions = np.full((size, size), STROMA, np.uint8)
    regions[distance < radius] = EPITHELIUM
    regions[distance < radius - width] = LUMEN
    edge = np.pad(regions == STROMA, 1)
    beside = edge[:-2, 1:-1] | edge[2:, 1:-1] | edge[1:-1, :-2] | edge[1:-1, 2:]
    regions[(regions == LUMEN) & beside] = EPITHELIUM
    return regions


def contacts(regions, a=LUMEN, b=STROMA):
    """Pairs of neighbours of which one is `a` and one `b`."""
    pairs = ((regions[1:], regions[:-1]), (regions[:, 1:], regions[:, :-1]))
    return sum(
        np.count_nonzero((one == a) & (other == b) | (one == b) & (other == a))
        for one, other in pairs
    )


# ------------------------------------------------------------------ regions


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("centre", [(60, 60), (61, 60), (60.5, 63), (62, 62.5)])
def test_a_thin_epithelium_survives_all_levels(centre, width):
    regions = ring(centre, 40, width)
    assert contacts(regions) == 0
    assert contacts(regions[::4, ::4]) > 0 or width == 5  # the nearest pixels would lose it
    for level in levels(REGIONS, regions):
        assert contacts(level) == 0
        assert {STROMA, EPITHELIUM, LUMEN} == set(np.unique(level))


def test_a_line_of_one_pixel_stays_one_pixel():
    for offset in range(8):
        regions = np.full((64, 64), STROMA, np.uint8)
        regions[20 + offset] = EPITHELIUM
        for level in levels(REGIONS, regions):
            assert (np.count_nonzero(level == EPITHELIUM, axis=0) == 1).all()


@pytest.mark.parametrize("method", [REGIONS, INSTANCES])
def test_glands_of_a_hundred_pixels_hardly_grow(method):
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:1024, :1024]
    regions = np.full((1024, 1024), STROMA, np.uint8)
    for centre in (
        np.indices((8, 8)).reshape(2, -1).T * 128 + 64 + generator.integers(-5, 6, (64, 2))
    ):
        distance = np.hypot(y - centre[0], x - centre[1])
        regions[distance < 50] = EPITHELIUM
        regions[distance < 20] = LUMEN
    labels = regions if method is REGIONS else np.where(regions > STROMA, 7, 0)
    inside = [np.mean(level > (method is REGIONS)) for level in levels(method, labels)]
    growth = np.array(inside) / inside[0] - 1
    assert (growth >= 0).all()
    assert (growth <= [0, 0.015, 0.035, 0.075]).all(), growth


def test_what_was_analysed_wins_over_what_was_not():
    assert one(REGIONS, 0, 0, 0, STROMA) == STROMA
    assert one(REGIONS, 0, 0, STROMA, EPITHELIUM) == EPITHELIUM
    assert one(REGIONS, 0, 0, 0, 0) == 0


def test_half_of_the_pixels_make_a_gland_and_its_outermost_region_shows():
    assert one(REGIONS, STROMA, STROMA, STROMA, EPITHELIUM) == STROMA
    assert one(REGIONS, STROMA, STROMA, EPITHELIUM, EPITHELIUM) == EPITHELIUM
    assert one(REGIONS, LUMEN, LUMEN, LUMEN, EPITHELIUM) == EPITHELIUM
    assert one(REGIONS, LUMEN, LUMEN, LUMEN, LUMEN) == LUMEN


def test_any_hierarchy_has_its_outermost_region_and_its_majority():
    method = region_levels(NESTED)
    stroma, muscle, epithelium, lumen, mucin = 1, 2, 3, 4, 5
    assert one(method, mucin, mucin, mucin, lumen) == lumen
    assert one(method, mucin, mucin, lumen, epithelium) == epithelium
    assert one(method, muscle, muscle, stroma, epithelium) == muscle
    assert one(method, muscle, stroma, 0, 0) == stroma


# ------------------------------------------------------------------ instances


def test_the_most_frequent_gland_wins_and_of_equals_the_first():
    assert one(INSTANCES, 9, 9, 4, 0) == 9
    assert one(INSTANCES, 9, 4, 0, 0) == 4
    assert one(INSTANCES, 9, 0, 0, 0) == 0
    assert one(INSTANCES, 9, 4, 9, 4) == 4


def test_regions_and_glands_show_the_same_glands():
    regions = ring((60, 61), 40, 3)
    glands = np.where(regions > STROMA, 3, 0).astype(np.int32)
    pairs = zip(levels(REGIONS, regions), levels(INSTANCES, glands), strict=True)
    for coarse_regions, coarse_glands in pairs:
        assert np.array_equal(coarse_regions > STROMA, coarse_glands > 0)


# ------------------------------------------------------------------ both

label_images = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 33), st.integers(1, 33)),
    elements=st.integers(0, len(NESTED)),
)


@given(label_images)
def test_no_new_label_appears(labels):
    for method in (region_levels(NESTED), INSTANCES):
        before = labels
        for level in levels(method, labels):
            assert level.dtype == labels.dtype
            for place in np.ndindex(level.shape):
                half = tuple(slice(2 * at, 2 * at + 2) for at in place)
                assert level is before or level[place] in before[half] or level[place] == 0
            before = level


@given(label_images)
def test_a_labelling_that_keeps_the_rules_keeps_them_on_all_levels(labels):
    regions = np.where(labels > 2, labels - 2, labels).astype(np.uint8)
    lumen = np.pad(regions == LUMEN, 1)
    beside = lumen[:-2, 1:-1] | lumen[2:, 1:-1] | lumen[1:-1, :-2] | lumen[1:-1, 2:]
    regions[beside & (regions != LUMEN)] = EPITHELIUM
    for level in levels(REGIONS, regions):
        assert contacts(level) == 0


@given(hnp.arrays(np.uint8, (24, 40), elements=st.integers(0, 3)), st.data())
def test_blocks_give_what_the_whole_gives(labels, data):
    y = data.draw(st.sampled_from([8, 16]))
    x = data.draw(st.sampled_from([8, 16, 24, 32]))
    for method in (REGIONS, INSTANCES):
        whole = levels(method, labels)
        corners = [
            levels(method, np.ascontiguousarray(labels[rows, columns]))
            for rows in (slice(0, y), slice(y, None))
            for columns in (slice(0, x), slice(x, None))
        ]
        for a, b, c, d, expected in zip(*corners, whole, strict=True):
            assert np.array_equal(np.block([[a, b], [c, d]]), expected)


# ------------------------------------------------------------------ means


def test_the_mean_at_the_edge_counts_the_pixels_there_are():
    block = np.array([[0, 10, 20], [0, 10, 20], [4, 6, 9]], np.uint8)[:, :, None]
    assert levels(MEAN, block, [1, 2])[1][:, :, 0].tolist() == [[5, 20], [5, 9]]


def test_means_of_all_levels_are_means_of_the_pixels():
    block = np.random.default_rng(4).integers(0, 256, (21, 13, 3), dtype=np.uint8)
    for factor, level in zip(FACTORS, levels(MEAN, block), strict=True):
        for y, x in np.ndindex(level.shape[:2]):
            square = block[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            mean = square.reshape(-1, 3).mean(axis=0)
            assert np.abs(level[y, x] - mean).max() <= 0.5


def test_the_mean_of_a_map_leaves_out_what_is_not_known():
    nan = np.nan
    block = np.array([[0.2, nan, nan], [0.4, 0.6, nan], [nan, nan, 0.5]], np.float32)
    coarse = levels(MEAN_OF_KNOWN, block, [1, 2, 4])
    np.testing.assert_allclose(coarse[1], [[0.4, nan], [nan, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(coarse[2], [[0.425]], rtol=1e-6)
