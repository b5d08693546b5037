"""Opening the dock must not make the user wait for PyTorch."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import napari_gland_mtl.widgets.annotate
import napari_gland_mtl.widgets.finetune
import napari_gland_mtl.widgets.loss_weights
import napari_gland_mtl.widgets.segment
import napari_gland_mtl.widgets.slide_queue
heavy = {"torch", "zarr", "matplotlib", "safetensors"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""


def test_the_modules_of_the_docks_load_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_dock_and_its_advanced_settings_open_without_loading_torch() -> None:
    script = """
import sys
import napari
from napari_gland_mtl.widgets.segment import SegmentWidget
from napari_gland_mtl.widgets.slide_queue import SlideQueueWidget
viewer = napari.Viewer(show=False)
widget = SegmentWidget(viewer)
widget.inputs.advanced.expand(animate=False)
assert widget.inputs.advanced.form is not None
widget.inputs.advanced.set_slides(True)
assert "engine" in widget.inputs.advanced.values()
SlideQueueWidget(viewer)
loaded = "torch" in sys.modules
viewer.close()
sys.exit("loaded torch" if loaded else 0)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
