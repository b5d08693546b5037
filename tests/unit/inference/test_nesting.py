"""Components that arrive in strips: which there are, and which lies inside which."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_gland_mtl.inference.nesting import (
    HOLLOW,
    MARKED,
    NOWHERE,
    SOLID,
    UNKNOWN,
    Nesting,
)
from napari_gland_mtl.metrics.runs import concatenated, encode

PLANES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([HOLLOW] * 5 + [SOLID] * 6 + [UNKNOWN, MARKED]),
)


def swept(plane, rows, columns, limit=None):
    """The table after all strips, and how many components each strip left."""
    height, width = plane.shape
    nesting = Nesting(plane.shape, limit)
    ends = sorted({*(r for r in rows if 0 < r < height), height})
    edges = sorted({0, *(c for c in columns if 0 < c < width), width})
    for y0, y1 in pairwise([0, *ends]):
        parts = [encode(plane[y0:y1, x0:x1]).shifted(y0, x0) for x0, x1 in pairwise(edges)]
        nesting.add(concatenated(parts).in_order(), y1)
    return nesting.table


def labelled(plane):
    """Components of both kinds in one label image, and which of them are solid."""
    solid, count = ndimage.label(plane >= SOLID, np.ones((3, 3)))
    hollow, more = ndimage.label(plane < SOLID)
    return np.where(plane >= SOLID, solid, hollow + count), [True] * count + [False] * more


def enclosing(labels, number):
    """The component around another: the first that is met on the way to the left."""
    y, x = np.argwhere(labels == number)[0]
    return labels[y, x - 1] if x else 0


@given(PLANES, st.lists(st.integers(1, 13)), st.lists(st.integers(1, 13)))
def test_strips_and_blocks_give_the_components_of_the_whole(plane, rows, columns):
    table = swept(plane, rows, columns)
    labels, solid = labelled(plane)
    assert len(table) == len(solid)
    assert not table.growing.any()
    number_at = labels.ravel()[table.first]
    for row, number in enumerate(number_at):
        own = labels == number
        y, x = np.nonzero(own)
        assert table.solid[row] == solid[number - 1]
        assert table.area[row] == own.sum()
        box = (table.y0[row], table.x0[row], table.y1[row], table.x1[row])
        assert box == (y.min(), x.min(), y.max() + 1, x.max() + 1)
        assert table.marked[row] == (plane[own] == MARKED).any()
        around = table.around[row]
        assert (0 if around == NOWHERE else number_at[around]) == enclosing(labels, number)


@given(PLANES, st.lists(st.integers(1, 13)))
def test_a_hole_is_closed_and_analysed_to_its_depth(plane, rows):
    table = swept(plane, rows, [])
    labels, _ = labelled(plane)
    for row in np.flatnonzero(~table.solid):
        own = labels == labels.ravel()[table.first[row]]
        framed = np.pad(~own, 1, constant_values=True)
        outside = ndimage.label(framed, np.ones((3, 3)))[0]
        inside = (outside != outside[0, 0])[1:-1, 1:-1]  # with all that lies in it
        edges = (own[0], own[-1], own[:, 0], own[:, -1])
        closed = not any(edge.any() for edge in edges)
        assert table.is_hole[row] == (closed and not (plane[inside] == UNKNOWN).any())


def test_a_hole_above_the_limit_is_none():
    plane = np.full((9, 9), SOLID, dtype=np.uint8)
    plane[1:8, 1:8] = HOLLOW
    assert swept(plane, [4], []).is_hole.sum() == 1
    assert swept(plane, [4], [], limit=49).is_hole.sum() == 1
    assert swept(plane, [4], [], limit=48).is_hole.sum() == 0


def test_dropped_components_leave_the_others_as_they_are():
    plane = np.zeros((6, 8), dtype=np.uint8)
    plane[1:3, 1:3] = SOLID
    plane[1:6, 4:6] = SOLID
    nesting = Nesting((8, 8))
    nesting.add(encode(plane), 6)
    ended = ~nesting.table.growing
    assert ended.sum() == 1
    moved = nesting.drop(ended)
    assert moved[ended.nonzero()[0][0]] == moved[-1] == NOWHERE
    nesting.add(encode(plane[1:3]).shifted(6, 0), 8)
    assert nesting.table.area[nesting.table.solid].tolist() == [14, 4]
