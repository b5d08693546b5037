"""Opening a slide and its first picture on screen, against tifffile alone.

    python benchmarks/opening.py [--side 32768] [--flat 8192] [--rounds 7]

A pyramid of JPEG tiles and a file without lower levels are written to a temporary folder. For
the pyramid: opening it, and opening it with the coarsest level as a viewer asks for it. For the
other: the first view of the whole, for which all of it has to be read, against reading all of
it. CPU seconds, imports left out, the file in the system's cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from alternating import medians
from jpeg_pyramid import TILE, write_pyramid

from napari_gland_mtl.slides import open_slide
from napari_gland_mtl.slides.open_files import PositionalFile

BAR = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--flat", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    side, flat = (size // TILE * TILE for size in (options.side, options.flat))
    with tempfile.TemporaryDirectory(prefix="opening-") as folder:
        pyramid = write_pyramid(Path(folder) / "pyramid.tif", side, side)
        alone = write_pyramid(Path(folder) / "flat.tif", flat, flat, levels=False)
        missed = open_pyramid(pyramid, options.rounds)
        view_flat(alone, options.rounds)
        return missed


def open_pyramid(path: Path, rounds: int) -> int:
    tasks: dict[str, Callable[[], object]] = {
        "tifffile, opened": lambda: tifffile_opened(path, picture=False),
        "tifffile, with its coarsest level": lambda: tifffile_opened(path, picture=True),
        "this package, opened": lambda: open_slide(path).close(),
        "this package, with its coarsest level": lambda: first_picture(path),
    }
    times = medians(tasks, rounds)
    unit = times["tifffile, with its coarsest level"]
    print(f"pyramid of {path.stat().st_size / 1e6:.0f} MB")
    for name, seconds in times.items():
        print(f"  {name}: {seconds / unit:.2f} ({seconds * 1e3:.0f} ms)")
    print(f"  read of the file for the picture, beyond its tables: {bytes_read(path) / 1e6:.2f} MB")
    ratio = times["this package, with its coarsest level"] / unit
    held = ratio <= BAR
    print(f"first picture by tifffile's: {ratio:.2f} (bar: at most {BAR:g}, ", end="")
    print("held)" if held else "MISSED)")
    return 0 if held else 1


def view_flat(path: Path, rounds: int) -> None:
    tasks: dict[str, Callable[[], object]] = {
        "tifffile.imread": lambda: tifffile.imread(path, maxworkers=1),
        "this package, first view of the whole": lambda: first_picture(path),
    }
    times = medians(tasks, max(1, rounds // 2))
    print(f"without lower levels, {path.stat().st_size / 1e6:.0f} MB")
    for name, seconds in times.items():
        print(f"  {name}: {seconds / times['tifffile.imread']:.2f} ({seconds:.2f} s)")


def tifffile_opened(path: Path, picture: bool) -> None:
    with tifffile.TiffFile(path) as tif:
        levels = tif.series[0].levels
        if picture:
            levels[-1].asarray(maxworkers=1)


def first_picture(path: Path) -> None:
    """What a viewer does: it opens the slide and draws the coarsest level."""
    with open_slide(path) as slide:
        np.asarray(slide.pyramid()[-1])


def bytes_read(path: Path) -> int:
    """Bytes of pixels read for the first picture."""
    counts: list[int] = []
    original = PositionalFile.read

    def counting(self: PositionalFile, offset: int, count: int) -> bytes:
        counts.append(count)
        return original(self, offset, count)

    PositionalFile.read = counting  # type: ignore[method-assign]
    try:
        first_picture(path)
    finally:
        PositionalFile.read = original  # type: ignore[method-assign]
    return sum(counts)


if __name__ == "__main__":
    sys.exit(main())
