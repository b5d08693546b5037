"""Claims about measures where only a part of an image was annotated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_gland_mtl.datasets import Sample
from napari_gland_mtl.jobs.scoring import Prediction, Scores
from napari_gland_mtl.metrics import cut_to_annotated, object_dice, object_f1, object_hausdorff

SHAPE = (40, 60)


def sample_of(regions, instances):
    return Sample("a", np.zeros((*regions.shape, 3), np.uint8), regions, instances, -1, None, 0.5)


def drawn(*boxes):
    labels = np.zeros(SHAPE, np.int32)
    for number, (rows, columns) in enumerate(boxes, 1):
        labels[rows, columns] = number
    return labels


def measured(regions, instances, predicted):
    prediction = Prediction(predicted, np.where(predicted > 0, 2, 1).astype(np.uint8))
    return Scores(()).add(sample_of(regions.astype(np.uint8), instances), prediction)


LEFT = (slice(5, 15), slice(5, 15))
RIGHT = (slice(5, 15), slice(40, 50))


@pytest.fixture
def outlined():
    """One gland outlined on the left, with a ring of stroma; another on the right was not."""
    truth = drawn(LEFT)
    regions = np.zeros(SHAPE, int)
    regions[2:18, 2:18] = 1
    regions[truth > 0] = 2
    return regions, truth


def test_a_gland_predicted_where_nobody_looked_is_neither_right_nor_wrong(outlined):
    regions, truth = outlined
    measures = measured(regions, truth, drawn(LEFT, RIGHT))
    assert measures["object_f1"] == measures["object_dice"] == measures["pixel_accuracy"] == 1
    assert measures["object_hausdorff_px"] == 0
    # The control: with the rest known to be stroma it is wrong.
    regions[regions == 0] = 1
    assert measured(regions, truth, drawn(LEFT, RIGHT))["object_f1"] == pytest.approx(2 / 3)


def test_a_gland_predicted_on_the_ring_is_wrong(outlined):
    regions, truth = outlined
    spurious = (slice(16, 18), slice(5, 9))
    assert measured(regions, truth, drawn(LEFT, spurious))["object_f1"] == pytest.approx(2 / 3)


def test_a_prediction_that_reaches_beyond_the_ring_is_compared_within_it(outlined):
    regions, truth = outlined
    wide = (slice(5, 15), slice(5, 23))  # 5 of 18 columns are unknown
    measures = measured(regions, truth, drawn(wide))
    assert measures["object_f1"] == 1
    assert measures["object_dice"] == pytest.approx(2 * 100 / (100 + 130))
    assert measures["object_hausdorff_px"] == 3
    # Mostly unknown: nobody can say what it is, and the outlined gland was not found.
    wider = (slice(5, 15), slice(5, 40))
    assert measured(regions, truth, drawn(wider))["object_f1"] == 0


def test_exactly_half_known_counts():
    labels = np.array([[1, 1, 1, 1, 2, 2]])
    known = np.array([[1, 1, 0, 0, 0, 0]], dtype=bool)
    assert cut_to_annotated(labels, known).tolist() == [[1, 1, 0, 0, 0, 0]]


label_images = npst.arrays(np.int32, (8, 9), elements=st.integers(0, 4))


@settings(max_examples=60)
@given(truth=label_images, predicted=label_images)
def test_a_fully_annotated_image_is_measured_as_ever(truth, predicted):
    regions = np.where(truth > 0, 2, 1)
    measures = measured(regions, truth, predicted)
    assert measures["object_f1"] == object_f1(truth, predicted)
    assert measures["object_dice"] == object_dice(truth, predicted)
    assert measures["object_hausdorff_px"] == object_hausdorff(truth, predicted)
    assert measures["pixel_accuracy"] == np.mean((truth > 0) == (predicted > 0))
    assert np.array_equal(cut_to_annotated(predicted, np.ones(truth.shape, bool)), predicted)


@settings(max_examples=60)
@given(
    truth=label_images,
    predicted=label_images,
    unknown=npst.arrays(np.bool_, (8, 9)),
    anything=label_images,
)
def test_what_lies_on_unknown_pixels_changes_nothing_for_glands_elsewhere(
    truth, predicted, unknown, anything
):
    """The oracle cuts pixel by pixel; a gland of its own on unknown pixels never counts."""
    regions = np.where(unknown, 0, np.where(truth > 0, 2, 1))
    kept = np.zeros_like(predicted)
    for label in range(1, 5):
        own = predicted == label
        if own.any() and 2 * np.count_nonzero(own & unknown) <= np.count_nonzero(own):
            kept[own & ~unknown] = label
    true = np.where(unknown, 0, truth)
    measures = measured(regions, truth, predicted)
    assert measures["object_f1"] == object_f1(true, kept)
    assert measures["object_dice"] == object_dice(true, kept)
    elsewhere = np.where(unknown & (predicted == 0), anything + 10 * (anything > 0), predicted)
    again = measured(regions, truth, elsewhere)
    assert again["object_dice"] == measures["object_dice"]
    assert again["pixel_accuracy"] == measures["pixel_accuracy"]
