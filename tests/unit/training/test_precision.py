"""Claims about devices and the probe for bfloat16."""

from __future__ import annotations

import itertools

import pytest
import torch

from napari_gland_mtl.devices import choose_device
from napari_gland_mtl.errors import DeviceNotAvailableError
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training import precision
from napari_gland_mtl.training.precision import bfloat16_pays


def test_auto_is_always_a_device_that_exists(monkeypatch):
    assert choose_device("auto").type in ("cuda", "mps", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "meta", "mps"])
def test_a_device_that_is_not_there_is_refused_with_a_way_out(name, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceNotAvailableError, match=r"auto.*cpu"):
        choose_device(name)


@pytest.mark.parametrize(("plain", "half", "pays"), [(1.0, 0.5, True), (1.0, 0.9, False)])
def test_bfloat16_is_taken_where_it_is_faster_by_the_clock(monkeypatch, plain, half, pays):
    clock = itertools.accumulate(itertools.chain([0.0, *[plain, 1.0] * 3, *[half, 1.0] * 3]))
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    network = build_network(NetworkConfig(widths=(4, 8)))
    assert bfloat16_pays(network, torch.device("cpu"), size=16) == pays


@pytest.mark.parametrize("training", [False, True])
def test_the_probe_leaves_the_network_as_it_was(training):
    network = build_network(NetworkConfig(widths=(4, 8))).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    bfloat16_pays(network, torch.device("cpu"), size=16)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert network.training == training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_bfloat16_is_not_tried_where_it_is_not_known():
    network = build_network(NetworkConfig(widths=(4, 8)))
    assert not bfloat16_pays(network, torch.device("meta"))
