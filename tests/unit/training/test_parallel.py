"""Claims about several processes that train one network: they do what one process does.

Two real processes on the CPU train the same small networks as one process with the same batches.
In double precision nothing is left of the differences that rounding makes; whatever is needed
for that makes a difference when it is left out.
"""

from __future__ import annotations

import csv
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from napari_gland_mtl.errors import DeviceNotAvailableError, InvalidInputError, MissingExtraError
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training import parallel, read_history
from napari_gland_mtl.training.parallel import Alone, check_devices, share_of
from napari_gland_mtl.training.whole_batch import WholeBatchDropout2d, see_whole_batch

SCRIPT = Path(__file__).with_name("in_processes.py")
SCRIPTED = SimpleNamespace(**runpy.run_path(str(SCRIPT)))
SIZE = 2
WORDS = "The loss is no longer a finite number at step 1 "


def started(rank, port, folder):
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = os.environ | {name: str(value) for name, value in place.items()}
    command = [sys.executable, SCRIPT, str(rank), str(SIZE), folder]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes have done all that the script asks of them."""
    pytest.importorskip("lightning_fabric", reason="needs the extra multi-gpu")
    folder = tmp_path_factory.mktemp("together")
    SCRIPTED.train(SCRIPTED.trainer_in(folder / "begun alone", Alone()), stop_after=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [started(rank, port, folder) for rank in range(SIZE)]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder in which one process has trained in the same way."""
    done = {}

    def train(way, **changed):
        key = (way, *changed)
        if key not in done:
            done[key] = tmp_path_factory.mktemp("alone")
            SCRIPTED.train(SCRIPTED.trainer_in(done[key], Alone(), **SCRIPTED.WAYS[way], **changed))
        return done[key]

    return train


def told(folder):
    return [json.loads((folder / f"told{rank}.json").read_text()) for rank in range(SIZE)]


def history_difference(ours, theirs, but=()):
    """The largest of all numbers of all steps: losses, weights, log-variances, gradient norm."""
    ours, theirs = read_history(ours / "steps.csv"), read_history(theirs / "steps.csv")
    assert ours.keys() == theirs.keys()
    return max(np.abs(ours[name] - theirs[name]).max() for name in ours if name not in but)


def image_rows(folder):
    """Words and numbers of ``images.csv``, apart."""
    with (folder / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = [[float(row[name] or -1) for name in row if name != "image"] for row in rows]
    return [row["image"] for row in rows], np.array(numbers)


def weight_difference(ours, theirs):
    """The largest of all weights and batch statistics; also of the best ones."""
    largest = 0.0
    for name in ("last.safetensors", "best.safetensors"):
        mine, yours = load_file(ours / name), load_file(theirs / name)
        assert mine.keys() == yours.keys()
        gaps = [(mine[n].double() - yours[n].double()).abs().max().item() for n in mine]
        largest = max(largest, *gaps)
    return largest


@pytest.mark.parametrize("way", SCRIPTED.WAYS)
def test_two_processes_train_as_one_does(together, alone, way):
    assert history_difference(together / way, alone(way)) < 1e-9
    images, numbers = image_rows(together / way)
    assert images == image_rows(alone(way))[0]
    np.testing.assert_allclose(numbers, image_rows(alone(way))[1], rtol=1e-9)
    # Control: both have learned something.
    steps = read_history(together / way / "steps.csv")
    assert steps["total"][-1] != steps["total"][0]
    # Weights are stored in single precision.
    assert weight_difference(together / way, alone(way)) < 1e-6


def test_in_single_precision_rounding_is_all_there_is(together, alone):
    single = alone("learned weights", single=True)
    # The norm of all gradients together is many times as large as any loss.
    assert history_difference(together / "single", single, but=("gradient_norm",)) < 1e-4
    assert weight_difference(together / "single", single) < 1e-3


@pytest.mark.parametrize("missing", SCRIPTED.WITHOUT)
def test_without_what_is_shared_they_part_ways(together, alone, missing):
    one = alone("learned weights", epochs=1)
    assert history_difference(together / f"without {missing}", one) > 1e-3


def test_a_training_begun_alone_goes_on_in_two_processes(together, alone):
    assert history_difference(together / "begun alone", alone("learned weights")) < 1e-9
    assert weight_difference(together / "begun alone", alone("learned weights")) < 1e-6


def test_all_stop_where_the_first_one_is_told_to(together):
    assert [process["stopped after"] for process in told(together)] == [4, 4]
    assert len(read_history(together / "part" / "steps.csv")["step"]) == 4


def test_what_is_not_finite_ends_all_of_them_in_the_same_words(together):
    first, second = (process["not finite"] for process in told(together))
    assert first == second
    assert first.startswith(WORDS)
    assert f"after step 0 is kept in {together / 'not finite'}" in first


def test_batch_normalisation_of_uneven_shares_is_that_of_the_whole(together):
    parts = [load_file(together / f"norm{rank}.safetensors") for rank in range(SIZE)]
    layer = nn.BatchNorm2d(3, momentum=0.3)
    whole = SCRIPTED.normalise(SCRIPTED.pictures(), slice(None), layer)
    close = {"rtol": 1e-5, "atol": 1e-5}
    for name in ("result", "images"):
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), whole[name], **close)
    for name in ("weight", "bias"):
        torch.testing.assert_close(sum(part[name] for part in parts), whole[name], **close)
    for name in ("mean", "var"):
        for part in parts:
            torch.testing.assert_close(part[name], whole[name], **close)
    # Control: the shares differ too much to be normalised one by one.
    share = SCRIPTED.normalise(
        SCRIPTED.pictures(), share_of(5, 0, SIZE), nn.BatchNorm2d(3, momentum=0.3)
    )
    assert (share["result"] - parts[0]["result"]).abs().max() > 0.1


