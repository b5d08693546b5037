"""The second laboratory's images: links to one half of them, and folders that are not there."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import _ebhi
import default_model

from napari_gland_mtl.errors import InvalidInputError


def drawn(folder, count=4):
    """Cases GT1, GT2 …, an image each, with a square for a gland."""
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[8:40, 8:56] = 255
    rng = np.random.default_rng(0)
    for kind in ("image", "label"):
        (folder / "Polyp" / kind).mkdir(parents=True)
    for number in range(1, count + 1):
        name = f"GT{number}-1-400-001.png"
        image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / "Polyp" / "image" / name)
        Image.fromarray(mask).save(folder / "Polyp" / "label" / name)
    return folder


@pytest.fixture
def ebhi(tmp_path):
    return drawn(tmp_path / "ebhi")


def test_right_links_are_left_alone_and_missing_ones_made(ebhi, tmp_path):
    learned, other = _ebhi.halves(_ebhi.open_ebhi(ebhi))
    folder = _ebhi.linked(learned, ebhi, tmp_path / "links")
    links = sorted(folder.glob("*/*.png"))
    assert len(links) == 2 * len(learned) == 2 * len(other)
    assert {link.stem for link in links} == set(learned.names)
    links[0].unlink()
    (folder / "image" / ".hidden").touch()
    before = {link: link.lstat().st_ino for link in links[1:]}
    _ebhi.linked(learned, ebhi, folder)
    assert {link: link.lstat().st_ino for link in links[1:]} == before
    assert links[0].resolve().parents[2] == ebhi


@pytest.mark.parametrize("stale", ["another copy", "the other half", "a file", "gone"])
def test_links_to_other_images_are_refused_and_stay(ebhi, tmp_path, stale):
    learned, other = _ebhi.halves(_ebhi.open_ebhi(ebhi))
    folder = tmp_path / "links"
    if stale == "another copy":
        _ebhi.linked(learned, drawn(tmp_path / "copy"), folder)
    elif stale == "the other half":
        _ebhi.linked(other, ebhi, folder)
    else:
        (folder / "image").mkdir(parents=True)
        name = folder / "image" / f"{learned.names[0]}.png"
        name.touch() if stale == "a file" else name.symlink_to(tmp_path / "nowhere.png")
    before = sorted(folder.glob("*/*"))
    with pytest.raises(InvalidInputError, match="not of the images"):
        _ebhi.linked(learned, ebhi, folder)
    assert sorted(folder.glob("*/*")) == before


@pytest.mark.parametrize("stage", default_model.STAGES)
def test_wrong_folders_are_said_in_a_line(tmp_path, monkeypatch, capsys, stage):
    given = [stage, *(str(tmp_path / name) for name in ("glas", "ebhi", "runs"))]
    monkeypatch.setattr(sys, "argv", ["default_model.py", *given])
    assert default_model.main() == 2
    said = capsys.readouterr().err
    assert "glas" in said
    assert said.count("\n") == 1
