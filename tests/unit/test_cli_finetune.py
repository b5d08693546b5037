"""Claims about fine-tuning on the command line: what it says, and what it refuses in one line."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gland_mtl.annotations import AnnotationProject, Area, AreaInfo, project_path
from napari_gland_mtl.cli import app
from napari_gland_mtl.jobs.finetune_config import WeightingName

TINY = (
    *("--from", "colours", "--epochs", "1", "--patches-per-epoch", "2", "--batch-size", "2"),
    *("--device", "cpu", "--set", "patch_size=32", "--set", "precision=float32"),
)


@pytest.fixture
def cli(colour_model_path, monkeypatch, tmp_path):
    """Runs a command; the model named "colours" is installed, and the runs lie in the test's."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "colours.safetensors").write_bytes(colour_model_path.read_bytes())
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(models))
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path / "runs"))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def project(tissue, tmp_path):
    """A slide (of a name alone) with three areas, all of its glands outlined."""
    slide = tmp_path / "biopsy.svs"
    slide.touch()
    path = project_path(slide)
    for number in range(3):
        image, _, glands = tissue(120, 120, 1.0, ((40 + number, 40), (85, 80)))
        info = AreaInfo(
            name=f"area {number}",
            slide="biopsy",
            slide_path=str(slide),
            slide_mpp=0.5,
            slide_shape=(2000, 2000),
            window=(0, 0, 240, 240),
            mpp=1.0,
            complete=True,
            class_name="benign",
        )
        AnnotationProject(path).add(Area(info, image, glands, np.zeros(glands.shape, np.uint8)))
    return path


def refused(result, *expected):
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    for text in expected:
        assert text in result.stderr
    return True


def test_a_project_becomes_a_model_in_a_run_of_its_name(cli, project, tmp_path):
    result = cli("finetune", project, *TINY)
    assert result.exit_code == 0, result.output
    assert "3 annotated areas on 1 slide" in result.stdout
    run = tmp_path / "runs" / "colours-fine-tuned"
    assert f"run folder: {run}" in result.stdout
    assert "before: object_dice" in result.stdout
    assert "new model 'colours fine-tuned'" in result.stdout
    assert "kept apart to measure on" in result.stderr
    again = cli("finetune", project, *TINY, "--name", "ours")
    assert f"run folder: {run.parent / 'ours'}" in again.stdout
    assert "ours: colours, fine-tuned on 2 annotated images." in cli("models").stdout


def test_a_number_of_areas_of_one_slide_can_be_measured_on(cli, project):
    result = cli("finetune", project, *TINY, "--validation-split", "1")
    assert "before: object_dice" in result.stdout, result.output
    training = ("--from", "colours", "--epochs", "1", "--device", "cpu")
    run = project.parent / "run"
    refused(cli("train", project, "-o", run, *training), "one patient or slide: split by image")


def test_a_taken_run_folder_is_refused_and_not_announced(cli, project, tmp_path):
    run = tmp_path / "run"
    assert f"run folder: {run}" in cli("finetune", project, "-o", run, *TINY).stdout  # control
    result = cli("finetune", project, "-o", run, *TINY)
    refused(result, "holds a training already")
    assert "run folder" not in result.stdout


def test_each_kind_of_training_is_resumed_by_its_own_command(cli, project, tmp_path):
    run = tmp_path / "run"
    cli("finetune", project, "-o", run, *TINY)
    refused(cli("train", project, "-o", run, "--resume"), "gland-mtl finetune --resume")
    assert cli("finetune", "-o", run, "--resume").exit_code == 0  # control
    plain, split = tmp_path / "plain", ("--validation-split", "0", "--set", "patch_size=32")
    cli("train", project, "-o", plain, "--epochs", "1", "--set", "patches_per_epoch=2", *split)
    refused(cli("finetune", "-o", plain, "--resume"), "gland-mtl train --resume")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["PROJECT", "--mpp", "0.5"], "know their um/px"),
        (["PROJECT", "--masks", "binary"], "know their um/px"),
        (["SLIDE"], "is a slide. Name its annotations: "),
        ([], "Nothing to learn from was given"),
        (["PROJECT", "--epochs", "2", "--set", "epochs=3"], "given twice"),
        (["PROJECT", "--resume"], "Name the run folder"),
    ],
)
def test_bad_options_are_one_line_and_leave_no_run(cli, project, tmp_path, arguments, expected):
    places = {"PROJECT": project, "SLIDE": tmp_path / "biopsy.svs"}
    result = cli("finetune", *(places.get(argument, argument) for argument in arguments))
    refused(result, expected)
    assert not (tmp_path / "runs").exists()


def test_a_models_folder_that_takes_nothing_is_found_out_before_the_work(
    cli, project, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "biopsy.svs" / "models"))
    arguments = [
        text if text != "colours" else tmp_path / "models/colours.safetensors" for text in TINY
    ]
    result = cli("finetune", project, *arguments)
    refused(result, "New models go to", "NAPARI_GLAND_MTL_MODELS")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_every_weighting_is_named_in_the_help(cli, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = cli(command, "--help").stdout
    words = set(re.findall(r"[a-z_]+", told))
    assert not set(get_args(WeightingName)) - words
    assert "no_such_weighting" not in words  # control
