"""Break a valid label image on purpose, find the places, repair it.

The rules: every lumen pixel lies inside a gland; no lumen pixel touches stroma; each gland is
one piece without holes. On the command line: ``gland-mtl topology LABELS --places``.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from scipy import ndimage

import napari_gland_mtl as gm
from napari_gland_mtl.inference.repair import repair
from napari_gland_mtl.metrics import find_violations

SAMPLES = Path(gm.__file__).parent / "samples"
STROMA, EPITHELIUM, LUMEN = (gm.GLAND_REGIONS.code(name) for name in gm.GLAND_REGIONS.names)
Labels = npt.NDArray[np.uint8]


def main() -> None:
    regions = tifffile.imread(SAMPLES / "synthetic_benign_regions.ome.tif")
    print(f"As drawn: {gm.count_violations(regions).total} violations")

    broken = regions.copy()
    break_it(broken)
    counts = gm.count_violations(broken)
    print(f"Broken: {counts.total} violations")
    for rule, count in asdict(counts).items():
        print(f"  {rule}: {count}")
    for place in find_violations(broken):
        print(f"  at y {place.y0}-{place.y1}, x {place.x0}-{place.x1} px: {place.rule}")

    mended, glands = repair(broken)
    changed = np.count_nonzero(mended != broken)
    print(f"Repaired: {gm.count_violations(mended, glands).total} violations, {changed} px changed")


def break_it(regions: Labels) -> None:
    """Lumen in the stroma, a hole in a gland, lumen that reaches the stroma; in place."""
    y, x = deepest(regions == STROMA)
    regions[y - 3 : y + 4, x - 3 : x + 4] = LUMEN
    y, x = deepest(regions == EPITHELIUM)
    regions[y - 1 : y + 2, x - 1 : x + 2] = STROMA
    y, x = deepest(regions == LUMEN)
    right = x + int(np.argmax(regions[y, x:] == STROMA))
    regions[y, x:right] = LUMEN


def deepest(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel farthest from the edge of a mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(depth), depth.shape)
    return int(y), int(x)


if __name__ == "__main__":
    main()
