"""A pyramid of JPEG tiles for the benchmarks that read: smooth blobs with grain, no tissue.

How fast a file is read depends on its tiles and on how well they compress, not on what they
show. A small pattern is encoded once and repeated, so that any size is written in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from scipy.ndimage import zoom

TILE = 256
_BLOB, _PATTERN = 16, 4


def write_pyramid(path: Path, height: int, width: int, levels: bool = True) -> Path:
    """Write a TIFF of JPEG tiles at 0.25 um/px.

    Parameters
    ----------
    path : Path
    height, width : int
        Pixels; multiples of 256.
    levels : bool
        Whether halved levels follow, until one is no longer than 1024 px.
    """
    tiles = _encoded_tiles()
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        number = 0
        while number == 0 or (levels and max(height, width) > 1024):
            if number:
                height, width = -(-height // 2), -(-width // 2)
            writer.write(
                _repeated(tiles, -(-height // TILE), -(-width // TILE)),
                shape=(height, width, 3),
                dtype=np.uint8,
                photometric="ycbcr",
                subsampling=(2, 2),
                tile=(TILE, TILE),
                compression="jpeg",
                subfiletype=1 if number else 0,
                resolution=(40000.0 / 2**number, 40000.0 / 2**number),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            number += 1
    return path


def _repeated(tiles: list[list[bytes]], rows: int, columns: int) -> Iterator[bytes]:
    for row in range(rows):
        for column in range(columns):
            yield tiles[row % _PATTERN][column % _PATTERN]


def _encoded_tiles() -> list[list[bytes]]:
    random = np.random.default_rng(0)
    side = TILE * _PATTERN
    coarse = random.random((side // _BLOB, side // _BLOB, 3), dtype=np.float32)
    smooth = np.stack([zoom(coarse[..., c], _BLOB, order=1) for c in range(3)], axis=-1)
    image = np.clip(smooth * 120 + 120 + random.normal(0, 6, (side, side, 1)), 0, 255)
    tiles = image.astype(np.uint8).reshape(_PATTERN, TILE, _PATTERN, TILE, 3).swapaxes(1, 2)
    encode = imagecodecs.jpeg_encode
    return [
        [bytes(encode(tile, level=80, subsampling="420")) for tile in row]
        for row in np.ascontiguousarray(tiles)
    ]
