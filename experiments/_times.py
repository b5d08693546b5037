"""How long the epochs of a run took, and on what kind of machine, in the run's folder.

A run may be done in several goes, on several machines, and may be killed at any moment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_gland_mtl.checkpoint import replace_file

TIMES_FILE = "times.jsonl"


def forget_times(folder: Path) -> None:
    """The run begins anew."""
    (folder / TIMES_FILE).unlink(missing_ok=True)


def note_time(folder: Path, epoch: int, seconds: float, steps: list[float], machine: str) -> None:
    """Add a line for an epoch: its seconds, and those of its middle step."""
    middle = sorted(steps)[len(steps) // 2] if steps else None
    line = {"epoch": epoch, "seconds": seconds, "step": middle, "machine": machine}
    lines = [*(each for each in _lines(folder) if each["epoch"] < epoch), line]
    # Whole or not at all: half a line would be in the way when the run is measured.
    text = "".join(json.dumps(each) + "\n" for each in lines)
    replace_file(folder / TIMES_FILE, text.encode())


def times_of(folder: Path) -> dict[str, Any]:
    """Seconds of the training, of a step, and the machines' kinds."""
    epochs = _lines(folder)
    steps = sorted(epoch["step"] for epoch in epochs if epoch["step"] is not None)
    kinds = dict.fromkeys(epoch["machine"] for epoch in epochs)
    return {
        "training_seconds": sum(epoch["seconds"] for epoch in epochs),
        "step_seconds": steps[len(steps) // 2] if steps else None,
        "machine": "; ".join(kinds),
    }


def _lines(folder: Path) -> list[dict[str, Any]]:
    """The lines that are whole: earlier versions could be killed in the middle of one."""
    path = folder / TIMES_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
