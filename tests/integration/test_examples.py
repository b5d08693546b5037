"""The examples are documentation: each has to run as it stands, from an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# They open a window: `make demo` and tests/gui run them.
WITH_WINDOW = {"demo.py", "fine_tune_in_napari.py"}
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.name not in WITH_WINDOW)


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
