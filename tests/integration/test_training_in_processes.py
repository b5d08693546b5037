"""Training on several devices as a user meets it: real processes, some of them killed.

Two processes on the CPU stand for two GPUs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import napari_gland_mtl as gm
from napari_gland_mtl.cli import app
from napari_gland_mtl.datasets import open_dataset
from napari_gland_mtl.errors import InvalidInputError, NonFiniteLossError, ProcessLostError
from napari_gland_mtl.jobs.direct import train_config
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.jobs.train import train_model
from napari_gland_mtl.training import (
    StepFinished,
    TrainingFinished,
    read_history,
)

pytest.importorskip("lightning_fabric", reason="needs the extra multi-gpu")

SETTINGS = {
    "epochs": 4,
    "patches_per_epoch": 12,
    "batch_size": 4,
    "patch_size": 48,
    "widths": (4, 8),
    "log_var_warmup_steps": 4,
    "precision": "float32",
    "device": "cpu",
    "validation": 1,
    "validate_every": 10,
    "split_by": "image",
}
# Of single precision, after twelve steps.
ROUNDING = 1e-3


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


@pytest.fixture(scope="module")
def dataset(folder):
    return open_dataset(folder, mpp=0.62)


def losses_of(run):
    steps = read_history(run / "steps.csv")
    names = [name for name in steps if name.startswith(("loss_", "log_var_"))]
    return np.array([steps[name] for name in names])


def workers():
    return [
        process.pid
        for process in psutil.Process().children()
        if "train_replica" in " ".join(process.cmdline())
    ]


def killed_after(step, events):
    """Advance a training until one of its processes is killed, and on."""
    for event in events:
        if isinstance(event, StepFinished) and event.step == step:
            os.kill(workers()[1], signal.SIGKILL)


def stopped(events, stop):
    """All events of a training that is stopped after its first step."""
    told = []
    for event in events:
        told.append(event)
        if isinstance(event, StepFinished):
            stop.stop()
    return told


def test_killed_stopped_and_resumed_it_ends_as_one_process_would_have(folder, dataset, tmp_path):
    run, alone, stop = tmp_path / "run", tmp_path / "alone", StopToken()
    events = train_model(dataset, run, train_config(**SETTINGS, devices=2))
    with pytest.raises(ProcessLostError, match=r"Process 2 of 2 .* signal 9.* step 3 is kept in"):
        killed_after(5, events)
    assert workers() == []
    told = stopped(train_model(dataset, run, stop=stop, resume=True), stop)
    assert workers() == []
    steps = [event.step for event in told if isinstance(event, StepFinished)]
    assert steps == list(range(4, 4 + len(steps)))
    assert isinstance(told[-1], TrainingFinished)
    resume = ["train", folder, "--mpp", "0.62", "-o", run, "--resume", "--devices", "1"]
    resumed = CliRunner().invoke(app, [str(argument) for argument in resume])
    assert resumed.exit_code == 0, resumed.output
    gm.train(dataset, alone, **SETTINGS)
    expected = losses_of(alone)
    np.testing.assert_allclose(losses_of(run), expected, atol=ROUNDING)
    # Control: from step to step there is more to tell apart.
    assert np.abs(np.diff(expected)).max() > 30 * ROUNDING
    ours, theirs = (load_file(path / "last.safetensors") for path in (run, alone))
    for name, weights in ours.items():
        np.testing.assert_allclose(weights.float(), theirs[name].float(), atol=0.02)


def test_a_pause_holds_all_processes_and_the_result_is_the_same(dataset, tmp_path):
    stop, times = StopToken(), []
    for event in train_model(dataset, tmp_path / "run", train_config(**SETTINGS, devices=2), stop):
        if isinstance(event, StepFinished):
            times.append(time.monotonic())
            if event.step == 2:
                stop.pause()
                threading.Timer(3, stop.unpause).start()
    # Some steps are done until the word has come round.
    assert max(np.diff(times)) > 2
    assert len(times) == 12
    gm.train(dataset, tmp_path / "alone", **SETTINGS)
    np.testing.assert_allclose(
        losses_of(tmp_path / "run"), losses_of(tmp_path / "alone"), atol=ROUNDING
    )


SCRIPT = """
import napari_gland_mtl as gm
gm.train({folder!r}, {run!r}, mpp=0.62, devices=2, **{settings})
"""


def test_a_plain_script_trains_and_takes_its_processes_along_when_killed(folder, tmp_path):
    run, script = tmp_path / "run", tmp_path / "script.py"
    settings = SETTINGS | {"epochs": 10_000}
    script.write_text(SCRIPT.format(folder=str(folder), run=str(run), settings=settings))
    process, deadline = subprocess.Popen([sys.executable, script]), time.monotonic() + 100
    try:
        while not (run / "best.safetensors").is_file():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = psutil.Process(process.pid).children()
    finally:
        process.kill()
        process.wait()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_an_error_in_a_process_is_raised_as_in_one(dataset, tmp_path):
    weights = {"weighting": "fixed", "losses": ["segmentation"]}
    with pytest.raises(NonFiniteLossError, match=r"after step 0 is kept in .*Lower the learning"):
        gm.train(
            dataset, tmp_path / "run", **SETTINGS, **weights, devices=2,
            loss_weights={"segmentation": 3e38},
        )  # fmt: skip
    assert workers() == []


def test_what_cannot_be_handed_on_is_said_before_any_work(dataset, tmp_path):
    closed = replace(
        dataset, records=tuple(replace(r, read=lambda r=r: r.read()) for r in dataset.records)
    )
    with pytest.raises(InvalidInputError, match="open_dataset returns, or train on one device"):
        gm.train(closed, tmp_path / "run", **SETTINGS, devices=2)
    assert not (tmp_path / "run").exists()
