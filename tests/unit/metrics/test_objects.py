"""The object measures against their definitions, written out in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics import ObjectScores, object_dice, object_f1, object_hausdorff

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def label_pairs(draw, shape=None):
    """Two label images of one shape: noise, or rectangles painted over each other."""
    shape = draw(SHAPES) if shape is None else shape
    return draw(label_images(shape)), draw(label_images(shape))


@st.composite
def label_images(draw, shape):
    if draw(st.booleans()):
        return draw(hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 0, 1, 2, 7])))
    labels = np.zeros(shape, dtype=np.int32)
    for number in range(draw(st.integers(0, 4))):
        y, x = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
        labels[y : y + height, x : x + width] = number + 1
    return labels


# ---- the oracle: sets of pixels, loops, nothing else


def objects_of(labels):
    found = {}
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] != 0:
                found.setdefault(int(labels[y, x]), set()).add((y, x))
    return [found[number] for number in sorted(found)]


def partner_of(one, others):
    """Index of the object of largest overlap, the first of equals; None without overlap."""
    best, partner = 0, None
    for index, other in enumerate(others):
        if len(one & other) > best:
            best, partner = len(one & other), index
    return partner


def oracle_f1(truth, predicted):
    if not truth and not predicted:
        return 1.0
    found = set()
    for one in predicted:
        index = partner_of(one, truth)
        if index is not None and len(one & truth[index]) >= len(truth[index]) / 2:
            found.add(index)
    tp = len(found)
    fp, fn = len(predicted) - tp, len(truth) - tp
    return 2 * tp / (2 * tp + fp + fn)


def oracle_dice(truth, predicted):
    if not truth and not predicted:
        return 1.0
    total = 0.0
    for side, other in ((truth, predicted), (predicted, truth)):
        area = sum(len(one) for one in side)
        for one in side:
            index = partner_of(one, other)
            if index is not None:
                dice = 2 * len(one & other[index]) / (len(one) + len(other[index]))
                total += len(one) / area * dice / 2
    return total


def distance(a, b):
    def directed(here, there):
        return max(min(math.dist(p, q) for q in there) for p in here)

    return max(directed(a, b), directed(b, a))


def oracle_hausdorff(truth, predicted, shape):
    if not truth and not predicted:
        return 0.0
    if not truth or not predicted:
        return math.hypot(shape[0] - 1, shape[1] - 1)
    total = 0.0
    for side, other in ((truth, predicted), (predicted, truth)):
        area = sum(len(one) for one in side)
        for one in side:
            index = partner_of(one, other)
            if index is not None:
                value = distance(one, other[index])
            else:
                value = min(distance(one, candidate) for candidate in other)
            total += len(one) / area * value / 2
    return total


@settings(max_examples=300, deadline=None)
@given(label_pairs())
def test_measures_equal_their_definitions(pair):
    truth, predicted = pair
    g, s = objects_of(truth), objects_of(predicted)
    assert object_f1(truth, predicted) == pytest.approx(oracle_f1(g, s))
    assert object_dice(truth, predicted) == pytest.approx(oracle_dice(g, s))
    assert object_hausdorff(truth, predicted) == pytest.approx(oracle_hausdorff(g, s, truth.shape))


@settings(max_examples=100, deadline=None)
@given(st.lists(label_pairs(), min_size=1, max_size=4))
def test_mean_is_the_mean_of_images_and_pooled_is_one_big_image(pairs):
    scores = ObjectScores()
    for truth, predicted in pairs:
        scores.add(truth, predicted, mpp=0.5)
    summary = scores.summary()
    dices = [oracle_dice(objects_of(t), objects_of(p)) for t, p in pairs]
    f1s = [oracle_f1(objects_of(t), objects_of(p)) for t, p in pairs]
    assert summary["object_dice"]["mean"] == pytest.approx(np.mean(dices))
    assert summary["object_f1"]["mean"] == pytest.approx(np.mean(f1s))
    # Images side by side are one image for the measures that look at overlaps only.
    truth, predicted = side_by_side([t for t, _ in pairs]), side_by_side([p for _, p in pairs])
    assert summary["object_dice"]["pooled"] == pytest.approx(object_dice(truth, predicted))
    assert summary["object_f1"]["pooled"] == pytest.approx(object_f1(truth, predicted))


def side_by_side(images):
    height = max(image.shape[0] for image in images)
    blocks = []
    for number, image in enumerate(images):
        block = np.where(image > 0, image + 10 * number, 0)
        blocks.append(np.pad(block, ((0, height - len(image)), (0, 0))))
    return np.concatenate(blocks, axis=1)


def test_hausdorff_is_pooled_by_area_over_all_images():
    scores = ObjectScores()
    near, far = np.zeros((1, 40), int), np.zeros((1, 40), int)
    near[0, :10], far[0, 2:12] = 1, 1
    scores.add(near, far, mpp=0.5)  # ten pixels, 2 apart
    small, shifted = np.zeros((1, 40), int), np.zeros((1, 40), int)
    small[0, :5], shifted[0, 20:25] = 1, 1
    scores.add(small, shifted, mpp=2.0)  # five pixels, 20 apart, no overlap
    summary = scores.summary()
    assert summary["object_hausdorff_px"]["mean"] == pytest.approx((2 + 20) / 2)
    assert summary["object_hausdorff_px"]["pooled"] == pytest.approx((10 * 2 + 5 * 20) / 15)
    assert summary["object_hausdorff_um"]["mean"] == pytest.approx((1 + 40) / 2)
    assert summary["object_hausdorff_um"]["pooled"] == pytest.approx((10 * 1 + 5 * 40) / 15)


def test_micrometres_need_the_pixel_size_of_every_image():
    scores = ObjectScores()
    labels = np.ones((3, 3), int)
    scores.add(labels, labels, mpp=0.5)
    assert scores.summary()["object_hausdorff_um"] == {"pooled": 0.0, "mean": 0.0}
    scores.add(labels, labels)
    assert scores.summary()["object_hausdorff_um"] == {"pooled": None, "mean": None}
    assert scores.summary()["object_hausdorff_px"] == {"pooled": 0.0, "mean": 0.0}


def test_nothing_measured_gives_none():
    assert ObjectScores().summary()["object_dice"] == {"pooled": None, "mean": None}


def test_two_halves_of_a_gland_find_it_once():
    truth = np.ones((2, 4), int)
    halves = np.array([[1, 1, 2, 2]] * 2)
    assert object_f1(truth, halves) == pytest.approx(2 / 3)


def test_a_gland_covered_by_less_than_half_is_missed():
    truth = np.ones((1, 5), int)
    assert object_f1(truth, np.array([[1, 1, 0, 0, 0]])) == 0
    assert object_f1(truth, np.array([[1, 1, 1, 0, 0]])) == 1


def test_farthest_pixel_may_lie_inside_an_object():
    """A disk inside a ring is farthest from it in its middle, not at its boundary."""
    y, x = np.mgrid[-20:21, -20:21]
    radius = np.hypot(y, x)
    disk, ring = (radius < 8).astype(int), ((radius > 15) & (radius < 17)).astype(int)
    expected = distance(objects_of(disk)[0], objects_of(ring)[0])
    assert object_hausdorff(disk, ring) == pytest.approx(expected)
    assert expected > 15


def test_order_and_size_of_label_numbers_do_not_matter():
    truth = np.array([[1, 1, 0, 2, 2, 2]])
    predicted = np.array([[1, 1, 1, 0, 2, 2]])
    renamed = np.array([[2_000_000_000, 2_000_000_000, 0, 5, 5, 5]], dtype=np.uint64)
    for measure in (object_f1, object_dice, object_hausdorff):
        assert measure(renamed, predicted) == pytest.approx(measure(truth, predicted))


def test_unusable_labels_are_refused():
    labels = np.ones((3, 3), int)
    with pytest.raises(InvalidInputError, match="same shape"):
        object_dice(labels, np.ones((3, 4), int))
    with pytest.raises(InvalidInputError, match="two axes"):
        object_dice(np.ones((3, 3, 3), int), np.ones((3, 3, 3), int))
    with pytest.raises(InvalidInputError, match="whole numbers"):
        object_dice(labels.astype(float), labels)
    with pytest.raises(InvalidInputError, match="positive"):
        object_dice(-labels, labels)
