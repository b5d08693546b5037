"""Repair and decoding leave nothing that breaks a rule, and nothing changed without need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.decoding import DecodingConfig, decode
from napari_gland_mtl.inference.repair import repair
from napari_gland_mtl.metrics import count_violations, instances_from_mask
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
MUCIN = RegionHierarchy(  # three levels in the gland, another tree beside it, codes in no order
    regions=(
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
        Region(name="mucin", parent="lumen"),
        Region(name="stroma"),
        Region(name="epithelium"),
        Region(name="vessel", parent="muscle"),
    )
)
MUCOSA = RegionHierarchy(  # glands that lie in something themselves
    regions=(
        Region(name="mucosa"),
        Region(name="stroma", parent="mucosa"),
        Region(name="epithelium", parent="mucosa"),
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
    )
)
OUTSIDE = RegionHierarchy(  # a background that lies outside what contains the glands
    regions=(
        Region(name="mucosa"),
        Region(name="epithelium", parent="mucosa"),
        Region(name="lumen", parent="epithelium"),
        Region(name="outside"),
        Region(name="stroma", parent="outside"),
    )
)
HIERARCHIES = st.sampled_from([GLAND_REGIONS, MUCIN, MUCOSA, OUTSIDE])
NO_SIZE_LIMITS = DecodingConfig(
    min_gland_area_um2=0, min_lumen_area_um2=0, min_seed_area_um2=0, seed_erosion_um=0
)


@st.composite
def labellings(draw):
    """Noise of few codes, or rectangles of any code painted over each other."""
    hierarchy = draw(HIERARCHIES)
    shape = draw(st.tuples(st.integers(1, 10), st.integers(1, 10)))
    if draw(st.booleans()):
        codes = draw(st.lists(st.integers(0, len(hierarchy)), min_size=1, max_size=4))
        regions = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(codes)))
    else:
        regions = draw(rectangles(shape, len(hierarchy))).astype(np.uint8)
    glands = draw(
        st.one_of(
            st.none(),
            rectangles(shape, 5),
            hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 3, 3, 900])),
        )
    )
    return regions, glands, hierarchy


@st.composite
def rectangles(draw, shape, highest):
    labels = np.full(shape, draw(st.integers(0, highest)))
    for _ in range(draw(st.integers(0, 6))):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        labels[y : y + height, x : x + width] = draw(st.integers(0, highest))
    return labels


@settings(max_examples=500, deadline=None)
@given(labellings())
def test_repaired_labels_break_no_rule_and_stay_as_they_are(labelling):
    regions, glands, hierarchy = labelling
    fixed, instances = repair(regions, glands, hierarchy)
    assert count_violations(fixed, instances, hierarchy).total == 0
    np.testing.assert_array_equal(instances > 0, hierarchy.is_gland(fixed))
    np.testing.assert_array_equal(fixed == 0, regions == 0)
    again, instances_again = repair(fixed, instances, hierarchy)
    np.testing.assert_array_equal(again, fixed)
    np.testing.assert_array_equal(instances_again, instances)


@settings(max_examples=500, deadline=None)
@given(labellings())
def test_what_breaks_no_rule_is_not_touched(labelling):
    regions, _, hierarchy = labelling
    if count_violations(regions, None, hierarchy).total:
        regions, _ = repair(regions, None, hierarchy)
    if count_violations(regions, None, hierarchy).total == 0:
        fixed, instances = repair(regions, None, hierarchy)
        np.testing.assert_array_equal(fixed, regions)
        np.testing.assert_array_equal(instances, instances_from_mask(hierarchy.is_gland(regions)))


@st.composite
def probabilities(draw):
    hierarchy = draw(HIERARCHIES)
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    values = draw(
        hnp.arrays(np.float32, (len(hierarchy), *shape), elements=st.sampled_from([0.01, 1, 3]))
    )
    config = draw(st.sampled_from([NO_SIZE_LIMITS, DecodingConfig(min_gland_area_um2=20)]))
    analysed = draw(st.one_of(st.none(), hnp.arrays(bool, shape)))
    return values / values.sum(axis=0), hierarchy, config, analysed


@settings(max_examples=300, deadline=None)
@given(probabilities(), st.sampled_from([0.6, 2.0]))
def test_decoded_labels_break_no_rule(case, mpp):
    values, hierarchy, config, analysed = case
    decoded = decode(values, hierarchy, mpp, config, analysed)
    assert decoded.violations.total == 0
    assert count_violations(decoded.regions, decoded.glands, hierarchy).total == 0
    np.testing.assert_array_equal(decoded.glands > 0, hierarchy.is_gland(decoded.regions))
    done = np.ones(values.shape[1:], dtype=bool) if analysed is None else analysed
    np.testing.assert_array_equal(decoded.regions > 0, done)
    numbers = np.unique(decoded.glands[decoded.glands > 0])
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    raw = np.where(done, values.argmax(axis=0) + 1, 0)
    assert decoded.violations_raw == count_violations(raw, None, hierarchy)


# ---- what repair does, case by case


def gland_with_lumen(size=11):
    regions = np.full((size, size), STROMA, dtype=np.uint8)
    regions[2:-2, 2:-2] = EPITHELIUM
    regions[4:-4, 4:-4] = LUMEN
    return regions


def test_lumen_is_closed_off_from_the_stroma():
    regions = gland_with_lumen()
    regions[5, 2:5] = LUMEN
    fixed, _ = repair(regions)
    regions[5, 2] = EPITHELIUM
    np.testing.assert_array_equal(fixed, regions)


def test_lumen_alone_goes_to_the_background():
    regions = np.full((6, 6), STROMA, dtype=np.uint8)
    regions[2:4, 2:4] = LUMEN
    fixed, instances = repair(regions)
    assert np.all(fixed == STROMA)
    assert not instances.any()


def test_lumen_alone_never_leaves_what_contains_the_glands():
    """The background of this hierarchy lies outside the mucosa, so mucosa takes its place."""
    regions = np.full((6, 6), OUTSIDE.code("mucosa"), dtype=np.uint8)
    regions[2:4, 2:4] = OUTSIDE.code("lumen")
    fixed, _ = repair(regions, None, OUTSIDE)
    assert np.all(fixed == OUTSIDE.code("mucosa"))


def test_a_hole_is_filled_but_not_one_that_may_go_on():
    regions = gland_with_lumen()
    regions[3, 3] = STROMA
    assert repair(regions)[0][3, 3] == EPITHELIUM
    regions[3, 3] = 0
    assert repair(regions)[0][3, 3] == 0


def test_a_gland_within_another_joins_it():
    regions = np.full((11, 11), STROMA, dtype=np.uint8)
    regions[1:10, 1:10] = EPITHELIUM
    regions[3:8, 3:8] = STROMA
    regions[4:7, 4:7] = EPITHELIUM
    regions[5, 5] = LUMEN
    fixed, instances = repair(regions)
    assert instances.max() == 1
    assert np.all(fixed[1:10, 1:10][fixed[1:10, 1:10] != LUMEN] == EPITHELIUM)
    assert fixed[5, 5] == LUMEN


def test_a_gland_that_slips_through_a_corner_joins():
    glands = np.zeros((8, 8), dtype=int)
    glands[1:6, 1:6] = 1
    glands[2:5, 2:5] = 0
    glands[5, 5] = 0  # the ring is closed through the corner between (5, 4) and (4, 5)
    glands[4, 4] = glands[5, 5] = glands[6, 6] = 2
    regions = np.where(glands > 0, EPITHELIUM, STROMA)
    assert count_violations(regions, glands).holes == 1
    fixed, instances = repair(regions, glands)
    assert count_violations(fixed, instances).total == 0
    assert instances[6, 6] == instances[1, 1] == 1


def test_stray_pieces_become_glands_and_numbers_are_kept():
    regions = np.full((5, 9), STROMA, dtype=np.uint8)
    regions[1:4, 1:4] = regions[1:3, 6:8] = EPITHELIUM
    glands = np.where(regions == EPITHELIUM, 40, 0)
    _, instances = repair(regions, glands)
    assert instances[1, 1] == 40
    assert instances[1, 6] == 41


def test_unlabelled_gland_pixels_join_their_neighbours():
    regions = np.full((5, 12), STROMA, dtype=np.uint8)
    regions[1:4, 1:8] = EPITHELIUM
    regions[1:4, 9:11] = EPITHELIUM
    glands = np.zeros((5, 12), dtype=int)
    glands[1:4, 1:3], glands[1:4, 6:8] = 5, 2
    _, instances = repair(regions, glands)
    np.testing.assert_array_equal(instances > 0, regions == EPITHELIUM)
    assert instances[2, 3] == 5
    assert instances[2, 5] == 2
    assert instances[2, 9] == 6


def test_touching_glands_stay_distinct():
    regions = np.full((5, 8), STROMA, dtype=np.uint8)
    regions[1:4, 1:7] = EPITHELIUM
    glands = np.zeros((5, 8), dtype=np.int32)
    glands[1:4, 1:4], glands[1:4, 4:7] = 1, 2
    np.testing.assert_array_equal(repair(regions, glands)[1], glands)


def test_unusable_labels_are_refused():
    regions = np.ones((3, 3), dtype=np.uint8)
    with pytest.raises(InvalidInputError, match="same shape"):
        repair(regions, np.ones((3, 2), int))
    with pytest.raises(InvalidInputError, match="whole numbers"):
        repair(regions, np.ones((3, 3)))
    with pytest.raises(InvalidInputError, match=r"2\*\*31"):
        repair(np.full((3, 3), EPITHELIUM), np.full((3, 3), 2**40))
