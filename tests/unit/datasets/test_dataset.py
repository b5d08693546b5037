"""Splits keep patients together; classes can be put in a network's terms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_gland_mtl.datasets import Dataset, Record, split_dataset
from napari_gland_mtl.errors import DatasetError

PIXELS = (np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.uint8), None)


def make(patients, classes=("benign", "malignant"), kinds=None):
    kinds = kinds or [0] * len(patients)
    records = tuple(
        Record(f"image_{i}", kind, patient, 0.5, lambda: PIXELS)
        for i, (patient, kind) in enumerate(zip(patients, kinds, strict=True))
    )
    return Dataset(records, classes, "made up")


PATIENTS = st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=30).filter(
    lambda names: len(set(names)) > 1
)


@given(PATIENTS, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_patient_is_on_both_sides(patients, seed):
    data = make(patients)
    training, validation = split_dataset(data, 1, seed=seed)
    sides = [{record.patient for record in part.records} for part in (training, validation)]
    assert not sides[0] & sides[1]
    assert sorted(training.names + validation.names) == sorted(data.names)
    assert split_dataset(data, 1, seed=seed)[1].names == validation.names


def test_split_by_image_does_share_patients():
    training, validation = split_dataset(make("aaaa"), 2, by="image")
    assert len(training) == len(validation) == 2
    with pytest.raises(DatasetError, match="leaves 0 images for training"):
        split_dataset(make("aaaa"), 2)


def test_another_seed_is_another_split():
    data = make([None] * 40)
    splits = {split_dataset(data, 0.25, seed=seed)[1].names for seed in range(5)}
    assert len(splits) > 1
    assert {len(names) for names in splits} == {10}


def test_one_unknown_patient_means_split_by_image():
    data = make(["a", "a", None])
    assert len(split_dataset(data, 1)[1]) == 1
    with pytest.raises(DatasetError, match="split by image"):
        split_dataset(data, 1, by="patient")


def test_named_patients_and_images_are_validated_on():
    data = make("abcab")
    assert split_dataset(data, ["b", "c"])[1].names == ("image_1", "image_2", "image_4")
    assert split_dataset(data, "image_3", by="image")[1].names == ("image_3",)
    with pytest.raises(DatasetError, match="Not in the data set: x"):
        split_dataset(data, ["a", "x"])


@pytest.mark.parametrize("validation", [0, -1, 1.0, 0.0, 1.5])
def test_impossible_shares_are_refused(validation):
    with pytest.raises(DatasetError):
        split_dataset(make("abcd"), validation)


def test_unknown_way_of_splitting_is_refused():
    with pytest.raises(DatasetError, match="not 'slide'"):
        split_dataset(make("ab"), 1, by="slide")


def test_pixels_are_read_only_when_asked_for():
    def fail():
        raise RuntimeError("read")

    data = Dataset((Record("a", -1, None, 0.5, fail),), ())
    assert data.names == ("a",)
    with pytest.raises(RuntimeError):
        data[0]


def test_slices_are_data_sets():
    assert make("abcd")[1:3].names == ("image_1", "image_2")
    assert [sample.name for sample in make("ab")] == ["image_0", "image_1"]


def test_unmatched_classes_become_unknown_and_it_is_said():
    data = make("abcde", ("Normal", "Polyp", "Malignant"), [0, 1, 2, -1, 1])
    mapped = data.map_classes(("benign", "malignant"))
    assert [record.class_index for record in mapped.records] == [-1, -1, 1, -1, -1]
    assert mapped.classes == ("benign", "malignant")
    assert "Normal 1, Polyp 2: class not used" in mapped.description
    assert data.records[0].class_index == 0


def test_mapping_renames_classes():
    data = make("abc", ("Normal", "Polyp"), [0, 1, 1])
    mapped = data.map_classes(("benign", "malignant"), {"Normal": "benign", "Polyp": "benign"})
    assert [record.class_index for record in mapped.records] == [0, 0, 0]
    assert mapped.description == "made up"
    with pytest.raises(DatasetError, match="cannot become 'bening'"):
        data.map_classes(("benign",), {"Normal": "bening"})
    with pytest.raises(DatasetError, match="no class 'Cancer'"):
        data.map_classes(("benign",), {"Cancer": "benign"})


def test_same_classes_in_another_order_keep_their_names():
    data = make("ab", ("a", "b"), [0, 1]).map_classes(("b", "a"))
    assert [data.classes[record.class_index] for record in data.records] == ["a", "b"]
