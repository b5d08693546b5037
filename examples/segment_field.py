"""Segment one image: open it, segment it, look at what was found, save it.

Writes ``results/synthetic_benign.ome.zarr`` (image, regions, glands, provenance; napari opens it
with all layers) and ``results/synthetic_benign.csv`` (one row per gland).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import napari_gland_mtl as gm
from napari_gland_mtl.segmentation import probability_text

IMAGE = Path(gm.__file__).parent / "samples" / "synthetic_benign.ome.tif"
OUT = Path("results")


def main() -> None:
    # The file knows its pixel size. For one that does not: gm.open_slide(path, mpp=0.5).
    with gm.open_slide(IMAGE) as slide:
        print(slide)
        found = gm.segment(slide)  # the default model; model= takes a name, a file, a run folder
        gm.write_segmentation(OUT / f"{slide.name}.ome.zarr", slide, found, overwrite=True)
        gm.write_table(OUT / f"{slide.name}.csv", found.table, overwrite=True)

    name, probability = max(found.class_probabilities.items(), key=lambda item: item[1])
    words = probability_text(probability)  # never a certainty: "over 0.99"
    print(f"Looks {name} (probability {words}). A research result, not a diagnosis.")

    table = found.table  # one array per column, one row per gland; the unit is in the name
    whole = ~table["touches_border"]
    print(f"{len(whole)} glands, {whole.sum()} of them not cut by the border. Of those:")
    for column in ("area_um2", "lumen_to_gland_ratio", "epithelial_thickness_um"):
        # A gland without lumen has no thickness: NaN.
        print(f"  {column}: median {np.nanmedian(table[column][whole]):.4g}")

    raw, now = found.violations_raw.total, found.violations.total
    print(f"Topology violations: {raw} in the network's own output, {now} after repair.")

    again = gm.read_segmentation(OUT / "synthetic_benign.ome.zarr")
    same = np.array_equal(again.glands, found.glands)
    print(f"Read back from {OUT}: the glands are {'the same' if same else 'not the same'}.")


if __name__ == "__main__":
    main()
