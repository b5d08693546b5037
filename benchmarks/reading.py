"""Reading a slide against decoding its JPEG tiles, bare tifffile, zarr on it, and OpenSlide.

    python benchmarks/reading.py [--side 6144] [--rounds 5] [--slide PATH]

A pyramid of JPEG tiles is written to a temporary folder unless a TIFF slide is given. Read are:
all tiles of the largest level, in order; windows off the tile borders, as large as a tile and
twice that; and windows as the network reads them from a wide slide, 1216 px with their halo
from a level 2.5 times finer, for which is counted how often each tile is decoded. One thread
each, caches empty at the start of each round. OpenSlide takes part where it is installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import zarr
from alternating import medians
from jpeg_pyramid import TILE, write_pyramid

from napari_gland_mtl.inference.scaled_slide import ScaledSlide
from napari_gland_mtl.inference.tiling import Window
from napari_gland_mtl.slides import open_slide
from napari_gland_mtl.slides.tiff_slide import TiffSlide

RAW_BAR, UNALIGNED_BAR, OPENSLIDE_BAR = 0.8, 3.0, 3.0
OFFSET = 173
WIDE = (8192, 40960)
CORE, HALO, FINER = 1024, 96, 2.5

Box = tuple[int, int, int, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=6144)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slide", type=Path, help="a TIFF slide of JPEG tiles")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        side = options.side // TILE * TILE
        path = options.slide or write_pyramid(Path(folder) / "slide.tif", side, side)
        missed = whole_tiles(path, options.rounds)
        missed |= odd_windows(path, TILE, options.rounds, UNALIGNED_BAR)
        odd_windows(path, 2 * TILE, options.rounds)
        several_threads(path)
        sweep(options.slide or write_pyramid(Path(folder) / "wide.tif", *WIDE))
        return missed


def whole_tiles(path: Path, rounds: int) -> int:
    """All tiles of the largest level, one after the other."""
    with open_slide(path) as slide:
        height, width = slide.levels[0].height, slide.levels[0].width
        boxes = list(grid(height, width, slide.tile_shape(0) or (TILE, TILE), 0))
    tasks: dict[str, Callable[[], object]] = {
        "JPEG decoding alone": raw_decoding(path),
        "this package": lambda: read_boxes(path, boxes),
        "tifffile.imread": lambda: tifffile.imread(path, series=0, level=0, maxworkers=1),
        **zarr_task(path, boxes),
        **openslide_task(path, boxes),
    }
    times = medians(tasks, rounds)
    print(f"{len(boxes)} whole tiles, {height * width / 1e6:.0f} million px")
    speeds = report(times, "JPEG decoding alone")
    missed = at_least("this package by decoding alone", speeds["this package"], RAW_BAR)
    if "OpenSlide" in speeds:
        ratio = speeds["this package"] / speeds["OpenSlide"]
        missed |= at_least("this package by OpenSlide", ratio, OPENSLIDE_BAR)
    return missed


def odd_windows(path: Path, side: int, rounds: int, bar: float | None = None) -> int:
    """Windows side by side, all off the tile borders."""
    with open_slide(path) as slide:
        boxes = list(grid(slide.levels[0].height, slide.levels[0].width, (side, side), OFFSET))
    tasks: dict[str, Callable[[], object]] = {
        "this package": lambda: read_boxes(path, boxes),
        **zarr_task(path, boxes),
        **openslide_task(path, boxes),
    }
    times = medians(tasks, rounds)
    print(f"{len(boxes)} windows of {side} px off the tile borders")
    speeds = report(times, "this package")
    if bar is None:
        return 0
    missed = at_least("this package by zarr", 1 / speeds["zarr on tifffile"], bar)
    if "OpenSlide" in speeds:
        missed |= at_least("this package by OpenSlide", 1 / speeds["OpenSlide"], OPENSLIDE_BAR)
    return missed


def several_threads(path: Path) -> None:
    """One large window, decoded in one and in two threads; by the clock."""
    seconds = {}
    for threads in (1, 2, 1, 2):
        with open_slide(path, threads=threads) as slide:
            size = slide.levels[0]
            start = time.perf_counter()
            slide.read_region(0, 1, 1, size.height - 1, size.width - 1)
            seconds[threads] = time.perf_counter() - start
    print(f"two threads by one, by the clock: {seconds[1] / seconds[2]:.2f} x as fast")


def sweep(path: Path) -> None:
    """Windows of the network row by row, and how often each tile is decoded."""
    for announced in (False, True):
        with open_slide(path, mpp=1.0) as slide:
            decoded = count_tiles(slide)
            view = ScaledSlide(slide, 1.0, FINER)
            windows = [Window(*box).clipped(*view.shape) for box in halo_windows(*view.shape)]
            if announced:
                view.announce(windows)
            for window in windows:
                view.read(window)
            tiles = {place for place in decoded if place[0] == view.level}
            how = "announced" if announced else "not announced"
            print(
                f"{len(windows)} windows of {CORE + 2 * HALO} px at {FINER} px per px, {how}: "
                f"each tile decoded {len(decoded) / max(1, len(tiles)):.2f} times"
            )


def halo_windows(height: int, width: int) -> Iterator[Box]:
    for y in range(0, height, CORE):
        for x in range(0, width, CORE):
            yield y - HALO, x - HALO, y + CORE + HALO, x + CORE + HALO


def count_tiles(slide: Any) -> list[tuple[int, int, int]]:
    """The tiles that a slide decodes from now on."""
    if not isinstance(slide, TiffSlide):
        raise SystemExit("only TIFF slides can be measured")
    decoded: list[tuple[int, int, int]] = []
    load = slide._load_tile

    def counting(level: int, row: int, column: int) -> Any:
        decoded.append((level, row, column))
        return load(level, row, column)

    slide._load_tile = counting  # type: ignore[method-assign]
    return decoded


# ------------------------------------------------------------------ who reads


def grid(height: int, width: int, step: tuple[int, int], offset: int) -> Iterator[Box]:
    """Windows side by side, cut to the image."""
    for y in range(offset, height, step[0]):
        for x in range(offset, width, step[1]):
            yield y, x, min(y + step[0], height), min(x + step[1], width)


def read_boxes(path: Path, boxes: list[Box]) -> None:
    with open_slide(path) as slide:
        for y0, x0, y1, x1 in boxes:
            slide.read_region(0, y0, x0, y1 - y0, x1 - x0)


def raw_decoding(path: Path) -> Callable[[], object]:
    """What libjpeg-turbo alone needs for all tiles, their bytes being in memory."""
    with tifffile.TiffFile(path) as tif, path.open("rb") as file:
        page = tif.series[0].levels[0].keyframe
        tables = page.jpegtables
        stored = 2 if page.photometric == tifffile.PHOTOMETRIC.RGB else None
        segments = []
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(offset)
            segments.append(file.read(count))

    def decode() -> None:
        for segment in segments:
            imagecodecs.jpeg_decode(segment, tables=tables, colorspace=stored, outcolorspace=2)

    return decode


def zarr_task(path: Path, boxes: list[Box]) -> dict[str, Callable[[], object]]:
    def read() -> None:
        with tifffile.imread(path, aszarr=True, series=0, level=0) as store:
            array: Any = zarr.open(store, mode="r")
            for y0, x0, y1, x1 in boxes:
                np.asarray(array[y0:y1, x0:x1])

    return {"zarr on tifffile": read}


def openslide_task(path: Path, boxes: list[Box]) -> dict[str, Callable[[], object]]:
    if find_spec("openslide") is None:
        print("OpenSlide is not installed (pip install openslide-python openslide-bin)")
        return {}
    import openslide

    def read() -> None:
        with openslide.OpenSlide(path) as slide:
            for y0, x0, y1, x1 in boxes:
                np.asarray(slide.read_region((x0, y0), 0, (x1 - x0, y1 - y0)).convert("RGB"))

    return {"OpenSlide": read}


# ------------------------------------------------------------------ what is printed


def report(times: dict[str, float], unit: str) -> dict[str, float]:
    """Print and give the speeds as shares of one of them."""
    speeds = {name: times[unit] / seconds for name, seconds in times.items()}
    for name, speed in speeds.items():
        print(f"  {name}: {speed:.2f}")
    return speeds


def at_least(what: str, ratio: float, bar: float) -> int:
    """Print a ratio against the smallest that is accepted; returns an exit code."""
    held = ratio >= bar
    print(f"{what}: {ratio:.2f} (bar: at least {bar:g}, {'held' if held else 'MISSED'})")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
