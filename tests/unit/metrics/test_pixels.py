"""Pixel and class accuracy, and what they leave out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics import PixelScores, classification_accuracy, confusion_matrix

CODES = hnp.arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


@given(st.lists(st.tuples(CODES, CODES), min_size=1, max_size=3))
def test_accuracy_counts_annotated_pixels_only(pairs):
    scores = PixelScores()
    right, counted, each = 0, 0, []
    for truth, predicted in pairs:
        own = [t == p for t, p in zip(truth.flat, predicted.flat, strict=True) if t != 0]
        expected = sum(own) / len(own) if own else None
        assert scores.add(truth, predicted) == expected
        right, counted = right + sum(own), counted + len(own)
        each += [expected] if own else []
    expected = (
        {"pooled": right / counted, "mean": np.mean(each)}
        if each
        else {
            "pooled": None,
            "mean": None,
        }
    )
    assert scores.accuracy == pytest.approx(expected)


def test_a_left_out_pixel_is_wrong():
    matrix = confusion_matrix(np.array([[1, 2, 3, 0]]), np.array([[1, 0, 2, 3]]))
    assert matrix.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert PixelScores().add(np.array([[1, 2]]), np.array([[1, 0]])) == 0.5


def test_class_accuracy():
    assert classification_accuracy(["a", "b", "b"], ["a", "b", "a"])["mean"] == pytest.approx(2 / 3)
    assert classification_accuracy([], []) == {"pooled": None, "mean": None}
    with pytest.raises(InvalidInputError, match="true and a predicted"):
        classification_accuracy(["a"], [])


def test_other_codes_are_refused():
    with pytest.raises(InvalidInputError, match="Label values"):
        confusion_matrix(np.array([[9]]), np.array([[1]]))
    with pytest.raises(InvalidInputError, match="same shape"):
        confusion_matrix(np.array([[1]]), np.array([[1, 1]]))
