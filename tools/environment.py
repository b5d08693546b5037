"""Create a virtual environment of this project, or leave it alone where it is up to date.

`make test` uses two: `.venv-core` with the core and its tests, where neither napari nor Qt is
installed, and `.venv` with everything. Each remembers a digest of what it was made from, so
that only a change of `pyproject.toml`, `constraints.txt`, the interpreter or the folder makes
it anew. Only the standard library is used: this runs before any set-up.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "made-from.txt"


def digest(extras: str) -> str:
    """Digest of all that decides what an environment holds."""
    content = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        content.update((ROOT / name).read_bytes())
    for fact in (extras, sys.executable, platform.python_version(), str(ROOT)):
        content.update(fact.encode())
    return content.hexdigest()


def interpreter(folder: Path) -> Path:
    """Path of an environment's Python."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make(folder: Path, extras: str) -> None:
    """Create an environment and install the project into it, in editable form.

    Parameters
    ----------
    folder : Path
        Replaced if it exists.
    extras : str
        Comma-separated extras of `pyproject.toml`; may be empty.
    """
    print(f"Setting up {folder.name} (extras: {extras or 'none'}) ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(interpreter(folder)), "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
    index = os.environ.get("TORCH_INDEX", "")
    if index:
        command += ["--extra-index-url", index]
    project = f"{ROOT}[{extras}]" if extras else str(ROOT)
    subprocess.run([*command, "--editable", project], check=True)


def main() -> int:
    """Make the environment that the command line names, if it is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extras", default="", help="comma-separated extras of pyproject.toml")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    stamp = folder / STAMP
    expected = digest(options.extras)
    if stamp.is_file() and stamp.read_text() == expected and interpreter(folder).exists():
        return 0
    try:
        make(folder, options.extras)
    except subprocess.CalledProcessError as error:
        print(f"Setting up {folder.name} failed; pip's message is above.", file=sys.stderr)
        return error.returncode
    stamp.write_text(expected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
