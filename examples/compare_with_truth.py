"""Segment the two synthetic samples and measure the result against their true masks.

For a folder of images and masks one call does the same: ``gm.evaluate("FOLDER")``. Drawn tissue
is easier in some ways and stranger in others than real tissue: these figures say that the
measures work, not how good the model is.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

import napari_gland_mtl as gm
from napari_gland_mtl.metrics import ObjectScores, PixelScores

SAMPLES = Path(gm.__file__).parent / "samples"


def main() -> None:
    model = gm.load_model()
    print(f"Model {model.card.name!r}, works at {model.card.mpp:g} um/px")
    objects, pixels = ObjectScores(), PixelScores()
    for kind in ("benign", "malignant"):
        image = SAMPLES / f"synthetic_{kind}.ome.tif"
        true_glands = tifffile.imread(SAMPLES / f"synthetic_{kind}_glands.ome.tif")
        true_regions = tifffile.imread(SAMPLES / f"synthetic_{kind}_regions.ome.tif")

        found = gm.segment(image, model=model)
        one = objects.add(true_glands, found.glands, mpp=found.mpp)
        accuracy = pixels.add(true_regions, found.regions)

        likeliest = max(found.class_probabilities, key=lambda name: found.class_probabilities[name])
        print(
            f"{kind}: {true_glands.max()} glands, {found.glands.max()} found, looks {likeliest}; "
            f"F1 {one.f1:.2f}, object Dice {one.object_dice:.2f}, object Hausdorff "
            f"{one.object_hausdorff_px * found.mpp:.0f} um, pixel accuracy {accuracy:.2f}"
        )

    print("Both images, in the two conventions of the literature:")
    for name, value in {**objects.summary(), "pixel_accuracy": pixels.accuracy}.items():
        print(f"  {name}: pooled {value['pooled']:.3g}, mean of images {value['mean']:.3g}")


if __name__ == "__main__":
    main()
