"""Distances without a distance transform, against the transform."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_gland_mtl.inference.distances import erode, outside_distances

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20))


@given(
    hnp.arrays(bool, SHAPES, elements=st.sampled_from([True] * 9 + [False])),
    st.floats(0, 12) | st.integers(0, 12),
)
def test_erosion_is_a_threshold_on_the_distance(mask, radius):
    expected = mask
    if not mask.all():
        expected = ndimage.distance_transform_edt(mask) > radius
    np.testing.assert_array_equal(erode(mask, radius), expected)


def test_wide_disks_do_not_overflow():
    mask = np.ones((3, 900), dtype=bool)
    mask[1, 450] = False
    for radius in (126, 127, 128, 300):
        expected = ndimage.distance_transform_edt(mask) > radius
        np.testing.assert_array_equal(erode(mask, radius), expected)
        np.testing.assert_array_equal(erode(mask.T.copy(), radius), expected.T)


@given(hnp.arrays(np.int32, SHAPES, elements=st.sampled_from([1] * 9 + [0, 0, 2])))
def test_distances_to_the_outside_of_each_label(labels):
    y, x = np.nonzero(labels)
    found = outside_distances(labels, y, x)
    for number in np.unique(labels[labels > 0]):
        own = labels == number
        expected = np.full(labels.shape, np.inf)
        if not own.all():
            expected = ndimage.distance_transform_edt(own)
        np.testing.assert_allclose(found[labels[y, x] == number], expected[own])


def test_distances_farther_than_a_byte():
    labels = np.ones((700, 5), dtype=np.int32)
    labels[0] = 0
    found = outside_distances(labels, np.array([699, 300]), np.array([2, 2]))
    assert found.tolist() == [699, 300]
