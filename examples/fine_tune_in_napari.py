"""Annotate two images from the model's prediction, correct it, fine-tune, use and reopen it all.

This drives the real window as a user does: Annotate glands, Fine-tune, Loss weights, Segment
glands. Everything is written to one folder, and the new model is installed there, too. The images
are the two synthetic samples, and what a person would correct is taken from their true masks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

import napari_gland_mtl

PLUGIN = "napari-gland-mtl"
SAMPLES = Path(napari_gland_mtl.__file__).parent / "samples"
CLASSES = {"synthetic_benign": "benign", "synthetic_malignant": "malignant"}
MODEL = "better glands"
CORRECTED = "corrected.json"
TIMEOUT_S = 600.0


def wait_while(condition: Callable[[], bool], what: str) -> None:
    """Keep the window alive until `condition` no longer holds."""
    end = time.monotonic() + TIMEOUT_S
    while condition():
        if time.monotonic() > end:
            sys.exit(f"Not done after {TIMEOUT_S:.0f} s: {what}.")
        QApplication.processEvents()
        time.sleep(0.01)


def check(holds: bool, otherwise: str) -> None:
    """End with words unless something holds."""
    if not holds:
        sys.exit(otherwise)


def open_dock(viewer: napari.Viewer, title: str) -> Any:
    """One of the plugin's dock widgets, as the menu opens it."""
    return viewer.window.add_plugin_dock_widget(PLUGIN, title)[1]


def open_images(viewer: napari.Viewer, folder: Path) -> dict[str, Any]:
    """Copies of the samples, since annotations are kept beside the image."""
    layers = {}
    for name in CLASSES:
        path = folder / f"{name}.ome.tif"
        if not path.exists():
            shutil.copyfile(SAMPLES / path.name, path)
        (layer,) = viewer.open(path, plugin=PLUGIN)
        # Side by side: images lie in the same place when they are opened.
        layer.translate = (0, 1.05 * len(layers) * layer.extent.world[1, 1])
        layers[name] = layer
    viewer.reset_view()
    return layers


def annotate(dock: Any, layer: Any, kind: str) -> Any:
    """Make the whole image an area that begins as the model's prediction."""
    dock.inputs.image_chooser.choose(layer)
    dock.inputs.extent_chooser.combo.setCurrentText("Whole image")
    dock.inputs.beginning.setCurrentText("The model's prediction")
    dock.inputs.way.setCurrentText("Whole glands")
    dock.inputs.run_panel.run_button.click()
    wait_while(lambda: dock.running, "the prediction to begin with")
    check(not dock.message.isVisible(), dock.message.text())
    area = dock.session.current
    dock.panel.tools.class_combo.setCurrentText(kind)
    dock.panel.tools.complete_tick.setChecked(True)
    return area


def correct(area: Any, name: str) -> int:
    """Replace the worst gland by an outline of the true one, with the tools of the layer."""
    layer = area.glands_layer
    truth = tifffile.imread(SAMPLES / f"{name}_glands.ome.tif")
    rows, columns = (
        (np.arange(n) * full / n).astype(int)
        for n, full in zip(layer.data.shape, truth.shape, strict=True)
    )
    truth = truth[rows[:, None], columns]
    sizes = np.bincount(truth.ravel())
    whole = [label for label in range(1, len(sizes)) if 2 * sizes[label] > np.median(sizes[1:])]
    overlap = {label: np.mean(layer.data[truth == label] > 0) for label in whole}
    worst = min(overlap, key=lambda label: overlap[label])
    label = int(layer.data.max()) + 1
    layer.data_setitem(np.nonzero(truth == worst), label)  # as a filled outline does
    print(f"{name}: gland {worst} was covered to {overlap[worst]:.0%}, outlined anew as {label}")
    return label


def fine_tune(viewer: napari.Viewer, epochs: int, patches: int) -> None:
    """Train on both areas, watch the figure grow, and stop after some epochs."""
    dock = open_dock(viewer, "Fine-tune")
    wait_while(lambda: dock.table.rowCount() < len(CLASSES), "the areas to be listed")
    form = dock.inputs.settings.form.controls
    form["patches_per_epoch"].value = patches
    dock.inputs.name_edit.setText(MODEL)
    dock.panel.start_button.click()
    check(dock.running, dock.message.text())
    dock.weights_button.click()
    weights = open_dock(viewer, "Loss weights")

    def drawn() -> int:
        return max((len(run.steps.get("step", ())) for run in weights.shown), default=0)

    seen: list[int] = []
    wait_while(lambda: dock.running and not grown(seen, drawn(), 3), "the figure to grow")
    wait_while(lambda: dock.running and finished_epochs(dock) < epochs, "the epochs")
    dock.panel.stop_button.click()
    wait_while(lambda: dock.running, "the training to stop")
    check(dock.result.isVisible(), f"No new model: {dock.message.text()}")
    check(len(seen) > 1, "The figure of the losses did not grow.")
    print(f"The figure grew from {seen[0]} to {drawn()} steps. {weights.words.text()}")


