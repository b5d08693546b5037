"""Draw the pictures of the how-to pages anew, from synthetic images alone, in a real window.

    python tools/pictures.py --out docs/images

“images-tab.png” shows the training images of the dock “Loss weights”: the two samples, cut into
fields, are learned from with an uncertainty per image. One field is out of focus and has the
annotation of another. “uncertainty.png” shows the uncertainty over a segmented sample,
“slide.png” a slide of many fields of both kinds, segmented as slides are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import napari
import numpy as np
import tifffile
from PIL import Image
from PIL.ImageFilter import GaussianBlur
from qtpy.QtWidgets import QApplication

import napari_gland_mtl
from napari_gland_mtl import open_dataset, train

PLUGIN = "napari-gland-mtl"
SAMPLES = Path(napari_gland_mtl.__file__).parent / "samples"
MPP, FIELD = 0.62, 256
KINDS = ("benign", "malignant")
WRONG, TAKEN_FROM = 4, 7
"""Of the malignant fields, the one that is out of focus and annotated as the other."""
BLUR_PX = 4
GLASS, MARGIN = 244, 350
FIELDS_OF_SLIDE = (4, 6)
"""Rows and columns: more than 16 megapixels, so that it is done as a slide."""
MOST_BYTES = 300_000
TIMEOUT_S = 600.0


def wait_while(condition: Callable[[], bool]) -> None:
    """Keep the window alive until `condition` no longer holds."""
    end = time.monotonic() + TIMEOUT_S
    while condition():
        if time.monotonic() > end:
            sys.exit(f"Not done after {TIMEOUT_S:.0f} s.")
        QApplication.processEvents()
        time.sleep(0.02)


def pause(seconds: float) -> None:
    """Let the window draw what is new."""
    end = time.monotonic() + seconds
    wait_while(lambda: time.monotonic() < end)


def write_fields(folder: Path) -> None:
    """The samples, cut into fields, each class in a folder; one is not as it should be."""
    for kind in KINDS:
        image = tifffile.imread(SAMPLES / f"synthetic_{kind}.ome.tif")
        regions = tifffile.imread(SAMPLES / f"synthetic_{kind}_regions.ome.tif")
        corners = [
            (y, x) for y in range(0, image.shape[0], FIELD) for x in range(0, image.shape[1], FIELD)
        ]
        for number, (y, x) in enumerate(corners, 1):
            wrong = kind == "malignant" and number == WRONG
            v, u = corners[TAKEN_FROM - 1] if wrong else (y, x)
            field, mask = image[y:, x:][:FIELD, :FIELD], regions[v:, u:][:FIELD, :FIELD]
            seen = Image.fromarray(field).filter(GaussianBlur(BLUR_PX if wrong else 0))
            for part, content in (("images", seen), ("masks", Image.fromarray(mask))):
                (folder / kind / part).mkdir(parents=True, exist_ok=True)
                content.save(folder / kind / part / f"{kind} {number}.png")


def train_on(fields: Path, run: Path, epochs: int) -> None:
    """Learn from the fields, on from the bundled model, with an uncertainty per image."""
    train(
        open_dataset(fields, mpp=MPP, masks="regions"),
        run,
        start="glas",
        epochs=epochs,
        validation=0,
        weighting="instance",
        patches_per_epoch=36,
        patch_size=96,
        batch_size=4,
        learning_rate=3e-3,
        log_var_learning_rate=5e-2,  # what takes thousands of steps else is seen in hundreds
        log_var_warmup_steps=9,
    )


def images_tab(run: Path, path: Path) -> None:
    """The images of a training, with the course of the one that stands out most."""
    viewer = _window(1300, 960)
    dock = _dock(viewer, "Loss weights")
    dock.show_run(run)
    dock.views.setCurrentIndex(1)
    table = dock.images.table
    wait_while(lambda: table.images.rowCount() == 0)
    table.choose(table.images.name(0))
    dock.images.open_button.click()
    wait_while(lambda: len(viewer.layers) < 2)
    pause(1.0)
    dock.message.clear_message()
    _picture(viewer, path)


def uncertainty(path: Path) -> None:
    """A segmented sample with its uncertainty."""
    viewer = _window(1300, 860)
    viewer.open_sample(PLUGIN, "synthetic_malignant")
    for layer in viewer.layers[1:]:
        layer.visible = False
    dock = _dock(viewer, "Segment glands")
    dock.run()
    wait_while(lambda: dock.running)
    dock.result.uncertainty.tick.setChecked(True)
    viewer.layers.selection.active = viewer.layers[-3]
    viewer.reset_view()
    _picture(viewer, path)


def write_slide(path: Path) -> None:
    """A pyramid on glass: benign fields on the left, malignant ones on the right."""
    rows, columns = FIELDS_OF_SLIDE
    both = []
    for kind in KINDS:
        field = tifffile.imread(SAMPLES / f"synthetic_{kind}.ome.tif")
        # Mirrored, so that glands meet at the seams.
        pair = np.concatenate([field, field[::-1]])
        half = [pair[:, :: (-1) ** column] for column in range(columns // 2)]
        both.append(np.tile(np.concatenate(half, axis=1), (rows // 2, 1, 1)))
    tissue = np.concatenate(both, axis=1)
    image = np.pad(tissue, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=GLASS)
    with tifffile.TiffWriter(path) as tiff:
        for level, factor in enumerate((1, 4, 16)):
            tiff.write(
                np.ascontiguousarray(image[::factor, ::factor]),
                subifds=0 if level else 2,
                subfiletype=min(level, 1),
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
                resolution=(1e4 / (MPP * factor), 1e4 / (MPP * factor)),
                resolutionunit="CENTIMETER",
            )


def slide(folder: Path, path: Path) -> None:
    """A slide, segmented on disk, with what the dock says of it."""
    write_slide(folder / "slide.tif")
    viewer = _window(1400, 900)
    viewer.open(folder / "slide.tif", plugin=PLUGIN)
    dock = _dock(viewer, "Segment glands")
    pause(1.0)
    dock.run()
    wait_while(lambda: dock.running)
    viewer.reset_view()
    _picture(viewer, path)


def _window(width: int, height: int) -> Any:
    viewer = napari.Viewer()
    viewer.window.resize(width, height)
    return viewer


def _dock(viewer: Any, title: str) -> Any:
    return viewer.window.add_plugin_dock_widget(PLUGIN, title)[1]


def _picture(viewer: Any, path: Path) -> None:
    """Of the window; with few colours, which are enough and take half the room."""
    pause(3.0)
    shot = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    shot.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)
    viewer.close()
    size = path.stat().st_size
    print(f"{path}: {size // 1000} kB")
    if size > MOST_BYTES:
        sys.exit(f"{path} is larger than {MOST_BYTES // 1000} kB.")


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder to write")
    parser.add_argument("--epochs", type=int, default=100, help="epochs of the training")
    parser.add_argument("--run", type=Path, help="a folder for fields and training that is kept")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made:
        folder = (options.run or Path(made)).absolute()
        os.environ["NAPARI_GLAND_MTL_RUNS"] = str(folder / "runs")
        run = folder / "runs" / "fields"
        if not run.exists():
            write_fields(folder / "data")
            train_on(folder / "data", run, options.epochs)
        images_tab(run, options.out / "images-tab.png")
        slide(Path(made), options.out / "slide.png")
    uncertainty(options.out / "uncertainty.png")


if __name__ == "__main__":
    main()
