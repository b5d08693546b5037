"""Claims about which device a worker takes, on machines with several GPUs that are not there."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from napari_gland_mtl.errors import DeviceNotAvailableError
from napari_gland_mtl.jobs import worker_device as module
from napari_gland_mtl.jobs.worker_device import claim, gpu_names, worker_device

pytest.importorskip("filelock")


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A machine with that many GPUs, whose locks lie in a folder of this test."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
        monkeypatch.setattr(module, "_held", {})
        monkeypatch.setattr(module, "_PATIENCE_S", 0.0)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv(module.DEVICE_VARIABLE, raising=False)

    return pretend


def test_without_a_gpu_it_is_the_processor(gpus):
    gpus(0)
    assert worker_device("auto") == "cpu"
    with pytest.raises(DeviceNotAvailableError):
        worker_device("cuda")


def test_a_single_gpu_needs_no_lock(gpus, tmp_path):
    gpus(1)
    assert worker_device("auto") == "cuda"
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_by_number_is_taken(gpus):
    gpus(3)
    assert worker_device("cuda:2") == "cuda:2"
    assert worker_device("cpu") == "cpu"


def test_the_environment_of_a_worker_counts_more_than_the_settings(gpus, monkeypatch):
    gpus(3)
    monkeypatch.setenv(module.DEVICE_VARIABLE, "cuda:1")
    assert worker_device("auto") == "cuda:1"


def test_workers_of_one_machine_take_different_gpus(gpus, monkeypatch):
    gpus(3)
    taken, kept = [], []
    for _ in range(3):
        monkeypatch.setattr(module, "_held", {})  # another process
        taken.append(worker_device("auto"))
        assert worker_device("cuda") == taken[-1]  # a second look is the same one
        kept.append(module._held)
    assert taken == ["cuda:0", "cuda:1", "cuda:2"]


def test_a_gpu_becomes_free_when_its_worker_ends_however_it_ends(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from napari_gland_mtl.jobs.worker_device import claim;"
        "held = {};"
        "print(claim(['0', '1'], Path(sys.argv[1]), held, 0.0), flush=True);"
        "sys.stdin.readline()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout.readline().strip() == "0"
    assert claim(["0", "1"], tmp_path, {}, 0.0) == 1
    worker.kill()
    worker.communicate()
    assert claim(["0", "1"], tmp_path, {}, 3.0) == 0


def test_more_workers_than_gpus_share_them(gpus, monkeypatch):
    gpus(2)
    kept = []
    for _ in range(3):
        monkeypatch.setattr(module, "_held", {})
        device = worker_device("auto")
        kept.append(module._held)
    assert device in ("cuda:0", "cuda:1")


def test_the_same_gpu_has_the_same_name_in_whatever_order_it_is_shown(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 0")
    assert gpu_names(2) == ["1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")
    assert gpu_names(2) == ["GPU-aa", "GPU-bb"]


def test_workers_that_were_shown_their_own_gpu_first_keep_it(tmp_path):
    """As dask-cuda does: "0,1" for the first worker, "1,0" for the second."""
    first, second = {}, {}
    assert claim(["0", "1"], tmp_path, first, 0.0) == 0
    assert claim(["1", "0"], tmp_path, second, 0.0) == 0
