"""Claims about the probe for bfloat16."""

from __future__ import annotations

import itertools

import pytest
import torch

from napari_gland_mtl import devices
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training.precision import bfloat16_pays


@pytest.mark.parametrize(("plain", "half", "pays"), [(1.0, 0.5, True), (1.0, 0.9, False)])
def test_bfloat16_is_taken_where_it_is_faster_by_the_clock(monkeypatch, plain, half, pays):
    # The clock is looked at before and after each of three turns of both.
    clock = itertools.accumulate(itertools.chain([0.0], [plain, 1.0, half, 1.0] * 3))
    monkeypatch.setattr(devices.time, "perf_counter", lambda: next(clock))
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
