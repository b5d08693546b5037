"""Claims about loading torch's libraries while other threads go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="done on Linux alone")

# A thread that loads, and one that counts meanwhile how often it gets a turn.
LOADS = """
import sys, threading, time
from napari_gland_mtl.jobs.torch_libraries import load_torch_libraries

def is_loaded():
    return "libtorch_cpu.so" in open("/proc/self/maps").read()

assert not is_loaded()
turns = 0
thread = threading.Thread(target=load_torch_libraries)
thread.start()
while thread.is_alive():
    time.sleep(0.001)
    turns += 1
print(is_loaded(), "torch" in sys.modules, turns)
import torch
print(float(torch.ones(2).sum()))
"""


def _said(script: str, *paths: str) -> list[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@linux
def test_other_threads_go_on_while_the_libraries_are_loaded() -> None:
    loaded, imported, turns, two = _said(LOADS)
    assert (loaded, imported, two) == ("True", "False", "2.0")
    # A thread that held on to the interpreter would leave one turn, two at most.
    assert int(turns) > 10


@linux
def test_libraries_that_are_not_there_are_left_to_the_import(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    script = (
        "from napari_gland_mtl.jobs.torch_libraries import load_torch_libraries as load\n"
        "load(); load(); print('done')"
    )
    assert _said(script, str(tmp_path)) == ["done"]
