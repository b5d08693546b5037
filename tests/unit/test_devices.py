"""Claims about the choice of a device."""

from __future__ import annotations

import pytest
import torch

from napari_gland_mtl.devices import choose_device
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
