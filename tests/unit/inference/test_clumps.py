"""Clumps come complete, each once, with all that lies in them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_gland_mtl.inference.clumps import ClumpFinder
from napari_gland_mtl.inference.nesting import HOLLOW, SOLID, UNKNOWN
from napari_gland_mtl.metrics.runs import concatenated, encode

PLANES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    elements=st.sampled_from([HOLLOW] * 5 + [SOLID] * 4 + [UNKNOWN]),
)
EIGHT = np.ones((3, 3))


def sweep(plane, rows, max_box=10**9, min_pixels=1, cell=8):
    """All groups, with the row after which each came, and the pixels of large clumps."""
    finder = ClumpFinder(plane.shape, max_box, min_pixels, cell)
    groups, large = [], []
    for y in range(0, len(plane), rows):
        known = min(y + rows, len(plane))
        found = finder.add(encode(plane[y:known]).shifted(y, 0), known)
        groups += [(group, known) for group in found.groups]
        large.append(found.large)
    return groups, concatenated(large), finder


def filled(mask, unknown):
    """A clump with its holes, those with an unknown pixel left open."""
    outside, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    open_ = np.unique(outside[0])
    outside = outside[1:-1, 1:-1]
    leaky = np.unique(
        np.concatenate(
            [
                outside[unknown],
                *(edge for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1])),
                open_,
            ]
        )
    )
    return mask | ((outside > 0) & ~np.isin(outside, leaky))


def painted(runs, shape):
    mask = runs.with_values(np.ones(runs.size)).paint(shape, bool)
    assert mask.sum() == runs.length.sum()
    return mask


@given(PLANES, st.integers(1, 17), st.integers(1, 20))
def test_each_clump_comes_once_with_what_lies_in_its_holes(plane, rows, cell):
    groups, large, finder = sweep(plane, rows, cell=cell)
    clumps, count = ndimage.label(plane >= SOLID, EIGHT)
    full = [filled(clumps == n, plane == UNKNOWN) for n in range(1, count + 1)]
    outermost = [a for a in full if not any((a <= b).all() and (a < b).any() for b in full)]
    expected = np.zeros(plane.shape, dtype=int)
    for clump in outermost:
        expected += clump
    seen = np.zeros(plane.shape, dtype=int)
    for group, known in groups:
        mask = painted(group.runs, plane.shape)
        seen += mask
        y, x = np.nonzero(mask)
        assert group.box == (y.min(), x.min(), y.max() + 1, x.max() + 1)
        assert y.max() < known - 1 or known == len(plane)
        for clump in outermost:
            assert (clump <= mask).all() or not (clump & mask).any()
    np.testing.assert_array_equal(seen, expected)
    assert large.size == 0
    assert finder.top == len(plane)
    assert finder.nbytes == 0


def ring_with_island():
    plane = np.full((20, 20), HOLLOW, dtype=np.uint8)
    plane[2:18, 2:18] = SOLID
    plane[4:16, 4:16] = HOLLOW
    plane[8:12, 8:12] = SOLID
    return plane


def test_an_island_waits_for_the_ring_around_it():
    groups, _, _ = sweep(ring_with_island(), 5)
    assert [(known, group.runs.length.sum()) for group, known in groups] == [(20, 256)]


def test_an_island_in_a_hole_that_may_go_on_is_on_its_own():
    plane = ring_with_island()
    plane[5, 5] = UNKNOWN
    groups, _, _ = sweep(plane, 5)
    sizes = sorted((known, int(group.runs.length.sum())) for group, known in groups)
    assert sizes == [(15, 16), (20, 112)]


def test_the_first_row_that_is_waited_for():
    finder = ClumpFinder((20, 20), 10**9, 1)
    plane = ring_with_island()
    tops = []
    for y in range(0, 20, 4):
        finder.add(encode(plane[y : y + 4]).shifted(y, 0), y + 4)
        tops.append(finder.top)
    assert tops == [2, 2, 2, 2, 20]


def test_small_clumps_are_left_out_but_not_what_lies_in_them():
    plane = np.full((30, 12), HOLLOW, dtype=np.uint8)
    plane[1:3, 1:3] = SOLID
    plane[5:17, 0:12] = SOLID
    plane[6:16, 1:11] = HOLLOW
    plane[8:14, 3:9] = SOLID
    sizes = [int(g.runs.length.sum()) for g, _ in sweep(plane, 7, min_pixels=5)[0]]
    assert sizes == [144]
    assert [int(g.runs.length.sum()) for g, _ in sweep(plane, 7, min_pixels=40)[0]] == [144]
    assert sweep(plane, 7, min_pixels=45)[0] == []


@given(PLANES, st.integers(1, 17), st.integers(1, 200))
def test_each_pixel_of_a_large_clump_comes_once(plane, rows, max_box):
    groups, large, finder = sweep(plane, rows, max_box=max_box)
    solid = plane >= SOLID
    seen = painted(large.in_order(), plane.shape).astype(int)
    assert not (seen.astype(bool) & ~solid).any()
    for group, _ in groups:
        seen += painted(group.runs, plane.shape)
    assert np.all(seen[solid] == 1)
    assert not finder.any_large
    clumps = ndimage.label(solid, EIGHT)[0]
    for number, box in enumerate(ndimage.find_objects(clumps), 1):
        if (box[0].stop - box[0].start) * (box[1].stop - box[1].start) > max_box:
            assert painted(large.in_order(), plane.shape)[clumps == number].all()


def test_a_large_clump_does_not_wait_for_its_end():
    plane = np.full((40, 10), HOLLOW, dtype=np.uint8)
    plane[2:38, 3:7] = SOLID
    finder = ClumpFinder(plane.shape, 40, 1)
    came = []
    for y in range(0, 40, 5):
        found = finder.add(encode(plane[y : y + 5]).shifted(y, 0), y + 5)
        came.append(int(found.large.length.sum()))
        assert finder.any_large == (15 <= y + 5 < 40)
    assert came == [0, 0, 52, 20, 20, 20, 20, 12]
