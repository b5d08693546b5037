"""Claims about what a model learns from: where it lies, and what is kept apart to measure on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject, Area, AreaInfo
from napari_gland_mtl.datasets.dataset import Dataset, Record
from napari_gland_mtl.errors import DatasetError
from napari_gland_mtl.jobs.events import ModelInstalled
from napari_gland_mtl.jobs.finetune import finetune_model, resume_finetuning
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.finetune_data import joined, open_named, open_training_data
from napari_gland_mtl.jobs.finetune_parts import distinct, divided, same_parts
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.training import StepFinished

CLASSES = ("benign", "malignant")


def images(*patients, classes=CLASSES, prefix="f"):
    """A data set of which only names and patients are known."""
    records = tuple(
        Record(f"{prefix}{n}", 0, patient, 1.0, lambda: None) for n, patient in enumerate(patients)
    )
    return Dataset(records, classes, f"{len(patients)} images")


def add_area(path, tissue, slide, name, part="auto", kind=""):
    image, _, glands = tissue(120, 120, 1.0, ((40, 40), (85, 80)))
    info = AreaInfo(
        name=name,
        slide=slide,
        slide_mpp=0.5,
        slide_shape=(2000, 2000),
        window=(0, 0, 240, 240),
        mpp=1.0,
        complete=True,
        part=part,
        class_name=kind,
    )
    area = Area(info, image, glands, np.zeros(glands.shape, np.uint8))
    return AnnotationProject(path).add(area)[0]


@pytest.fixture
def project(tmp_path, tissue):
    """Two slides with an area each, and an area that was put to validation."""
    path = tmp_path / "slides.annotations.zarr"
    keys = [
        add_area(path, tissue, "one", "area 1", kind="benign"),
        add_area(path, tissue, "two", "area 2", kind="malignant"),
        add_area(path, tissue, "three", "area 3", part="validation"),
    ]
    return path, keys


# ------------------------------------------------------------------ where it lies


def test_a_project_is_opened_with_the_areas_put_to_validation_apart(project):
    path, keys = project
    for place in (path, path.parent):
        training, validation = open_training_data([place])
        assert training.names == ("one/area 1", "two/area 2")
        assert validation.names == ("three/area 3",)
    one, none = open_training_data([f"{path}::{keys[1]}"])
    assert one.names == ("two/area 2",)
    assert none is None
    both = FinetuneConfig(
        training_data=(f"{path}::{keys[0]}",), validation_data=(f"{path}::{keys[1]}",)
    )
    training, validation = open_named(both)
    assert (training.names, validation.names) == (("one/area 1",), ("two/area 2",))


def test_a_project_says_what_was_put_to_training(tmp_path, tissue):
    path = tmp_path / "parts.annotations.zarr"
    for part in ("auto", "training"):
        add_area(path, tissue, part, f"area {part}", part=part)
    training, _ = open_training_data([path])
    assert {record.name: record.part for record in training.records} == {
        "auto/area auto": "auto",
        "training/area training": "training",
    }


def test_nothing_left_to_learn_from_is_said(project, tmp_path, tissue):
    path = tmp_path / "all.annotations.zarr"
    add_area(path, tissue, "one", "area 1", part="validation")
    with pytest.raises(DatasetError, match="All annotated areas are put to validation"):
        open_training_data([path])
    # Control: named as what is measured on, it is welcome.
    named = FinetuneConfig(
        training_data=(f"{project[0]}::{project[1][1]}",), validation_data=(str(path),)
    )
    training, validation = open_named(named)
    assert (training.names, validation.names) == (("two/area 2",), ("one/area 1",))


def test_what_is_not_there_is_named(project, tmp_path):
    path, _ = project
    with pytest.raises(DatasetError, match="no area nothing"):
        open_training_data([f"{path}::nothing"])
    with pytest.raises(DatasetError, match="There is no folder"):
        open_training_data([tmp_path / "gone"])
    with pytest.raises(DatasetError, match="Nothing to learn from"):
        open_named(FinetuneConfig())
    (tmp_path / "apart").mkdir()
    with pytest.raises(DatasetError, match="Nothing to learn from"):
        open_training_data([])


def test_several_places_become_one(project):
    first, second = images("a", "b"), images("c", classes=("Malignant", "benign"), prefix="g")
    both = joined([first, second])
    assert both.names == ("f0", "f1", "g0")
    assert both.classes == CLASSES
    assert [record.class_index for record in both.records] == [0, 0, 1]
    with pytest.raises(DatasetError, match="have an image 'f0'"):
        joined([first, first])


# ------------------------------------------------------------------ what is kept apart


def split(dataset, **settings):
    training, validation, note = divided(dataset, FinetuneConfig(**settings))
    assert set(training.names) | set(validation.names) == set(dataset.names)
    assert not set(training.names) & set(validation.names)
    return training, validation, note


def of_classes(dataset, *classes):
    records = zip(dataset.records, classes, strict=True)
    return replace(dataset, records=tuple(replace(one, class_index=n) for one, n in records))


def test_no_class_is_kept_apart_as_a_whole():
    """One slide of each class: to keep one apart would leave nothing to tell classes by."""
    two_slides = of_classes(images(*"aaabbb"), 0, 0, 0, 1, 1, 1)
    one_rare = of_classes(images(*"abcdef"), 0, 0, 1, 0, 0, 0)
    for data in (two_slides, one_rare):
        for seed in range(10):
            training, validation, _ = split(data, seed=seed)
            assert {record.class_index for record in training.records} == {0, 1}
            assert 1 <= len(validation) <= 2
    # Control: where only one class is known any may be kept apart.
    plain = {split(images(*"abcdef"), seed=seed)[1].names[0] for seed in range(20)}
    assert "f2" in plain


def patients(part):
    return {record.patient for record in part.records}


def test_whole_slides_are_kept_apart_where_there_are_enough():
    training, validation, note = split(images(*"aabbccddee"))
    assert len(validation) == 2
    assert not patients(training) & patients(validation)
    assert note == ""


@pytest.mark.parametrize("slides", ["aaaaaa", "aaaaabbbbb", [None] * 6], ids=str)
def test_where_there_are_too_few_slides_areas_are_kept_apart_and_that_is_said(slides):
    training, validation, note = split(images(*slides))
    assert 1 <= len(validation) <= len(training)
    assert "may flatter" in note
    assert ("too few slides" in note) == (slides[0] is not None)
    assert repr(validation.names[0]) in note


@pytest.mark.parametrize("count", [1, 2])
def test_a_handful_is_all_learned_from(count):
    training, validation, note = split(images(*"abc"[:count]))
    assert (len(training), len(validation)) == (count, 0)
    assert "last weights are kept" in note


def test_the_user_may_say_what_is_kept_apart():
    data = images(*"aabbccdd")
    assert len(split(data, validation="none")[1]) == 0
    assert len(split(data, validation=0.5)[1]) == 4
    assert len(split(data, validation=2)[1]) == 2
    assert split(data, validation=("a", "c"))[1].names == ("f0", "f1", "f4", "f5")
    assert split(data, validation=("f0", "f7"))[1].names == ("f0", "f7")
    with pytest.raises(DatasetError, match="Not in the data set: nobody"):
        split(data, validation=("nobody",))


def with_parts(dataset, *parts):
    records = zip(dataset.records, parts, strict=True)
    return replace(dataset, records=tuple(replace(one, part=part) for one, part in records))


@pytest.mark.parametrize("validation", ["auto", 0.4, 2])
def test_what_was_put_to_training_is_not_measured_on(validation):
    data, choices = images(*"abcdefghij"), {}
    for kind, parts in (("put", ["training"] * 5 + ["auto"] * 5), ("free", ["auto"] * 10)):
        marked = with_parts(data, *parts)
        choices[kind] = {
            name
            for seed in range(20)
            for name in split(marked, validation=validation, seed=seed)[1].names
        }
    assert choices["put"] == {f"f{n}" for n in range(5, 10)}
    assert choices["free"] == set(data.names)  # control


def test_areas_of_a_slide_that_was_put_to_training_go_with_it():
    data = with_parts(images(*"aabb"), "training", "auto", "auto", "training")
    training, validation, note = split(data)
    assert (len(training), len(validation)) == (4, 0)
    assert "put to training" in note
    asked = split(data, validation=("a",))[1]
    assert asked.names == ("f0", "f1")  # by name it may be


def test_the_same_seed_divides_alike_and_another_otherwise():
    data = images(*"abcdefghij")
    one = split(data)[1].names
    assert split(data)[1].names == one
    assert any(split(data, seed=seed)[1].names != one for seed in range(1, 5))


def test_parts_are_found_again_by_name():
    data = images(*"abcd")
    training, validation = same_parts(data, ["f3", "f1"], ["f0"])
    assert (training.names, validation.names) == (("f3", "f1"), ("f0",))
    with pytest.raises(DatasetError, match="'f9'"):
        same_parts(data, ["f9"], [])


def test_two_slides_of_one_name_can_be_told_apart(project, tmp_path, tissue):
    path, keys = project
    other = tmp_path / "elsewhere.annotations.zarr"
    key = add_area(other, tissue, "one", "area 1")
    own, _ = open_training_data([f"{path}::{keys[0]}"])
    same, _ = open_training_data([f"{path}::{keys[0]}"])
    theirs, _ = open_training_data([f"{other}::{key}"])
    assert distinct(own, theirs).names == ("one/area 1 (measured)",)
    with pytest.raises(DatasetError, match="both learned from and measured on"):
        distinct(own, same)


# ------------------------------------------------------------------ together


def test_annotated_areas_teach_a_model_and_a_stopped_run_finds_them_again(
    project, tmp_path, colour_model_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "models"))
    path, _ = project
    config = FinetuneConfig(
        start=str(colour_model_path), epochs=2, patches_per_epoch=4, batch_size=2, patch_size=32,
        device="cpu", precision="float32", training_data=(str(path),),
    )  # fmt: skip
    run, stop = tmp_path / "run", StopToken()
    for event in finetune_model(None, run, config, stop):
        if isinstance(event, StepFinished):
            stop.stop()
    data = json.loads((run / "data.json").read_text())
    assert data["validation"] == ["three/area 3"]
    assert data["training"] == ["one/area 1", "two/area 2"]
    *_, last = resume_finetuning(run)
    assert isinstance(last, ModelInstalled)
    whole = tmp_path / "whole"
    list(finetune_model(None, whole, config))
    assert (run / "steps.csv").read_bytes() == (whole / "steps.csv").read_bytes()
