"""The three topology rules against flood fills over sets of pixels."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics import count_violations, find_violations
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy
from napari_gland_mtl.segmentation import TopologyViolations

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
MUCIN = RegionHierarchy(
    regions=(
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
        Region(name="mucin", parent="lumen"),
        Region(name="stroma"),
        Region(name="epithelium"),
        Region(name="vessel", parent="muscle"),
    )
)
MUCOSA = RegionHierarchy(
    regions=(
        Region(name="mucosa"),
        Region(name="stroma", parent="mucosa"),
        Region(name="epithelium", parent="mucosa"),
        Region(name="lumen", parent="epithelium"),
        Region(name="muscle"),
    )
)

EDGES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = (*EDGES, (1, 1), (1, -1), (-1, 1), (-1, -1))


@st.composite
def labellings(draw):
    hierarchy = draw(st.sampled_from([GLAND_REGIONS, MUCIN, MUCOSA]))
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    codes = draw(st.lists(st.integers(0, len(hierarchy)), min_size=1, max_size=4))
    regions = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(codes)))
    glands = draw(hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 3, 3, 900])))
    return regions, draw(st.sampled_from([None, glands])), hierarchy


# ---- the oracle


def components(pixels, steps):
    rest, found = set(pixels), []
    while rest:
        front = [rest.pop()]
        component = set(front)
        while front:
            y, x = front.pop()
            for dy, dx in steps:
                if (y + dy, x + dx) in rest:
                    rest.remove((y + dy, x + dx))
                    component.add((y + dy, x + dx))
                    front.append((y + dy, x + dx))
        found.append(component)
    return found


def assignment(code, hierarchy):
    """Names of the regions that a pixel of this code belongs to; None if it has no code."""
    if code == 0:
        return None
    parents = {region.name: region.parent for region in hierarchy.regions}
    name, names = hierarchy.regions[code - 1].name, set()
    while name is not None:
        names.add(name)
        name = parents[name]
    return names


def places_by_rule(regions, glands, hierarchy):
    """Every place that breaks a rule, as a set of pixels."""
    height, width = regions.shape
    belongs = {
        (y, x): assignment(int(regions[y, x]), hierarchy)
        for y in range(height)
        for x in range(width)
    }
    gland_pixels = {p for p, names in belongs.items() if names and hierarchy.gland in names}
    own_code = hierarchy.code(hierarchy.gland)
    if glands is None:
        instances = components(gland_pixels, CORNERS)
    else:
        by_label = {}
        for p in gland_pixels:
            if glands[p]:
                by_label.setdefault(int(glands[p]), set()).add(p)
        instances = list(by_label.values())

    complete = [one for one in instances if any(regions[p] == own_code for p in one)]
    in_gland = set().union(*complete)
    stray = {p for p in gland_pixels if regions[p] != own_code and p not in in_gland}

    parents = {region.name: region.parent for region in hierarchy.regions}
    touching = set()
    for (y, x), names in belongs.items():
        for name in names or ():
            for dy, dx in EDGES:
                other = belongs.get((y + dy, x + dx))
                if parents[name] and other is not None and parents[name] not in other:
                    touching.add((y, x))

    found = {
        "outside_parent": components(stray, CORNERS),
        "touches_outside": components(touching - stray, CORNERS),
        "extra_pieces": [],
        "holes": [],
    }
    for one in instances:
        pieces = sorted(components(one, CORNERS), key=len)
        found["extra_pieces"] += pieces[:-1]
        for hole in components(set(belongs) - one, EDGES):
            at_border = any(y in (0, height - 1) or x in (0, width - 1) for y, x in hole)
            if not at_border and all(belongs[p] is not None for p in hole):
                found["holes"].append(hole)
    return found


@settings(max_examples=400, deadline=None)
@given(labellings())
def test_places_equal_their_definition(labelling):
    regions, glands, hierarchy = labelling
    expected = places_by_rule(regions, glands, hierarchy)
    found = find_violations(regions, glands, hierarchy)
    for rule, places in expected.items():
        sizes = Counter(v.pixels for v in found if v.rule == rule)
        assert sizes == Counter(map(len, places)), rule
    boxes = Counter((v.y0, v.x0, v.y1, v.x1) for v in found if v.rule != "extra_pieces")
    assert boxes == Counter(
        box_of(place)
        for rule, places in expected.items()
        if rule != "extra_pieces"
        for place in places
    )
    counts = {rule: len(places) for rule, places in expected.items()}
    assert count_violations(regions, glands, hierarchy) == TopologyViolations(**counts)


def box_of(place):
    ys, xs = [y for y, _ in place], [x for _, x in place]
    return min(ys), min(xs), max(ys) + 1, max(xs) + 1


# ---- what the rules mean, one by one


def gland_with_lumen(size=9):
    """A square gland in stroma with a lumen in its middle: nothing to object to."""
    regions = np.full((size, size), STROMA, dtype=np.uint8)
    regions[2:-2, 2:-2] = EPITHELIUM
    regions[4:-4, 4:-4] = LUMEN
    return regions


def test_a_proper_gland_breaks_no_rule():
    assert count_violations(gland_with_lumen()).total == 0


def test_lumen_without_a_gland_counts_once():
    regions = np.full((7, 7), STROMA, dtype=np.uint8)
    regions[2:5, 2:5] = LUMEN
    assert count_violations(regions) == TopologyViolations(outside_parent=1)


def test_lumen_in_a_gland_that_no_instance_covers():
    regions = gland_with_lumen()
    glands = (regions != STROMA).astype(int)
    assert count_violations(regions, glands).total == 0
    assert count_violations(regions, glands * 0) == TopologyViolations(outside_parent=1)


def test_each_contact_of_lumen_with_stroma_is_a_place():
    regions = gland_with_lumen(11)
    regions[5, 2:5] = LUMEN
    assert count_violations(regions) == TopologyViolations(touches_outside=1)
    regions[5, 6:9] = LUMEN
    assert count_violations(regions) == TopologyViolations(touches_outside=2)


@pytest.mark.parametrize("code", [STROMA, 0])
def test_a_hole_needs_to_be_known(code):
    regions = gland_with_lumen()
    regions[3, 3] = code
    expected = TopologyViolations(holes=1) if code == STROMA else TopologyViolations()
    assert count_violations(regions) == expected


def test_lumen_may_reach_the_end_of_what_was_analysed():
    regions = gland_with_lumen()
    assert count_violations(regions[4:]).total == 0
    regions[:4] = 0
    assert count_violations(regions).total == 0
    regions[:4] = STROMA
    assert count_violations(regions).touches_outside == 1


def test_touching_glands_are_no_holes_or_pieces_of_each_other():
    regions = np.full((5, 8), STROMA, dtype=np.uint8)
    regions[1:4, 1:7] = EPITHELIUM
    glands = np.zeros((5, 8), dtype=int)
    glands[1:4, 1:4], glands[1:4, 4:7] = 4, 9
    assert count_violations(regions, glands).total == 0
    glands[1, 6] = 4
    found = find_violations(regions, glands)
    assert [(v.rule, v.gland, v.pixels, v.y0, v.x0) for v in found] == [
        ("extra_pieces", 4, 1, 1, 6)
    ]


def test_a_gland_inside_another_makes_a_hole():
    regions = np.full((9, 9), EPITHELIUM, dtype=np.uint8)
    glands = np.ones((9, 9), dtype=int)
    glands[3:6, 3:6] = 2
    assert count_violations(regions, glands) == TopologyViolations(holes=1)


def test_mucin_must_stay_off_the_epithelium():
    code = {name: MUCIN.code(name) for name in MUCIN.names}
    regions = np.full((9, 9), code["muscle"], dtype=np.uint8)
    regions[1:8, 1:8] = code["epithelium"]
    regions[2:7, 2:7] = code["lumen"]
    regions[3:6, 3:6] = code["mucin"]
    assert count_violations(regions, hierarchy=MUCIN).total == 0
    regions[4, 2] = code["mucin"]
    assert count_violations(regions, hierarchy=MUCIN) == TopologyViolations(touches_outside=1)


def test_unusable_labels_are_refused():
    with pytest.raises(InvalidInputError, match="Label values"):
        count_violations(np.full((3, 3), 4))
    with pytest.raises(InvalidInputError, match="same shape"):
        count_violations(np.ones((3, 3), int), np.ones((3, 2), int))
    assert count_violations(np.zeros((0, 3), dtype=np.uint8)).total == 0


def test_many_objects_take_no_pass_over_the_image_each():
    """A thousand glands with a hole each; one full pass per gland would take minutes."""
    tile = np.full((30, 30), STROMA, dtype=np.uint8)
    tile[2:-2, 2:-2] = EPITHELIUM
    tile[10:15, 10:15] = STROMA
    regions = np.tile(tile, (32, 32))
    start = time.process_time()
    assert count_violations(regions) == TopologyViolations(holes=1024)
    assert time.process_time() - start < 5
