"""Open a synthetic stained field in napari, segment it with the dock widget, save the masks.

This drives the real window as a user does: File > Open Sample, Plugins > Gland segmentation >
Segment glands, Run, "Save masks…". It writes a picture of the window and the masks to a folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

PLUGIN = "napari-gland-mtl"
TIMEOUT_S = 600.0


def wait_while(condition: Callable[[], bool]) -> None:
    """Keep the window alive until `condition` no longer holds."""
    end = time.monotonic() + TIMEOUT_S
    while condition():
        if time.monotonic() > end:
            sys.exit(f"Not finished after {TIMEOUT_S:.0f} s; a smaller sample may help.")
        QApplication.processEvents()
        time.sleep(0.02)


def run(sample: str, out: Path) -> None:
    """Segment one sample in a new window, and write `out`/screenshot.png and the masks."""
    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    viewer.open_sample(PLUGIN, sample)
    image = viewer.layers[0]
    for layer in viewer.layers[1:]:
        layer.visible = False  # the truth, to be compared with the result afterwards
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment glands")

    print(f"Segmenting {image.name} ...", flush=True)
    widget.run()
    wait_while(lambda: widget.running)
    if not widget.result.isVisible():
        sys.exit(f"No result: {widget.message.text()}")
    print(widget.result.class_label.text())
    print(widget.result.gland_label.text())
    print(widget.result.topology_label.text())

    masks = out / f"{sample}.ome.zarr"
    widget.save_masks(masks, overwrite=True)
    wait_while(lambda: widget.running)
    if not masks.is_dir():
        sys.exit(f"The masks were not saved: {widget.message.text()}")
    viewer.reset_view()
    # Let the canvas be drawn with all that is new before its picture is taken.
    painted = time.monotonic() + 1.0
    wait_while(lambda: time.monotonic() < painted)
    viewer.screenshot(str(out / "screenshot.png"), canvas_only=False, flash=False)
    print(f"Picture of the window: {out / 'screenshot.png'}")
    print(f"Masks: {masks} (open it in napari: all layers come back)")


def main() -> None:
    """Run the demonstration that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", default="synthetic_benign", help="key of File > Open Sample")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder to write")
    parser.add_argument("--close", action="store_true", help="close the window at the end")
    options = parser.parse_args()
    run(options.sample, options.out)
    if options.close:
        napari.Viewer.close_all()
    else:
        print("Close the window to end.")
        napari.run()


if __name__ == "__main__":
    main()
