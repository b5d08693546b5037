"""Claims about the attributes of a zarr group: whole, readable by zarr, and durable if asked."""

from __future__ import annotations

import os

import pytest
import zarr

from napari_gland_mtl.storage.zarr_group import read_group, write_group


def test_zarr_and_we_read_the_same(tmp_path):
    write_group(tmp_path / "a" / "b", {"reason": "none", "n": [1, 2]})
    assert read_group(tmp_path / "a" / "b") == {"reason": "none", "n": [1, 2]}
    assert dict(zarr.open_group(tmp_path / "a" / "b", mode="r").attrs) == read_group(
        tmp_path / "a" / "b"
    )
    write_group(tmp_path / "a" / "b", {})
    assert read_group(tmp_path / "a" / "b") == {}
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["zarr.json"]


def test_what_cannot_be_json_leaves_the_old_attributes(tmp_path):
    write_group(tmp_path, {"n": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_group(tmp_path, {"n": float("nan")})
    assert read_group(tmp_path) == {"n": 1}


@pytest.mark.parametrize("durable", [True, False])
def test_only_what_is_to_be_durable_waits_for_the_disk(tmp_path, monkeypatch, durable):
    waited = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: waited.append(number) or really(number))
    write_group(tmp_path, {"n": 1}, durable=durable)
    assert bool(waited) == durable


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_no_group_is_an_error_that_callers_know(tmp_path, content):
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    with pytest.raises((OSError, ValueError, LookupError, TypeError)):
        read_group(tmp_path)
