"""Components, numbers and holes against flood fills."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics.components import (
    compact_labels,
    connected_pieces,
    euler_numbers,
    hole_labels,
    instances_from_mask,
    objects_with_holes,
    secondary_pieces,
)

EDGES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = (*EDGES, (1, 1), (1, -1), (-1, 1), (-1, -1))
LABELS = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    elements=st.sampled_from([0, 0, 1, 1, 1, 2]),
)


def components(pixels, steps):
    """Connected components of a set of pixels, by flood fill."""
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


def where(mask):
    return {(int(y), int(x)) for y, x in np.argwhere(mask)}


def holes(mask, unknown):
    height, width = mask.shape
    return [
        component
        for component in components(where(~mask), EDGES)
        if not any(
            y in (0, height - 1) or x in (0, width - 1) or unknown[y, x] for y, x in component
        )
    ]


@given(LABELS)
def test_instances_are_components_through_edges_and_corners(labels):
    instances = instances_from_mask(labels > 0)
    expected = components(where(labels > 0), CORNERS)
    found = [where(instances == number) for number in range(1, instances.max(initial=0) + 1)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


@given(LABELS)
def test_pieces_and_euler_numbers(labels):
    compact, names = compact_labels(labels)
    euler = euler_numbers(compact)
    _, owner, area = connected_pieces(compact)
    for number, name in enumerate(names[1:], 1):
        parts = components(where(labels == name), CORNERS)
        assert sorted(area[owner == number]) == sorted(map(len, parts))
        assert euler[number] == len(parts) - len(holes(labels == name, labels < 0))
    extra = secondary_pieces(owner, area)
    assert len(extra) == len(owner) - len(names)


@settings(deadline=None)
@given(LABELS, st.randoms())
def test_holes_neither_reach_the_border_nor_what_was_not_analysed(labels, random):
    unknown = np.zeros(labels.shape, dtype=bool)
    if random.random() < 0.5:
        unknown[random.randrange(labels.shape[0]), random.randrange(labels.shape[1])] = True
    unknown &= labels == 0
    compact, _ = compact_labels(labels)
    _, owner, _ = connected_pieces(compact)
    found = 0
    for number, box in objects_with_holes(compact, owner):
        found += hole_labels(compact[box] == number, unknown[box])[1]
    expected = sum(len(holes(compact == n, unknown)) for n in range(1, compact.max() + 1))
    assert found == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, bool])
def test_numbers_are_made_compact(dtype):
    labels = np.array([[0, 1], [1, 0]]).astype(dtype)
    compact, names = compact_labels(labels)
    assert compact.tolist() == [[0, 1], [1, 0]]
    assert names.tolist() == [0, 1]


def test_sparse_numbers_without_background():
    compact, names = compact_labels(np.array([[10**12, 7]]))
    assert compact.tolist() == [[2, 1]]
    assert names.tolist() == [0, 7, 10**12]


def test_numbers_without_pixels_have_no_hole():
    labels = np.zeros((5, 5), dtype=np.int32)
    labels[1:4, 1:4] = 7
    assert objects_with_holes(labels) == []
    labels[2, 2] = 0
    assert objects_with_holes(labels) == [(7, (slice(1, 4), slice(1, 4)))]


def test_empty_images_hold_nothing():
    empty = np.zeros((0, 4), dtype=np.int32)
    assert instances_from_mask(empty).shape == (0, 4)
    assert compact_labels(empty)[1].tolist() == [0]
    assert connected_pieces(empty)[2].tolist() == [0]


def test_wrong_axes_are_refused():
    with pytest.raises(InvalidInputError, match="two axes"):
        instances_from_mask(np.ones((2, 2, 3)))
