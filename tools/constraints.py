"""Write `constraints.txt`: the versions that an install of everything takes today.

Run by `make constraints`, then commit the result together with a green `make test`. Local
version parts (torch's "+cpu") are dropped so that the file holds for every package index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The versions with which this project is tested (CPython 3.11). Made by `make constraints`.
"""
# Platform builds of CUDA that some indexes add below torch; they are not ours to pin.
SKIPPED = re.compile(r"^(#|-e|napari-gland-mtl|nvidia-|cuda-|triton\b)", re.IGNORECASE)


def pins(freeze: str) -> list[str]:
    r"""Turn the output of `pip freeze` into constraint lines.

    Examples
    --------
    >>> pins("torch==2.13.0+cpu\nzarr==3.1.6\n-e /somewhere\n")
    ['torch==2.13.0', 'zarr==3.1.6']
    """
    lines = [line.split("+")[0] for line in freeze.splitlines() if "==" in line]
    return sorted((line for line in lines if not SKIPPED.match(line)), key=str.casefold)


def main() -> int:
    """Install everything into a temporary environment and write down its versions."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder, "bin", "python")), "-m", "pip"]
        chosen = sys.argv[1:]  # e.g. torch==2.13.0, where not the newest is wanted
        project = f"{ROOT}[gui,dev]"
        subprocess.run([*pip, "install", "--quiet", *chosen, "--editable", project], check=True)
        freeze = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(pins(freeze.stdout)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