def finished_epochs(dock: Any) -> int:
    """How far the bar of the training is; an epoch is done when the next one's steps come."""
    bar, epochs = dock.panel.bar, dock.inputs.settings.form.controls["epochs"].value
    return int((bar.value() - 1) * epochs / bar.maximum()) if bar.maximum() > 0 else 0


def grown(seen: list[int], count: int, often: int) -> bool:
    """Note a count that has risen; True once it has done so `often` times."""
    if count > (seen[-1] if seen else 0):
        seen.append(count)
    return len(seen) >= often


def segment(viewer: napari.Viewer, layer: Any, masks: Path) -> None:
    """Use the new model, and save what it finds."""
    dock = open_dock(viewer, "Segment glands")
    dock.inputs.image_chooser.choose(layer)
    check(dock.inputs.model_chooser.choose(MODEL), f"“{MODEL}” is not in the list of models.")
    dock.run()
    wait_while(lambda: dock.running, "the segmentation")
    check(dock.result.isVisible(), f"No result: {dock.message.text()}")
    print(f"{MODEL}: {dock.result.gland_label.text()}")
    dock.save_masks(masks, overwrite=True)
    wait_while(lambda: dock.running, "the masks to be saved")


def picture(viewer: napari.Viewer, path: Path) -> None:
    """Of the window, once all that is new has been drawn."""
    painted = time.monotonic() + 1.5
    wait_while(lambda: time.monotonic() < painted, "the picture")
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(f"Picture of the window: {path}")


def first_day(out: Path, epochs: int, patches: int) -> None:
    """Open, annotate, correct, train, use, save; notes the labels of the corrected glands."""
    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    layers = open_images(viewer, out)
    dock = open_dock(viewer, "Annotate glands")
    corrected = {}
    for name, kind in CLASSES.items():
        area = annotate(dock, layers[name], kind)
        corrected[name] = correct(area, name)
    picture(viewer, out / "annotate.png")
    fine_tune(viewer, epochs, patches)
    picture(viewer, out / "fine-tune.png")
    segment(viewer, layers["synthetic_malignant"], out / "masks.ome.zarr")
    (out / CORRECTED).write_text(json.dumps(corrected), encoding="utf-8")
    viewer.close()


def next_day(out: Path, close: bool) -> None:
    """Open everything again: annotations, the run, the masks."""
    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    layers = open_images(viewer, out)
    dock = open_dock(viewer, "Annotate glands")
    corrected = json.loads((out / CORRECTED).read_text(encoding="utf-8"))
    for name, layer in layers.items():
        dock.inputs.image_chooser.choose(layer)
        wait_while(lambda: dock.running or not dock.areas.list.rows, "the list of areas")
        dock.open_area(dock.areas.list.rows[0])
        wait_while(lambda: dock.running, "the area to open")
        glands = dock.session.current.glands_layer.data
        check(bool(np.any(glands == corrected[name])), f"The correction of {name} is lost.")
    weights = open_dock(viewer, "Loss weights")
    wait_while(lambda: not weights.shown, "the finished run to be shown")
    opened = viewer.open(out / "masks.ome.zarr", plugin=PLUGIN)
    check(len(opened) >= 3, "The masks did not come back.")
    picture(viewer, out / "next-day.png")
    print(f"Corrections, losses and masks are back. All is in {out}")
    if close:
        viewer.close()
    else:
        print("Close the window to end.")
        napari.run()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("fine-tune-output"), help="empty folder")
    parser.add_argument("--epochs", type=int, default=3, help="epochs before Stop is pressed")
    parser.add_argument("--patches", type=int, default=64, help="patches per epoch")
    parser.add_argument("--close", action="store_true", help="close the window at the end")
    parser.add_argument("--reopen", action="store_true", help="only open again what --out holds")
    options = parser.parse_args()
    out = options.out.absolute()
    # The user's own models and runs are left alone.
    os.environ["NAPARI_GLAND_MTL_MODELS"] = str(out / "models")
    os.environ["NAPARI_GLAND_MTL_RUNS"] = str(out / "runs")
    if options.reopen:
        next_day(out, options.close)
        return
    out.mkdir(parents=True, exist_ok=True)
    check(not any(out.iterdir()), f"{out} is not empty. Choose another folder by --out.")
    first_day(out, options.epochs, options.patches)
    # In a program of its own: nothing but what is on disk is left of the first.
    again = ["--out", str(out), "--reopen", *(["--close"] if options.close else [])]
    sys.exit(subprocess.run([sys.executable, __file__, *again], check=False).returncode)


if __name__ == "__main__":
    main()
