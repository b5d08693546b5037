"""Write a synthetic stained field of view with its true masks.

    python sample_data/generate.py OUT --kind benign --size 512 --mpp 0.62 --seed 0

writes ``OUT/NAME.ome.tif`` (RGB), ``OUT/NAME_regions.ome.tif`` (1 stroma, 2 epithelium, 3 lumen)
and ``OUT/NAME_glands.ome.tif`` (instances from 1), all with their pixel size.
"""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from synthetic_tissue import KINDS, SyntheticField, make_field


def write_ome_tiff(path: Path, pixels: npt.NDArray[np.generic], mpp: float) -> None:
    """Write an image (Y, X, 3) or a label image (Y, X) as a deflated OME-TIFF.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    pixels : ndarray of uint8 or uint16
    mpp : float
        um per pixel.
    """
    size = {f"PhysicalSize{axis}": mpp for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    # Not random: the same field is the same file.
    name = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, path.name)}"
    tifffile.imwrite(
        path,
        pixels,
        ome=True,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        compression="zlib",
        compressionargs={"level": 9},
        predictor=pixels.ndim == 3,
        metadata={"axes": "YXS" if pixels.ndim == 3 else "YX", "UUID": name, **size, **units},
    )


def write_field(folder: Path, name: str, field: SyntheticField) -> list[Path]:
    """Write a field's image and truth into `folder`, made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, npt.NDArray[np.generic]] = {
        "": field.image,
        "_regions": field.regions,
        "_glands": field.glands.astype(np.uint16),
    }
    paths = [folder / f"{name}{suffix}.ome.tif" for suffix in parts]
    for path, pixels in zip(paths, parts.values(), strict=True):
        write_ome_tiff(path, pixels, field.mpp)
    return paths


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Synthetic stained colon with known glands.")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--kind", choices=KINDS, default="benign")
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--mpp", type=float, default=0.62, help="micrometres per pixel")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="file name without suffix (default: KIND_SEED)")
    options = parser.parse_args(arguments)
    try:
        field = make_field(options.kind, options.size, options.size, options.mpp, options.seed)
    except ValueError as error:
        parser.error(str(error))
    name = options.name or f"{options.kind}_{options.seed}"
    for path in write_field(options.out, name, field):
        print(path)


if __name__ == "__main__":
    main()
