"""Writing the labels of a slide, with all levels, against zarr without compression.

    python benchmarks/label_writing.py [--rounds 15]

Region and gland labels of one block of 1024 x 1024 px, made of the synthetic sample field, are
written to all levels of the pyramids of a slide. The peers make the same levels and assign them
to zarr arrays of the same chunks, without compression and with blosc's zstd at level
5. All of it goes to the disk's cache: a slow drive favours the smaller files, whose size is given
for information, as is what making the levels costs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from alternating import at_least, medians
from zarr.codecs import BloscCodec

from napari_gland_mtl.export.downsampling import INSTANCES, Downsampling, region_levels
from napari_gland_mtl.export.pyramid import PyramidWriter
from napari_gland_mtl.regions import GLAND_REGIONS

BAR = 0.85
BLOCK, BLOCKS = 1024, 8
SIZE = BLOCK * BLOCKS

Pyramids = list[tuple[PyramidWriter, np.ndarray]]


def block_of(kind: str) -> np.ndarray:
    """One block of labels: the sample field, repeated."""
    path = Path(str(files("napari_gland_mtl"))) / f"samples/synthetic_benign_{kind}.ome.tif"
    field = tifffile.imread(path)
    repeats = [-(-BLOCK // side) for side in field.shape]
    return np.ascontiguousarray(np.tile(field, repeats)[:BLOCK, :BLOCK])


def ours(root: zarr.Group) -> Pyramids:
    """Our two pyramids, with what is to be written to them."""
    kinds: dict[str, tuple[str, Downsampling]] = {
        "regions": ("uint8", region_levels(GLAND_REGIONS)),
        "glands": ("int32", INSTANCES),
    }
    return [
        (
            PyramidWriter(
                root.create_group(kind), SIZE, SIZE, dtype, method, block=BLOCK, chunk=BLOCK
            ),
            block_of(kind).astype(dtype),
        )
        for kind, (dtype, method) in kinds.items()
    ]


def peer(root: zarr.Group, pyramids: Pyramids, codec: Any) -> Callable[[], object]:
    """Writes block after block to arrays like those of `pyramids`, with another codec."""
    copies = [
        [
            root.create_array(
                f"{number}-{level}",
                shape=array.shape,
                chunks=array.chunks,
                dtype=array.dtype,
                fill_value=0,
                compressors=codec,
            )
            for level, array in enumerate(writer.arrays)
        ]
        for number, (writer, _) in enumerate(pyramids)
    ]
    where = places()

    def write() -> None:
        y, x = next(where)
        for arrays, (writer, labels) in zip(copies, pyramids, strict=True):
            levels = writer.method.levels(labels, writer.factors)
            for array, factor, small in zip(arrays, writer.factors, levels, strict=True):
                top, left = y // factor, x // factor
                array[top : top + len(small), left : left + small.shape[1]] = small

    return write


def places() -> Iterator[tuple[int, int]]:
    """Where block after block goes; from the beginning again once the slide is full."""
    for number in count():
        row, column = divmod(number % BLOCKS**2, BLOCKS)
        yield row * BLOCK, column * BLOCK


def through_writer(pyramids: Pyramids) -> Callable[[], object]:
    """Writes block after block our way."""
    where = places()

    def write() -> None:
        y, x = next(where)
        for writer, labels in pyramids:
            writer.write(y, x, labels)

    return write


def making_levels(pyramids: Pyramids) -> None:
    """What lies in both ways."""
    for writer, labels in pyramids:
        for _ in writer.method.levels(labels, writer.factors):
            pass


def megabytes(folder: Path) -> float:
    """Size of what lies below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    dense = BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pyramids = ours(zarr.create_group(folder / "ours"))
        tasks: dict[str, Callable[[], object]] = {
            "ours": through_writer(pyramids),
            "uncompressed": peer(zarr.create_group(folder / "uncompressed"), pyramids, None),
            "zstd 5": peer(zarr.create_group(folder / "zstd 5"), pyramids, dense),
            "making levels": lambda: making_levels(pyramids),
        }
        times = medians(tasks, options.rounds)
        for task, seconds in times.items():
            on_disk = "" if task == "making levels" else f", {megabytes(folder / task):.1f} MB"
            print(f"{task}: {seconds / times['ours']:.2f} of ours{on_disk}")
    return at_least(
        "speed of writing labels against no compression", times["uncompressed"] / times["ours"], BAR
    )


if __name__ == "__main__":
    sys.exit(main())
