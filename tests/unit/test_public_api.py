"""Claims about importing: the public names are all there, and nothing heavy comes along."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import napari_gland_mtl as gm

HEAVY = ("torch", "zarr", "dask", "scipy", "skimage", "pandas", "matplotlib", "kornia", "napari")
ENTRY_POINTS = ("napari_gland_mtl._reader", "napari_gland_mtl._writer")
ENTRY_POINTS += ("napari_gland_mtl._sample_data",)


def heavy_modules_after(statement):
    """What a fresh interpreter has loaded of `HEAVY` after a statement."""
    code = f"{statement}\nimport sys\nprint(*(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("module", ["napari_gland_mtl", *ENTRY_POINTS])
def test_plugin_start_pulls_nothing_heavy(module):
    assert heavy_modules_after(f"import {module}") == []


@pytest.mark.parametrize("module", ["napari_gland_mtl.cli", "napari_gland_mtl.jobs.events"])
def test_the_command_line_shows_its_help_without_loading_torch(module):
    assert heavy_modules_after(f"import {module}") == []


def test_a_name_that_needs_torch_does_pull_it():
    """The control of the claims above."""
    assert "torch" in heavy_modules_after("import napari_gland_mtl as gm; gm.build_network")


@pytest.mark.parametrize("name", gm.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(gm, name)
    assert name in dir(gm)
    assert isinstance(value, str) or value.__doc__


def test_what_the_type_checker_sees_is_what_there_is():
    stub = Path(gm.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    declared = re.findall(r"^from \.([\w.]+) import (\w+) as \2$", stub, re.MULTILINE)
    assert {name: home for home, name in declared} == gm._HOMES
    assert set(gm.__all__) == {*gm._HOMES, "__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segmentt'"):
        gm.segmentt  # noqa: B018 - asking for it is the test


def test_the_version_is_that_of_the_installed_package():
    if gm.__version__ == "0+unknown":
        pytest.skip("run from a checkout that is not installed")
    assert gm.__version__ == version("napari-gland-mtl")
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert gm.__version__ == tomllib.loads(project.read_text())["project"]["version"]


def test_running_the_package_is_the_command():
    command = [sys.executable, "-m", "napari_gland_mtl", "--version"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, gm.__version__)
