"""Claims about annotations that break the topology: found all, and mended without guessing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from napari_gland_mtl.annotations import Area, AreaInfo, mend, mend_area, violations
from napari_gland_mtl.annotations.proofreading import SPECK_PX

SIZE = 60


def area_with(glands, regions, **info):
    described = AreaInfo(
        name="a",
        slide="s",
        slide_mpp=1.0,
        slide_shape=(500, 500),
        window=(0, 0, 100, 100),
        **{"mpp": 1.0, "lumen_accepted": True, **info},
    )
    image = np.zeros((*glands.shape, 3), np.uint8)
    return Area(described, image, glands.astype(np.int32), regions.astype(np.uint8))


@pytest.fixture
def gland():
    """A valid gland with lumen, whose surroundings nobody annotated."""
    glands, regions = np.zeros((2, SIZE, SIZE), int)
    glands[10:50, 10:50] = 4
    regions[10:50, 10:50] = 2
    regions[20:40, 20:40] = 3
    return glands, regions


def rules(area):
    return sorted(violation.rule for violation in violations(area))


def mended(area):
    result = mend_area(area)
    return replace(area, glands=result.glands, regions=result.regions), result


def test_a_valid_annotation_comes_back_as_it_was(gland):
    area = area_with(*gland)
    assert violations(area) == []
    after, result = mended(area)
    assert np.array_equal(after.glands, area.glands)
    assert np.array_equal(after.regions, area.regions)
    assert (result.mended, result.left) == (0, 0)


def test_what_is_not_annotated_breaks_no_rule(gland):
    glands, regions = gland
    regions[10:50, 10:12] = 3  # lumen at the edge of what was painted
    painted = area_with(glands, regions, way="regions")
    assert violations(painted) == []
    regions[:, :10] = 1
    assert rules(area_with(glands, regions, way="regions")) == ["touches_outside"]


def test_an_outline_says_where_its_gland_ends(gland):
    glands, regions = gland
    regions[20:40, 10:20] = 3  # the lumen reaches the edge of the gland
    area = area_with(glands, regions)
    assert rules(area) == ["touches_outside"]
    assert rules(replace(area, info=area.info.model_copy(update={"lumen_accepted": False}))) == []
    after, result = mended(area)
    assert (result.mended, result.left) == (1, 0)
    assert (after.regions[20:40, 10] == 2).all()
    assert (after.regions[20:40, 11:20] == 3).all()


def test_specks_go_and_larger_pieces_stay_and_are_listed(gland):
    glands, regions = gland
    glands[2:5, 2:5] = 4  # 9 px
    glands[2:7, 20:24] = 4  # 20 px
    glands[55:57, 55:57] = 9
    regions[2:5, 2:5] = 2
    area = area_with(glands, regions)
    assert rules(area) == ["extra_pieces", "extra_pieces"]
    after, result = mended(area)
    assert not after.glands[2:5, 2:5].any()
    assert not (after.glands == 9).any()
    assert not after.regions[2:5, 2:5].any()
    assert (after.glands[2:7, 20:24] == 4).all()
    assert (result.mended, result.left) == (2, 1)
    (left,) = violations(after)
    assert (left.rule, left.pixels, left.y0, left.x0, left.gland) == ("extra_pieces", 20, 2, 20, 4)


@pytest.mark.parametrize("mpp", [0.5, 1.0, 2.0])
def test_small_holes_are_filled_and_large_ones_left_to_the_annotator(mpp):
    glands = np.zeros((SIZE, SIZE), np.int32)
    glands[5:55, 5:55] = 1
    glands[10:16, 10:16] = 0  # 36 px: 9, 36, 144 um2
    glands[25:39, 25:39] = 0  # 196 px: 49, 196, 784 um2
    result = mend(glands, np.zeros((SIZE, SIZE), np.uint8), mpp)
    assert (result.glands[10:16, 10:16] == 1).all()
    is_filled = 196 * mpp**2 < 150
    assert bool((result.glands[25:39, 25:39] == 1).all()) == is_filled
    assert result.left == (not is_filled)


def test_a_hole_is_found_in_a_gland_of_several_pieces_and_filled_with_epithelium(gland):
    glands, regions = gland
    glands[52:57, 2:12] = 4
    glands[14:17, 14:17] = regions[14:17, 14:17] = 0
    after, result = mended(area_with(glands, regions))
    assert (after.glands[14:17, 14:17] == 4).all()
    assert (after.regions[14:17, 14:17] == 2).all()
    assert (result.mended, result.left) == (1, 1)


def test_a_hole_that_is_all_lumen_belongs_to_its_gland_whatever_its_size(gland):
    glands, regions = gland
    glands[20:40, 20:40] = 0  # only the epithelium was outlined, the lumen painted
    area = area_with(glands, regions)
    assert set(rules(area)) == {"holes", "outside_parent"}
    after, result = mended(area)
    assert (after.glands[20:40, 20:40] == 4).all()
    assert (after.regions[20:40, 20:40] == 3).all()
    assert result.left == 0


def test_a_gland_in_the_hole_of_another_is_not_swallowed():
    glands = np.zeros((SIZE, SIZE), np.int32)
    glands[5:55, 5:55] = 1
    glands[20:31, 20:31] = 0
    glands[22:28, 22:28] = 2
    result = mend(glands, np.zeros((SIZE, SIZE), np.uint8))
    assert np.array_equal(result.glands, glands)
    assert result.left == 1


def test_a_little_lumen_spilt_over_the_edge_goes_and_much_of_it_stays(gland):
    glands, regions = gland
    regions[25:28, 45:53] = 3  # 9 px of it outside
    after, result = mended(area_with(glands, regions))
    assert not after.regions[25:28, 50:53].any()
    assert result.left == 0
    regions[20:40, 45:53] = 3
    after, result = mended(area_with(glands, regions))
    assert (after.regions[20:40, 50:53] == 3).all()
    assert result.left > 0


def test_painted_regions_are_mended_and_gland_labels_left_alone(gland):
    glands, regions = gland
    regions[regions == 0] = 1
    regions[20:40, 5:20] = 3  # lumen breaks out of the epithelium
    regions[30:33, 44:47] = 1  # a hole of 9 px
    regions[55:58, 55:58] = 2  # a speck
    area = area_with(glands, regions, way="regions")
    before = rules(area)
    assert before == ["holes", "touches_outside"]
    after, result = mended(area)
    assert result.left == 0
    assert np.array_equal(after.glands, area.glands)
    assert (after.regions[55:58, 55:58] == 1).all()
    assert (after.regions[30:33, 44:47] == 2).all()
    assert (after.regions[21:39, 6:20] == 3).all()


def test_a_painted_speck_at_the_edge_of_the_known_becomes_unknown():
    regions = np.zeros((SIZE, SIZE), np.uint8)
    regions[:, :30] = 1
    regions[10:13, 29:32] = 2
    result = mend(np.zeros((SIZE, SIZE), np.int32), regions, way="regions")
    assert not result.regions[10:13, 29:32].any()
    assert result.mended == 1


def test_numbers_of_glands_stay_even_huge_ones(gland):
    glands, regions = gland
    glands[glands > 0] = 2**31 - 1
    glands[30:32, 15:17] = 0
    result = mend(glands.astype(np.int32), regions.astype(np.uint8))
    assert set(np.unique(result.glands)) == {0, 2**31 - 1}
    assert result.mended == 1


def blobs(seed, classes, coarse):
    """Smooth blobs of several codes with specks in them: drawings gone wrong."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.random((classes, 48, 48)), (0, coarse, coarse))
    codes = fields.argmax(axis=0)
    noise = rng.random((48, 48)) < 0.02
    return np.where(noise, rng.integers(0, classes, (48, 48)), codes)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    coarse=st.sampled_from([0.7, 1.5, 3.0]),
    way=st.sampled_from(["glands", "regions"]),
    accepted=st.booleans(),
    mpp=st.sampled_from([0.3, 1.0, 5.0]),
)
def test_mending_twice_is_mending_once_and_never_adds_a_violation(seed, coarse, way, accepted, mpp):
    glands = blobs(seed, 5, coarse).astype(np.int32)
    regions = blobs(seed + 1, 4, coarse).astype(np.uint8)
    check(glands, regions, way, accepted, mpp)