@pytest.mark.parametrize(("count", "size"), [(8, 1), (8, 2), (7, 3), (4, 4), (65, 8)])
def test_shares_are_all_of_the_batch_and_as_even_as_they_can_be(count, size):
    shares = [range(count)[share_of(count, rank, size)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_dropout_takes_its_rows_of_the_mask_of_the_whole_batch():
    images = torch.rand(5, 6, 4, 4) + 1
    torch.manual_seed(3)
    whole = nn.Dropout2d(0.4)(images)
    assert 0 < (whole == 0).float().mean() < 1
    for rank in range(SIZE):
        rows = share_of(5, rank, SIZE)
        torch.manual_seed(3)
        layer = WholeBatchDropout2d(0.4, 5, rows)
        assert torch.equal(layer(images[rows]), whole[rows])
        assert torch.equal(layer.eval()(images[rows]), images[rows])


@pytest.mark.parametrize("on_gpu", [False, True])
def test_layers_that_see_the_whole_batch_keep_weights_and_their_names(on_gpu):
    network = build_network(NetworkConfig(widths=(4, 8), class_dropout=0.5)).eval()
    images = torch.rand(2, 3, 20, 20)
    state, output = network.state_dict(), network(images).region_logits
    see_whole_batch(network, 4, slice(0, 2), on_gpu)
    kinds = {type(layer).__name__ for layer in network.modules()}
    assert ("SyncBatchNorm" if on_gpu else "WholeBatchNorm2d") in kinds
    assert not kinds & {"BatchNorm2d", "Dropout2d"}
    assert [*network.state_dict()] == [*state]
    after = network.state_dict()
    assert all(state[name].data_ptr() == after[name].data_ptr() for name in state)
    assert torch.equal(network(images).region_logits, output)


# ------------------------------------------------------------------ refusals


def test_one_device_needs_nothing(settings, monkeypatch):
    monkeypatch.setattr(parallel, "find_spec", lambda name: None)
    check_devices(settings(device="cuda:1"))


def test_the_missing_extra_is_named(settings, monkeypatch):
    monkeypatch.setattr(parallel, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"napari-gland-mtl\[multi-gpu\]"):
        check_devices(settings(devices=2))


@pytest.fixture
def _installed(monkeypatch):
    monkeypatch.setattr(parallel, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_more_gpus_than_there_are_is_refused(settings, device):
    check_devices(settings(devices=2, device=device))
    with pytest.raises(DeviceNotAvailableError, match=r"3 GPUs .* this machine has 2\. Set"):
        check_devices(settings(devices=3, device=device))
    check_devices(settings(devices=3, device="cpu"))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_a_single_device_by_its_name_cannot_be_several(settings, device):
    with pytest.raises(InvalidInputError, match=rf"not '{device}'\. CUDA_VISIBLE_DEVICES"):
        check_devices(settings(devices=2, device=device))


def test_a_batch_that_cannot_be_shared_is_refused(settings):
    settings(batch_size=4, devices=4)
    with pytest.raises(ValueError, match="4 patches cannot be shared by 5 devices"):
        settings(batch_size=4, devices=5)
