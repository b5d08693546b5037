"""Write a synthetic stained field of view, or a whole slide, with its true masks.

    python sample_data/generate.py OUT --kind benign --size 512 --mpp 0.62 --seed 0

writes ``OUT/NAME.ome.tif`` (RGB), ``OUT/NAME_regions.ome.tif`` (1 stroma, 2 epithelium, 3 lumen)
and ``OUT/NAME_glands.ome.tif`` (instances from 1), all with their pixel size.

    python sample_data/generate.py --slide 20000 30000 --mpp 0.5 --truth -o slide.svs

writes a pyramidal slide, as SVS or, named ``.tif``, as a plain TIFF, and with ``--truth`` also
``slide_regions.tif`` (0 glass) and ``slide_glands.tif``.
"""

from __future__ import annotations

import argparse
import tempfile
import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from synthetic_slide import SyntheticSlide, base_field, write_tiff, write_truth
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


def write_slide(path: Path, options: argparse.Namespace) -> list[Path]:
    """Write a slide of the size and looks that the options say, and its truth if asked for."""
    field = base_field(options.kind, options.field, options.mpp, options.seed, options.cache)
    slide = SyntheticSlide(
        *options.slide,
        field=field,
        seed=options.seed,
        downsamples=options.levels,
        pieces=options.pieces,
        pens=options.pens,
        sparse=options.sparse,
        name=path.stem,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tiff(path, slide, aperio=path.suffix.lower() == ".svs")
    paths = [path]
    for what in ("regions", "glands") if options.truth else ():
        paths.append(path.with_name(f"{path.stem}_{what}.tif"))
        write_truth(paths[-1], slide, what)
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Synthetic stained colon with known glands.")
    parser.add_argument("folder", nargs="?", type=Path, help="folder to write a field to")
    parser.add_argument("--kind", choices=KINDS, default="benign")
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--mpp", type=float, default=0.62, help="micrometres per pixel")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="file name without suffix (default: KIND_SEED)")
    slide = parser.add_argument_group("a slide in place of a field")
    slide.add_argument("--slide", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="pixels")
    slide.add_argument("-o", "--output", type=Path, help="file to write, .svs or .tif")
    slide.add_argument("--truth", action="store_true", help="write the true masks, too")
    slide.add_argument("--pieces", type=int, default=1, help="pieces of tissue; 0: no glass")
    slide.add_argument("--pens", nargs="*", default=[], metavar="COLOUR", help="felt pen marks")
    slide.add_argument("--sparse", action="store_true", help="leave tiles without tissue out")
    slide.add_argument("--levels", type=int, nargs="+", default=[1, 4, 16], help="downsamples")
    slide.add_argument("--field", type=int, default=1024, help="pixels until tissue repeats")
    slide.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gland-mtl-synthetic",
        help="folder that keeps fields, which take long to draw",
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted, given = ("-o FILE", options.output) if options.slide else ("FOLDER", options.folder)
    if given is None:
        parser.error(f"say where to write to: {wanted}")
    try:
        if options.slide:
            paths = write_slide(options.output, options)
        else:
            size, name = options.size, options.name or f"{options.kind}_{options.seed}"
            field = make_field(options.kind, size, size, options.mpp, options.seed)
            paths = write_field(options.folder, name, field)
    except ValueError as error:
        parser.error(str(error))
    for path in paths:
        print(path)


if __name__ == "__main__":
    main()
