"""Claims about the choice of a device."""

from __future__ import annotations

import time

import pytest
import torch

from napari_gland_mtl.devices import choose_device, pays
from napari_gland_mtl.errors import DeviceNotAvailableError


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


def test_an_absent_gpu_is_an_error_that_names_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceNotAvailableError, match=r"auto, .*cpu"):
        choose_device("cuda")


def test_what_pays_is_what_is_faster_by_the_clock():
    def quick():
        time.sleep(0.002)

    def slow():
        time.sleep(0.02)

    assert pays(quick, slow)
    assert not pays(slow, quick)
    assert not pays(quick, quick, gain=5)


def test_one_interruption_does_not_decide_what_pays():
    pauses = iter([0.1, 0.002, 0.002])
    assert pays(lambda: time.sleep(next(pauses)), lambda: time.sleep(0.02))
