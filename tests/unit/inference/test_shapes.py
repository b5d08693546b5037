"""Perimeters and convex areas of all objects at once, against one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import perimeter
from skimage.morphology import convex_hull_image

from napari_gland_mtl.inference.shapes import convex_areas, perimeters
from napari_gland_mtl.metrics.runs import encode


def measures(labels, number):
    runs = encode(labels)
    return perimeters(labels, number), convex_areas(runs.where(runs.value > 0), number)


def expected(labels, number):
    boxes = ndimage.find_objects(labels)
    masks = [np.pad(labels[boxes[n - 1]] == n, 2) for n in range(1, number + 1)]
    hulls = [convex_hull_image(mask).sum() for mask in masks]
    return [perimeter(mask) for mask in masks], hulls


@given(
    hnp.arrays(
        np.int32,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, 1, 2]),
    )
)
def test_small_shapes_of_any_kind(labels):
    labels[0, 0], labels[-1, -1] = 1, 1
    number = int(labels.max())
    for found, wanted in zip(measures(labels, number), expected(labels, number), strict=True):
        np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("seed", range(4))
def test_ragged_shapes_that_touch(seed):
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.normal(size=(150, 180)), 3)
    labels = ndimage.label(height > 0)[0].astype(np.int32)
    labels[:, 90:][labels[:, 90:] > 0] += labels.max()
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    number = int(labels.max())
    for found, wanted in zip(measures(labels, number), expected(labels, number), strict=True):
        np.testing.assert_allclose(found, wanted)


def test_no_object_has_no_measure():
    found = measures(np.zeros((4, 4), dtype=np.int32), 0)
    assert [len(values) for values in found] == [0, 0]
