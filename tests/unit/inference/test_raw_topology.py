"""Violations counted strip by strip are those counted on the whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.inference.overlap import Overlap
from napari_gland_mtl.inference.raw_topology import RawTopology, planes_of
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.metrics import count_violations
from napari_gland_mtl.metrics.runs import concatenated, encode
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

MUCIN = RegionHierarchy(  # regions in regions in the gland
    regions=(
        Region(name="stroma"),
        Region(name="mucin", parent="lumen"),
        Region(name="epithelium"),
        Region(name="lumen", parent="epithelium"),
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


def counted(regions, hierarchy, rows, columns):
    """What the sweep over blocks counts."""
    height, width = regions.shape
    topology = RawTopology(regions.shape, hierarchy)
    overlap = Overlap(regions.shape, 1)
    for y in range(0, height, rows):
        glands, contacts = [], []
        for x in range(0, width, columns):
            window = Window(y, x, y + rows, x + columns).clipped(height, width)
            planes, outer, inner = overlap.add(regions[None, *window.slices], window)
            inside = inner.relative_to(outer.y0, outer.x0).slices
            for parts, plane in zip(
                (glands, contacts), planes_of(planes[0], hierarchy), strict=True
            ):
                parts.append(encode(plane[inside]).shifted(inner.y0, inner.x0))
        known = inner.y1
        topology.add(concatenated(glands).in_order(), concatenated(contacts).in_order(), known)
    return topology.counts


@st.composite
def images(draw, hierarchy):
    shape = draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    codes = draw(st.lists(st.integers(0, len(hierarchy)), min_size=1, max_size=5))
    if draw(st.booleans()):
        codes = [c for c in codes if c] or [1]
    small = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(codes)))
    scale = draw(st.integers(1, 3))
    return small.repeat(scale, axis=0).repeat(scale, axis=1)


@given(
    st.sampled_from([GLAND_REGIONS, MUCIN]).flatmap(lambda h: st.tuples(st.just(h), images(h))),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_counts_are_those_of_the_whole(case, rows, columns):
    hierarchy, regions = case
    whole = count_violations(regions, None, hierarchy)
    assert counted(regions, hierarchy, rows, columns) == whole


@given(images(MUCOSA), st.integers(1, 20), st.integers(1, 20))
def test_contents_around_the_glands_count_apart_but_not_by_block(regions, rows, columns):
    found = counted(regions, MUCOSA, rows, columns)
    whole = count_violations(regions, None, MUCOSA)
    assert found == counted(regions, MUCOSA, 99, 99)
    assert (found.outside_parent, found.holes) == (whole.outside_parent, whole.holes)
    assert found.touches_outside >= whole.touches_outside


def test_one_place_through_many_strips_is_one():
    regions = np.ones((50, 9), dtype=np.uint8)
    regions[2:48, 2:5] = 2
    regions[2:48, 5] = 3
    assert counted(regions, GLAND_REGIONS, 4, 4).touches_outside == 1
    per_tile = [count_violations(regions[y : y + 4]).touches_outside for y in range(0, 48, 4)]
    assert sum(per_tile) == 12


@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.data())
def test_windows_cover_the_image_once_with_their_surroundings(shape, data):
    margin = data.draw(st.integers(1, 6))
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    height, width = shape
    image = np.arange(height * width).reshape(1, height, width)
    seen = np.zeros(shape, dtype=int)
    overlap = Overlap(shape, margin)
    for y in range(0, height, rows):
        for x in range(0, width, columns):
            window = Window(y, x, y + rows, x + columns).clipped(height, width)
            planes, outer, inner = overlap.add(image[:, *window.slices], window)
            np.testing.assert_array_equal(planes, image[:, *outer.slices])
            seen[inner.slices] += 1
            if min(inner.shape) > 0:
                wide = Window(
                    inner.y0 - margin, inner.x0 - margin, inner.y1 + margin, inner.x1 + margin
                ).clipped(height, width)
                assert outer.y0 <= wide.y0
                assert outer.x0 <= wide.x0
                assert outer.y1 >= wide.y1
                assert outer.x1 >= wide.x1
    assert np.all(seen == 1)
