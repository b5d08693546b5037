"""What the code imports is what `pyproject.toml` declares: nothing missing, nothing unused.

A forgotten dependency works on every machine that happens to have it for another package's
sake, and fails on the user's.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "napari_gland_mtl"
# Brings the shared library that openslide-python loads.
USED_UNSEEN = {"openslide-bin"}
OPTIONAL = ("cluster", "multi-gpu", "multi-objective", "openslide", "openvino", "plots")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {canonical(re.split(r"[\[<>=!~ ;]", line)[0]) for line in lines}
    return names - {"napari-gland-mtl"}  # with an extra of its own


@lru_cache(maxsize=1)
def distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def modules_of(tree: ast.Module) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(str(node.module).partition(".")[0])
    return modules


def packages(trees: Iterable[ast.Module]) -> set[str]:
    """The distributions that syntax trees import from."""
    modules = set().union(*(modules_of(tree) for tree in trees))
    third_party = modules - sys.stdlib_module_names - {PACKAGE.name}
    return {canonical(distributions().get(module, [module])[0]) for module in third_party}


def imported(files: list[Path]) -> set[str]:
    return packages(ast.parse(path.read_text()) for path in files)


@pytest.fixture(scope="module")
def core() -> set[str]:
    return imported([p for p in PACKAGE.rglob("*.py") if "widgets" not in p.parts])


@pytest.fixture(scope="module")
def widgets() -> set[str]:
    return imported(list((PACKAGE / "widgets").rglob("*.py")))


def test_the_search_sees_imports_inside_functions():
    assert "dask" in imported([PACKAGE / "slides" / "lazy_levels.py"])


@pytest.fixture(scope="module")
def optional() -> set[str]:
    return set().union(*(declared(extra) for extra in OPTIONAL))


def at_import(path: Path) -> ast.Module:
    """What a module does when it is imported: its functions are left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = []
    guarded = [
        n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n))
    ]
    return ast.Module(guarded, [])


def test_core_imports_declared_dependencies_only(core, optional):
    assert core <= declared() | optional


def test_what_an_extra_brings_is_imported_when_it_is_used(optional):
    for path in PACKAGE.rglob("*.py"):
        assert not packages([at_import(path)]) & optional, path


def test_no_extra_is_unused(core, optional):
    assert optional - USED_UNSEEN <= core


def test_widgets_import_declared_dependencies_only(widgets):
    assert widgets <= declared() | declared("napari") | declared("plots")


def test_no_base_dependency_is_unused(core):
    assert declared() <= core | {"imagecodecs"}  # loaded by tifffile for compressed tiles


def test_no_dependency_of_the_widgets_is_unused(widgets):
    assert declared("napari") <= widgets
