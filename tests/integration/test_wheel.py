"""What is installed from a wheel is complete: code alone would open no sample and no model."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src" / "napari_gland_mtl"
    expected = {
        f"napari_gland_mtl/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("name", ["napari.yaml", "py.typed", "models/glas.safetensors"])
def test_wheel_holds_what_is_no_code(wheel, name):
    assert wheel.getinfo(f"napari_gland_mtl/{name}")


def test_napari_finds_the_manifest(wheel):
    (entry_points,) = (n for n in wheel.namelist() if n.endswith("/entry_points.txt"))
    text = wheel.read(entry_points).decode()
    assert "[napari.manifest]\nnapari-gland-mtl = napari_gland_mtl:napari.yaml" in text


def test_base_dependencies_bring_no_window(wheel):
    (metadata,) = (n for n in wheel.namelist() if n.endswith("/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    base = [
        line.lower() for line in lines if line.startswith("Requires-Dist") and "extra" not in line
    ]
    assert any("torch" in line for line in base)
    assert not any(word in line for line in base for word in ("napari", "qt", "pyside", "magicgui"))


def test_manifest_at_the_top_is_the_packaged_one():
    packaged = ROOT / "src" / "napari_gland_mtl" / "napari.yaml"
    assert (ROOT / "napari.yaml").read_bytes() == packaged.read_bytes()
