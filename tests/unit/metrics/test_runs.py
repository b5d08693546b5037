"""Runs of a label image hold all that is in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.metrics.runs import boxes_of, concatenated, encode, first_pixels

LABELS = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0, 0, 1, 1, 1, 7]),
)


@given(LABELS, st.data())
def test_an_image_comes_back_from_the_runs_of_its_pieces(image, data):
    height, width = image.shape
    y, x = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    parts = [
        encode(image[rows, columns]).shifted(rows.start, columns.start)
        for rows in (slice(0, y), slice(y, height))
        for columns in (slice(0, x), slice(x, width))
    ]
    runs = concatenated(part.where(part.value > 0) for part in parts).in_order()
    np.testing.assert_array_equal(runs.paint(image.shape), image)
    assert runs.length.sum() == np.count_nonzero(image)


@given(LABELS, st.data())
def test_a_window_of_the_runs_is_that_of_the_image(image, data):
    y0, y1 = sorted(data.draw(st.integers(0, image.shape[0])) for _ in "01")
    x0, x1 = sorted(data.draw(st.integers(0, image.shape[1])) for _ in "01")
    part = encode(image).within(y0, x0, y1, x1).shifted(-y0, -x0)
    np.testing.assert_array_equal(part.paint((y1 - y0, x1 - x0)), image[y0:y1, x0:x1])


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_image_has_no_runs(shape):
    runs = encode(np.zeros(shape, dtype=np.int32))
    assert runs.size == 0
    assert runs.paint(shape).shape == shape


def test_a_wide_row_is_one_run():
    assert encode(np.ones((1, 100_000), dtype=bool)).size == 1


@given(LABELS)
def test_boxes_and_first_pixels(image):
    labels = np.where(image == 7, 2, image)
    numbers = np.unique(labels[labels > 0])
    boxes = dict(boxes_of(encode(labels), np.array([1, 2, 3])))
    assert sorted(boxes) == numbers.tolist()
    for number, box in boxes.items():
        y, x = np.nonzero(labels == number)
        assert box == (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
    compact = np.searchsorted(np.concatenate(([0], numbers)), labels)
    first = [np.flatnonzero(compact == number + 1)[0] for number in range(len(numbers))]
    np.testing.assert_array_equal(first_pixels(compact), first)
