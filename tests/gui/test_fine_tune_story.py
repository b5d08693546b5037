"""The whole way through the real docks, as the example goes it, in windows of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "fine_tune_in_napari.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_annotate_correct_train_stop_use_save_and_reopen(tmp_path: Path) -> None:
    from napari_gland_mtl.annotations import AnnotationProject
    from napari_gland_mtl.checkpoint import read_card
    from napari_gland_mtl.training.history import read_history

    out = tmp_path / "out"
    command = [sys.executable, EXAMPLE, "--out", out, "--epochs", "1", "--patches", "24", "--close"]
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=580, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr

    for name, label in json.loads((out / "corrected.json").read_text()).items():
        project = AnnotationProject(out / f"{name}.annotations.zarr")
        (stored,) = project.stored()
        area, _ = project.load(stored.key)
        assert np.count_nonzero(area.glands == label) > 100
        assert area.info.complete
        assert f"synthetic_{area.info.class_name}" == name
    card = read_card(out / "models" / "better glands.safetensors")
    assert card.parents
    (run,) = (out / "runs").iterdir()
    steps = read_history(run / "steps.csv")["step"]
    # It was stopped: it would have trained for ten epochs.
    assert 3 <= len(steps) < 30
    assert {"annotate.png", "fine-tune.png", "next-day.png"} <= {p.name for p in out.iterdir()}
    assert (out / "masks.ome.zarr" / "labels" / "glands").is_dir()