@settings(max_examples=150)
@given(
    glands=npst.arrays(np.int32, (9, 9), elements=st.integers(0, 3)),
    regions=npst.arrays(np.uint8, (9, 9), elements=st.integers(0, 3)),
    zoom=st.sampled_from([1, 3, 5]),
    way=st.sampled_from(["glands", "regions"]),
    accepted=st.booleans(),
)
def test_the_same_of_anything_at_all(glands, regions, zoom, way, accepted):
    glands, regions = (array.repeat(zoom, 0).repeat(zoom, 1) for array in (glands, regions))
    check(glands, regions, way, accepted, 1.0)


def check(glands, regions, way, accepted, mpp):
    area = area_with(glands, regions, way=way, lumen_accepted=accepted, mpp=mpp)
    before = violations(area)
    kept = glands.copy(), regions.copy()
    once = mend_area(area)
    assert np.array_equal(area.glands, kept[0])
    assert np.array_equal(area.regions, kept[1])
    after = replace(area, glands=once.glands, regions=once.regions)
    assert len(violations(after)) == once.left <= len(before)
    twice = mend_area(after)
    assert np.array_equal(twice.glands, once.glands)
    assert np.array_equal(twice.regions, once.regions)
    assert twice.mended == 0
    if way == "glands":
        pieces = ndimage.label(once.glands > 0, np.ones((3, 3)))[0]
        assert np.bincount(pieces.ravel())[1:].min(initial=SPECK_PX) >= SPECK_PX
    else:
        assert np.array_equal(once.glands, kept[0])
