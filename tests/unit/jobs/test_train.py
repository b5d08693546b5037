"""Claims about training as a job: its run folder, its resumption, its refusals."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_gland_mtl.checkpoint import load_model, save_model
from napari_gland_mtl.datasets import open_dataset
from napari_gland_mtl.errors import (
    CheckpointError,
    DatasetError,
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
)
from napari_gland_mtl.jobs.run_folder import image_names, part_of_run
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.jobs.train import TrainConfig, resumed_config, train_model
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.progress import EpochFinished, StepFinished, TrainingFinished

TINY = TrainingConfig(
    mpp=1.24,
    widths=(4, 8, 8, 8, 8),
    patch_size=32,
    batch_size=2,
    epochs=3,
    patches_per_epoch=4,
    weighting="uncertainty",
    device="cpu",
    precision="float32",
)
CONFIG = TrainConfig(training=TINY, validation=1, split_by="image")


@pytest.fixture
def dataset(tmp_path, synthetic_field):
    """Four annotated fields, two of each class, as a folder on disk."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image,class"]
    for number, kind in enumerate(("benign", "malignant") * 2):
        field = synthetic_field(kind=kind, height=128, width=144, seed=number)
        Image.fromarray(field.image).save(folder / "images" / f"f{number}.png")
        mask = Image.fromarray(np.asarray(field.regions))
        mask.save(folder / "masks" / f"f{number}.png")
        rows.append(f"f{number},{kind}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return open_dataset(folder, mpp=0.62)


def weights_of(folder, name="last"):
    return load_model(folder / f"{name}.safetensors").network.state_dict()


def steps_of(folder):
    return (folder / "steps.csv").read_text(encoding="utf-8")


def test_a_run_folder_holds_settings_images_history_and_weights(dataset, tmp_path):
    run = tmp_path / "run"
    events = list(train_model(dataset, run, CONFIG))
    assert isinstance(events[-1], TrainingFinished)
    assert not events[-1].stopped
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [event.step for event in steps] == list(range(1, 7))
    with (run / "epochs.csv").open(encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    assert {"object_dice", "object_f1", "score", "log_var_topology"} <= set(epochs[0])
    data = json.loads((run / "data.json").read_text(encoding="utf-8"))
    assert len(data["training"]) == 3
    assert len(data["validation"]) == 1
    assert not set(data["training"]) & set(data["validation"])
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert environment["packages"]["torch"]
    model = load_model(run)
    assert model.path.name == "best.safetensors"
    assert model.card.name == "run"
    assert model.card.mpp == TINY.mpp
    assert set(model.card.log_vars) == set(TINY.losses)


def test_the_best_epoch_is_the_one_with_the_largest_score(dataset, tmp_path):
    events = list(train_model(dataset, tmp_path / "run", CONFIG))
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    best = max(epochs, key=lambda event: event.measures["score"])
    assert events[-1].best_epoch == best.epoch
    kept = load_model(tmp_path / "run").card.measures
    assert kept["score"] == best.measures["score"]


@pytest.mark.parametrize("after", [1, 4])
def test_a_stopped_run_resumes_to_the_same_weights_and_history(dataset, tmp_path, after):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    list(train_model(dataset, whole, CONFIG))
    stop = StopToken()
    for event in train_model(dataset, parts, CONFIG, stop):
        if isinstance(event, StepFinished) and event.step == after:
            stop.stop()
    assert isinstance(event, TrainingFinished)
    assert event.stopped
    list(train_model(dataset, parts, resume=True))
    expected, resumed = weights_of(whole), weights_of(parts)
    assert all((expected[name] == resumed[name]).all() for name in expected)
    assert steps_of(whole) == steps_of(parts)


def test_a_run_is_not_overwritten(dataset, tmp_path):
    list(train_model(dataset, tmp_path / "run", CONFIG))
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(OutputExistsError, match="--resume"):
        list(train_model(dataset, tmp_path / "run", CONFIG))
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_nothing_to_resume_is_said(dataset, tmp_path):
    with pytest.raises(InvalidInputError, match="holds no training to resume"):
        list(train_model(dataset, tmp_path / "nothing", resume=True))


def test_a_run_is_not_resumed_with_other_settings_or_images(dataset, tmp_path):
    run = tmp_path / "run"
    list(train_model(dataset, run, CONFIG))
    other = CONFIG.model_copy(update={"split_seed": 5})
    with pytest.raises(InvalidInputError, match="differ"):
        list(train_model(dataset, run, other, resume=True))
    with pytest.raises(DatasetError, match="images differ"):
        list(train_model(dataset.subset([0, 1, 2]), run, resume=True))
    (run / "config.json").write_text("{}{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot be read"):
        list(train_model(dataset, run, resume=True))


def test_a_run_from_before_a_setting_existed_goes_on_without_it(dataset, tmp_path):
    list(train_model(dataset, tmp_path / "run", CONFIG))
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["training"].pop("dropout") > 0  # what a new training gets
    path.write_text(json.dumps(content), encoding="utf-8")
    assert resumed_config(tmp_path / "run").training.dropout == 0


def test_the_learning_rate_rises_for_a_fifth_of_the_training_at_most(dataset, tmp_path):
    for asked, got in ((1000, 1), (1, 1), (0, 0)):  # of six steps
        training = TINY.model_copy(update={"schedule_warmup_steps": asked})
        config = CONFIG.model_copy(update={"training": training})
        list(train_model(dataset, tmp_path / f"{asked}", config))
        assert resumed_config(tmp_path / f"{asked}").training.schedule_warmup_steps == got
        list(train_model(dataset, tmp_path / f"{asked}", config, resume=True))  # not another one


def test_a_run_may_go_on_elsewhere_and_nothing_else_may_change(dataset, tmp_path):
    run = tmp_path / "run"
    list(train_model(dataset, run, CONFIG))
    stored = resumed_config(run)
    elsewhere = resumed_config(run, device="auto", devices=2)
    assert (elsewhere.training.device, elsewhere.training.devices) == ("auto", 2)
    assert elsewhere.on(device="cpu", devices=1) == stored
    # Done to its end: nothing is left to do, on whatever device.
    (last,) = (
        event
        for event in train_model(dataset, run, resumed_config(run, device="auto"), resume=True)
        if isinstance(event, TrainingFinished)
    )
    assert not last.stopped
    more = elsewhere.model_copy(update={"split_seed": 5})
    with pytest.raises(InvalidInputError, match="any but device and devices"):
        list(train_model(dataset, run, more, resume=True))
    with pytest.raises(ValueError, match="2 patches cannot be shared by 3"):
        resumed_config(run, devices=3)


def test_a_folder_that_cannot_be_made_is_said_before_any_work(dataset, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OutputNotWritableError, match="Choose another"):
        next(train_model(dataset, tmp_path / "file" / "run", CONFIG))


def test_going_on_from_a_model_keeps_its_scale_licence_temperature_and_descent(dataset, tmp_path):
    first = CONFIG.model_copy(update={"licence": "Research only."})
    list(train_model(dataset, tmp_path / "first", first))
    made = load_model(tmp_path / "first")
    assert made.card.class_temperature == 1
    card = made.card.model_copy(update={"class_temperature": 1.7})
    save_model(tmp_path / "first" / "best.safetensors", made.network, card)
    parent = load_model(tmp_path / "first")
    settings = {key: value for key, value in TINY.model_dump().items() if key != "mpp"}
    config = TrainConfig(
        training=TrainingConfig(**settings), validation=0, start=str(tmp_path / "first")
    )
    list(train_model(dataset, tmp_path / "second", config))
    child = load_model(tmp_path / "second")
    assert child.card.mpp == parent.card.mpp
    assert child.card.licence == "Research only."
    assert child.card.class_temperature == 1.7
    assert child.card.parents == (parent.sha256,)
    assert child.network.config == parent.network.config


def test_the_licence_of_the_data_comes_before_that_of_the_parent(dataset, tmp_path):
    restricted = replace(dataset, licence="Research only.")
    list(train_model(restricted, tmp_path / "first", CONFIG))
    assert load_model(tmp_path / "first").card.licence == "Research only."
    config = CONFIG.model_copy(update={"start": str(tmp_path / "first")})
    other = replace(dataset, licence="Cite us.")
    list(train_model(other, tmp_path / "second", config))
    assert load_model(tmp_path / "second").card.licence == "Cite us. Research only."


def test_without_any_class_the_classification_loss_is_left_out_and_that_is_said(dataset, tmp_path):
    nameless = dataset.map_classes(("adenoma", "carcinoma"))
    run = tmp_path / "run"
    events = list(train_model(nameless, run, CONFIG))
    assert any("classification loss is left out" in getattr(e, "text", "") for e in events)
    assert "classification" not in load_model(run).card.log_vars
    assert any(
        isinstance(event, TrainingFinished) for event in train_model(nameless, run, resume=True)
    )
    alone = TrainingConfig(**{**TINY.model_dump(), "losses": ("classification",)})
    with pytest.raises(DatasetError, match="only one chosen"):
        list(train_model(nameless, tmp_path / "alone", TrainConfig(training=alone, validation=1)))
    assert not (tmp_path / "alone").exists()


def test_without_validation_the_last_weights_are_the_best(dataset, tmp_path):
    config = CONFIG.model_copy(update={"validation": 0})
    list(train_model(dataset, tmp_path / "run", config))
    assert image_names(tmp_path / "run", "validation") == ()
    best, last = weights_of(tmp_path / "run", "best"), weights_of(tmp_path / "run")
    assert all((best[name] == last[name]).all() for name in best)


def test_the_parts_of_a_run_are_found_again_in_the_data_set(dataset, tmp_path):
    run = tmp_path / "run"
    list(train_model(dataset, run, CONFIG))
    held_out = part_of_run(dataset, run, "validation")
    assert held_out.names == image_names(run, "validation")
    assert image_names(run / "last.safetensors", "validation") == held_out.names
    trained_on = [dataset.names.index(name) for name in image_names(run, "training")]
    missing = dataset.subset(trained_on)
    with pytest.raises(DatasetError, match="misses"):
        part_of_run(missing, run, "validation")
    with pytest.raises(InvalidInputError, match="no run folder"):
        part_of_run(dataset, tmp_path, "training")
