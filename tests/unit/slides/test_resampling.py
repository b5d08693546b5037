"""Resampling: any window equals the whole, and the whole is the triangle filter it claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.slides.resampling import (
    resample,
    resample_labels,
    resample_window,
    resampled_size,
    source_window,
)

SCALES = st.floats(0.2, 6.0).map(lambda scale: round(scale, 3))
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
SEEDS = st.integers(0, 2**16)


def picture(shape, seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (*shape, 3))
    return values.astype(dtype)


def matrix(size, scale):
    """The filter as a dense matrix, written out tap by tap."""
    count = max(1, math.ceil(size / scale - 1e-6))
    reach = max(scale, 1.0)
    weights = np.zeros((count, size))
    for row in range(count):
        centre = min(max((row + 0.5) * scale - 0.5, 0), size - 1)
        for column in range(size):
            weights[row, column] = max(0.0, 1 - abs(column - centre) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


@given(SIZES, SCALES, SEEDS, st.data())
@settings(max_examples=200, deadline=None)
def test_window_equals_the_same_part_of_the_whole(shape, scale, seed, data):
    image = picture(shape, seed, np.float32)
    whole = resample(image, scale)
    window = []
    for size in whole.shape[:2]:
        start = data.draw(st.integers(0, size - 1))
        window.append((start, data.draw(st.integers(start + 1, size))))
    (y0, y1), (x0, x1) = window
    (a0, a1), (b0, b1) = (
        source_window(start, stop, size, scale)
        for (start, stop), size in zip(window, shape, strict=True)
    )
    part = resample_window(image[a0:a1, b0:b1], scale, shape, (y0, x0, y1, x1))
    assert np.array_equal(part, whole[y0:y1, x0:x1])


@pytest.mark.parametrize(("size", "scale"), [(19, 3.125), (4, 0.3), (7, 5.0), (1, 0.2)])
def test_every_single_line_equals_that_of_the_whole(size, scale):
    image = picture((size, 1), dtype=np.float32)
    whole = resample(image, scale)
    width = resampled_size(1, scale)
    for row in range(len(whole)):
        y0, y1 = source_window(row, row + 1, size, scale)
        line = resample_window(image[y0:y1], scale, (size, 1), (row, 0, row + 1, width))
        assert np.array_equal(line[0], whole[row])


@given(SIZES, SCALES, SEEDS)
@settings(max_examples=60, deadline=None)
def test_agrees_with_the_dense_matrix(shape, scale, seed):
    image = picture(shape, seed, np.float64)
    rows, columns = (matrix(size, scale) for size in shape)
    expected = np.einsum("ai,bj,ijc->abc", rows, columns, image)
    assert np.allclose(resample(image, scale), expected, atol=1e-3)


@given(SIZES, SCALES, st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_constant_stays_constant(shape, scale, value):
    image = np.full((*shape, 3), value, np.uint8)
    result = resample(image, scale)
    assert (result == value).all()
    assert result.shape == (*(resampled_size(size, scale) for size in shape), 3)


def test_scale_of_one_changes_nothing():
    image = picture((17, 23))
    assert np.array_equal(resample(image, 1.0), image)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0, 1.37])
def test_mean_is_kept(scale):
    y, x = np.mgrid[:120, :120] / 120
    image = 100 + 50 * np.sin(5 * x) + 40 * y
    assert resample(image, scale).mean() == pytest.approx(image.mean(), rel=0.01)


def test_reducing_does_not_alias():
    stripes = np.tile([0.0, 255.0], (40, 40))
    reduced = resample(stripes, 4.0)[2:-2, 2:-2]
    assert np.allclose(reduced, 127.5, atol=1)
    assert set(np.unique(stripes[::4, ::4])) == {0.0}  # what picking every fourth would give


def test_positions_are_kept():
    ramp = np.tile(np.arange(60.0), (10, 1))
    for scale in (0.5, 2.0, 2.7):
        result = resample(ramp, scale)
        centres = (np.arange(result.shape[1]) + 0.5) * scale - 0.5
        inner = slice(4, -4)
        # A widened triangle at a broken scale weighs to within a twentieth of a pixel.
        assert np.allclose(result[3, inner], centres[inner], atol=0.06)


def test_whole_numbers_are_rounded_and_types_kept():
    image = np.array([[0, 255]], np.uint8)
    assert resample(image, 2.0).tolist() == [[128]]
    assert resample(image.astype(np.float32), 2.0).dtype == np.float32
    assert resample(image[..., None], 0.5).shape == (2, 4, 1)


def test_given_shape_is_taken():
    assert resample(picture((20, 30)), 2.0, (9, 15)).shape == (9, 15, 3)


@given(SIZES, SCALES)
@settings(max_examples=40, deadline=None)
def test_labels_lie_on_the_image_and_none_is_invented(shape, scale):
    labels = np.random.default_rng(0).integers(0, 9, shape)
    result = resample_labels(labels, scale)
    assert result.shape == resample(labels, scale).shape
    assert set(np.unique(result)) <= set(np.unique(labels))
    y, x = result.shape[0] // 2, result.shape[1] // 2
    source = [min(int((i + 0.5) * scale), size - 1) for i, size in zip((y, x), shape, strict=True)]
    assert result[y, x] == labels[tuple(source)]


def test_bad_input_is_refused():
    with pytest.raises(InvalidInputError, match="above 0"):
        resample(picture((4, 4)), 0.0)
    with pytest.raises(InvalidInputError, match="needs"):
        resample_window(picture((4, 4)), 1.0, (40, 40), (10, 10, 20, 20))
