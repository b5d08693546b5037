"""Train a network on a folder of images and masks, interrupt it, resume it, measure it.

The data set is cut from the bundled synthetic fields: ``images/``, ``masks/`` with region codes,
and ``labels.csv`` with the class of each image. The network is a tiny one and sees a few patches
only, so that this takes seconds; it learns next to nothing.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import tifffile
from PIL import Image

import napari_gland_mtl as gm
from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.jobs.direct import train_config
from napari_gland_mtl.jobs.run_folder import part_of_run
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.jobs.train import train_model
from napari_gland_mtl.training.progress import EpochFinished

SAMPLES = Path(gm.__file__).parent / "samples"
MPP = 0.62
DATA, RUN = Path("synthetic-data"), Path("runs") / "tiny"


def main() -> None:
    write_data_set(DATA)
    dataset = gm.open_dataset(DATA, mpp=MPP)  # PNG files do not know their pixel size
    print(dataset.description)

    shutil.rmtree(RUN, ignore_errors=True)  # left by an earlier call
    interrupted(dataset)
    # Without settings: those that the run began with are in its folder.
    model = gm.train(dataset, RUN, resume=True)
    print(f"Resumed to the end. {RUN} holds {', '.join(sorted(p.name for p in RUN.iterdir()))}")
    learned = ", ".join(f"{name} {value:.2f}" for name, value in model.card.log_vars.items())
    print(f"Learned log sigma^2: {learned}")

    held_out = part_of_run(dataset, RUN, "validation")
    measures = gm.evaluate(held_out, model=model, flips=False)
    print(
        f"{measures['images']} images that were not trained on: "
        f"pixel accuracy {measures['pixel_accuracy']:.2f}, "
        f"object Dice {measures['object_dice']['mean']:.2f}"
    )


def interrupted(dataset: Dataset) -> None:
    """Train for one epoch of two, as if the user had pressed Ctrl-C then."""
    config = train_config(
        validation=2,
        epochs=2,
        patches_per_epoch=16,
        batch_size=4,
        patch_size=96,
        widths=(4, 8, 8, 16, 16),
        log_var_warmup_steps=4,
    )
    stop = StopToken()
    for event in train_model(dataset, RUN, config, stop):
        if isinstance(event, EpochFinished):
            losses = ", ".join(f"{name} {value:.2f}" for name, value in event.losses.items())
            print(f"Epoch {event.epoch} of {event.epochs}: {losses}. Stopping here.")
            stop.stop()


def write_data_set(folder: Path) -> None:
    """Cut each synthetic field into four images with region masks."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = [("image", "class")]
    for kind in ("benign", "malignant"):
        image = tifffile.imread(SAMPLES / f"synthetic_{kind}.ome.tif")
        mask = tifffile.imread(SAMPLES / f"synthetic_{kind}_regions.ome.tif")
        half = image.shape[0] // 2
        for number, (y, x) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
            window = slice(y, y + half), slice(x, x + half)
            name = f"{kind}_{number}.png"
            Image.fromarray(image[window]).save(folder / "images" / name)
            Image.fromarray(mask[window]).save(folder / "masks" / name)
            rows.append((name, kind))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
