"""Segment whole slides into a folder: labels, tables, a summary and a page with pictures.

Two small slides are made first, from the samples that come with the package: fields of glands
side by side, on glass. Put your own in their place: ``sorted(Path("slides").glob("*.svs"))``.
Run it again and nothing is computed twice: ``resume=True`` goes on with what is there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

import napari_gland_mtl as gm

SAMPLES = Path(gm.__file__).parent / "samples"
SLIDES, OUT = Path("slides"), Path("results")
GLASS = 244


def make_slide(kind: str) -> Path:
    """A slide of two by two fields with a margin of glass, as a tiled, pyramidal TIFF."""
    path = SLIDES / f"{kind}.tif"
    if path.exists():
        return path
    SLIDES.mkdir(exist_ok=True)
    with gm.open_slide(SAMPLES / f"synthetic_{kind}.ome.tif") as sample:
        field, mpp = sample.read(), sample.mpp
    # Mirrored, so that glands meet at the seams.
    row = np.concatenate([field, field[:, ::-1]], axis=1)
    tissue = np.concatenate([row, row[::-1]])
    image = np.pad(tissue, ((300, 300), (300, 700), (0, 0)), constant_values=GLASS)
    with tifffile.TiffWriter(path) as tiff:
        for level, factor in enumerate((1, 4)):
            tiff.write(
                np.ascontiguousarray(image[::factor, ::factor]),
                subifds=1 - level,
                subfiletype=level,
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
                resolution=(1e4 / (mpp * factor), 1e4 / (mpp * factor)),
                resolutionunit="CENTIMETER",
            )
    return path


def main() -> None:
    slides = [make_slide(kind) for kind in ("benign", "malignant")]
    # flips=False takes a quarter of the time; leave it out for the better result.
    found = gm.segment_slides(slides, OUT, resume=True, flips=False)

    for name, summary in found.items():
        print(f"{name}: {summary.get('error') or summary['statement']}")
        print(f"  tissue: {summary['analysed_area_um2'] / 1e6:.2f} mm2")
        print(f"  topology violations: {sum(summary['violations'].values())}")

    # Everything lies on disk; a part is read as fast from the largest slide as from these.
    result = gm.open_result(OUT / "benign.ome.zarr")
    glands = result.labels("glands")[0]
    there = np.asarray(glands[500:1300, 500:1300])
    table = result.read_table()
    print(f"{len(table['label'])} glands in {result.path}, {len(np.unique(there)) - 1} of them in")
    print(f"a window of 800 x 800 px. Median area {np.median(table['area_um2']):.0f} um2.")
    print(f"All slides: {OUT / 'summary.csv'}, with pictures: {OUT / 'report.html'}")


if __name__ == "__main__":
    main()
