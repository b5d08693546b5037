"""Fine-tuning as a user meets it: the command line, real processes, one of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import napari_gland_mtl as gm
from napari_gland_mtl.checkpoint import ModelCard, save_model
from napari_gland_mtl.cli import app
from napari_gland_mtl.jobs.runs import list_runs, run_entry
from napari_gland_mtl.network import NetworkConfig, build_network

SETTINGS = ("--epochs", "4", "--patches-per-epoch", "12", "--batch-size", "4", "--device", "cpu")
SETTINGS += ("--set", "patch_size=48", "--set", "precision=float32", "--validation-split", "1")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_GLAND_MTL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path / "runs"))
    return tmp_path


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model to start from: it knows nothing."""
    network = build_network(NetworkConfig(widths=(4, 8, 8)))
    card = ModelCard(
        name="tiny",
        mpp=1.0,
        network=network.config.model_dump(mode="json"),
        licence="Research only.",
        log_vars={"segmentation": 0.3, "topology": -0.2},
    )
    return save_model(tmp_path_factory.mktemp("start") / "tiny.safetensors", network, card)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, synthetic_field):
    """Four annotated fields on disk, two of each class."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows = ["image,class"]
    for number, kind in enumerate(("benign", "malignant") * 2):
        field = synthetic_field(kind=kind, height=128, width=144, seed=number)
        Image.fromarray(field.image).save(folder / "images" / f"f{number}.png")
        Image.fromarray(np.asarray(field.regions)).save(folder / "masks" / f"f{number}.png")
        rows.append(f"f{number},{kind}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def gland_mtl(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_killed_and_resumed_it_ends_as_an_undisturbed_run(home, folder, start):
    whole, parts = home / "whole", home / "parts"
    common = (folder, "--mpp", "0.62", "--from", start, *SETTINGS)
    done = gland_mtl("finetune", *common, "-o", whole, "--name", "whole")
    assert done.exit_code == 0, done.output
    command = [sys.executable, "-m", "napari_gland_mtl", "finetune", *common, "-o", parts]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*map(str, command), "--name", "parts"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 100
        while run_entry(parts).epoch < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert run_entry(parts).state == "running"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert run_entry(parts).state == "interrupted"
    assert run_entry(parts).epoch < 4  # control: it had not come to its end
    resumed = gland_mtl("finetune", "-o", parts, "--resume")  # the data are in its settings
    assert resumed.exit_code == 0, resumed.output
    for name in ("best", "last"):
        ours, theirs = (load_file(run / f"{name}.safetensors") for run in (parts, whole))
        assert all((ours[key] == theirs[key]).all() for key in theirs)
    for name in ("steps.csv", "epochs.csv"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert run_entry(parts).state == "finished"
    models = {entry.name: entry.card for entry in gm.list_models()}
    assert models["parts"].measures == models["whole"].measures
    assert models["parts"].annotations == models["whole"].annotations


def test_the_command_says_what_it_does_and_puts_the_model_into_the_list(home, folder, start):
    done = gland_mtl("finetune", folder, "--mpp", "0.62", "--from", start, *SETTINGS)
    assert done.exit_code == 0, done.output
    (entry,) = list_runs()
    assert entry.path.parent == home / "runs"
    for words in (
        "4 images at 0.62 um/px",
        f"run folder: {entry.path}",
        "before: object_dice",
        "epoch 4/4:",
        "new model 'tiny fine-tuned':",
    ):
        assert words in done.stdout
    card = gland_mtl("models").stdout
    assert "tiny fine-tuned" in card
    assert "measures, before:" in card
    assert "measures, after:" in card
    assert "annotations: f" in card
    again = gland_mtl("finetune", "-o", entry.path, "--resume", "--epochs", "9")
    assert (again.exit_code, "leave out epochs" in again.stderr) == (2, True)
    refused = gland_mtl(
        "finetune", folder, "--mpp", "0.62", "--from", start, "--name", "tiny fine-tuned"
    )
    assert (refused.exit_code, "Choose another name" in refused.stderr) == (2, True)
    nothing = gland_mtl("finetune", "--from", start)
    assert (nothing.exit_code, "Nothing to learn from" in nothing.stderr) == (2, True)


def test_models_are_installed_exported_and_removed(home, start):
    assert gland_mtl("models", "--install", start).exit_code == 0
    out = home / "out.safetensors"
    exported = gland_mtl("models", "--export", "tiny", out)
    assert exported.exit_code == 0, exported.output
    assert out.read_bytes() == start.read_bytes()
    assert gland_mtl("models", "--install", out).exit_code == 2
    assert gland_mtl("models", "--install", out, "--as", "other").exit_code == 0
    assert gland_mtl("models", "--remove", "tiny").exit_code == 0
    names = {entry.name for entry in gm.list_models()}
    assert "other" in names
    assert "tiny" not in names
    assert gland_mtl("models", "--remove", "glas").exit_code == 2


def test_a_script_needs_one_line(home, folder, start):
    settings = {"epochs": 1, "patches_per_epoch": 4, "batch_size": 2, "patch_size": 32}
    model = gm.finetune(folder, "ours", start, data_mpp=0.62, device="cpu", **settings)
    assert model.card.name == "ours"
    assert gm.load_model("ours").sha256 == model.sha256
    dataset = gm.open_dataset(folder, mpp=0.62)
    run = home / "by hand"
    gm.finetune(dataset, "theirs", start, run, device="cpu", **settings)
    assert gm.finetune(dataset, folder=run, resume=True).card.name == "theirs"
