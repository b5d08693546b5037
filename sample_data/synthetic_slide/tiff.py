"""Write a synthetic slide as a scanner would: tiles of JPEG, level by level, as one TIFF.

Tiles are computed and compressed a few at a time, so that memory does not grow with the slide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from .slide import SCAN_TILE, SyntheticSlide

_SUBSAMPLING = (2, 1)
_THUMBNAIL = 768
_STRIP = 256
_CLASSIC_BYTES = 2**31
_UM_PER_CM = 1e4


def write_tiff(
    path: Path, slide: SyntheticSlide, *, aperio: bool = True, quality: int = 80, workers: int = 2
) -> None:
    """Write all levels of a slide.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    slide : SyntheticSlide
        Tiles that were not scanned stay empty in the file.
    aperio : bool
        With the description and thumbnail of an SVS; otherwise a TIFF with its levels as
        sub-images and the pixel size in its resolution tags.
    quality : int
        Of the JPEG, 1 .. 100.
    workers : int
        Threads that compress.
    """
    bigtiff = slide.shape[0] * slide.shape[1] * 3 > _CLASSIC_BYTES
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tif, ThreadPoolExecutor(workers) as pool:
        for level in range(len(slide.levels)):
            options = _aperio(slide, level, quality) if aperio else _generic(slide, level)
            tif.write(
                _in_order(pool, _jpeg_tiles(slide, level, quality), 4 * workers),
                **_layout(slide, level, quality),
                **options,
            )
            if aperio and level == 0:
                tif.write(_thumbnail(slide), **_jpeg(quality), rowsperstrip=16, metadata=None)


def write_truth(path: Path, slide: SyntheticSlide, what: str) -> None:
    """Write the true ``"regions"`` (uint8) or ``"glands"`` (uint32) as a tiled TIFF.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    slide : SyntheticSlide
    what : {"regions", "glands"}
    """
    dtype = np.dtype(np.uint8 if what == "regions" else np.uint32)

    def tiles() -> Iterator[npt.NDArray[Any]]:
        for row, column in _tile_indices(slide.shape):
            window = slide.scan_tile(0, row, column)
            truth = slide.regions(window) if what == "regions" else slide.glands(window)
            yield _padded(np.asarray(truth, dtype))

    mpp = slide.levels[0].mpp or 1.0
    with tifffile.TiffWriter(path, bigtiff=slide.shape[0] * slide.shape[1] > _CLASSIC_BYTES) as tif:
        tif.write(
            tiles(),
            shape=slide.shape,
            dtype=dtype,
            tile=(SCAN_TILE, SCAN_TILE),
            compression="zlib",
            photometric="minisblack",
            resolution=(_UM_PER_CM / mpp, _UM_PER_CM / mpp),
            resolutionunit="CENTIMETER",
            metadata=None,
        )


def _layout(slide: SyntheticSlide, level: int, quality: int) -> dict[str, Any]:
    size = slide.levels[level]
    return {
        "shape": (size.height, size.width, 3),
        "dtype": np.uint8,
        "tile": (SCAN_TILE, SCAN_TILE),
        "metadata": None,
        **_jpeg(quality),
    }


def _jpeg(quality: int) -> dict[str, Any]:
    return {
        "photometric": "ycbcr",
        "subsampling": _SUBSAMPLING,
        "compression": "jpeg",
        "compressionargs": {"level": quality},
    }


def _aperio(slide: SyntheticSlide, level: int, quality: int) -> dict[str, Any]:
    (height, width), size = slide.shape, slide.levels[level]
    text = f"Aperio Image Library v12.0\r\n{width}x{height} ({SCAN_TILE}x{SCAN_TILE}) "
    if level:
        text += f"-> {size.width}x{size.height} "
    text += f"JPEG/RGB Q={quality}"
    mpp = slide.levels[0].mpp or 1.0
    return {"description": f"{text}|AppMag = {10 / mpp:.3g}|MPP = {mpp:.6g}"}


def _generic(slide: SyntheticSlide, level: int) -> dict[str, Any]:
    mpp = slide.levels[level].mpp or 1.0
    kind: dict[str, Any] = {"subfiletype": 1} if level else {"subifds": len(slide.levels) - 1}
    return {
        "resolution": (_UM_PER_CM / mpp, _UM_PER_CM / mpp),
        "resolutionunit": "CENTIMETER",
        **kind,
    }


def _thumbnail(slide: SyntheticSlide) -> npt.NDArray[np.uint8]:
    """The coarsest level, thinned out."""
    last = len(slide.levels) - 1
    height, width = slide.levels[last].height, slide.levels[last].width
    step = -(-max(height, width) // _THUMBNAIL)
    rows = max(1, _STRIP // step) * step
    strips = [
        slide.read_region(last, y, 0, min(rows, height - y), width)[::step, ::step]
        for y in range(0, height, rows)
    ]
    return np.concatenate(strips)


def _jpeg_tiles(slide: SyntheticSlide, level: int, quality: int) -> Iterator[Callable[[], bytes]]:
    """For each tile what computes and compresses it; no bytes for one that was not scanned."""
    import imagecodecs

    def compressed(row: int, column: int) -> bytes:
        if not slide.is_scanned(level, row, column):
            return b""
        y0, x0, y1, x1 = slide.scan_tile(level, row, column)
        tile = _padded(slide.read_region(level, y0, x0, y1 - y0, x1 - x0))
        return bytes(
            imagecodecs.jpeg8_encode(
                tile,
                level=quality,
                colorspace="RGB",
                outcolorspace="YCBCR",
                subsampling=_SUBSAMPLING,
            )
        )

    size = slide.levels[level]
    for row, column in _tile_indices((size.height, size.width)):
        yield partial(compressed, row, column)


def _in_order(
    pool: ThreadPoolExecutor, tasks: Iterator[Callable[[], bytes]], ahead: int
) -> Iterator[bytes]:
    """Results in the order of the tasks, of which a few are under way."""
    waiting: deque[Future[bytes]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _tile_indices(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for row in range(-(-shape[0] // SCAN_TILE)):
        for column in range(-(-shape[1] // SCAN_TILE)):
            yield row, column


def _padded(tile: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Tiles of a TIFF are all of one size: repeat the last row and column."""
    missing = [(0, SCAN_TILE - size) for size in tile.shape[:2]]
    return np.pad(tile, missing + [(0, 0)] * (tile.ndim - 2), mode="edge")
