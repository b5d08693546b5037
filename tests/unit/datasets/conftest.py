"""Small made-up data sets on disk."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

FOUND_MPP = 1.5


def _write(path, array, mpp=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        size = {} if mpp is None else {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
        tifffile.imwrite(path, array, metadata=size or None, ome=bool(size))
    else:
        Image.fromarray(array).save(path)
    return path


@pytest.fixture
def write():
    """Write an array as the image that the ending says."""
    return _write


@pytest.fixture
def discs():
    """Instance mask of discs: (height, width), then (y, x, radius) of each."""

    def draw(shape, *glands):
        y, x = np.ogrid[: shape[0], : shape[1]]
        mask = np.zeros(shape, dtype=np.uint8)
        for label, (cy, cx, radius) in enumerate(glands, 1):
            mask[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = label
        return mask

    return draw


@pytest.fixture
def stained():
    """Image of a mask: pink outside, purple glands whose inner 60 % of radius is white."""

    def paint(mask):
        from scipy import ndimage

        image = np.full((*mask.shape, 3), (230, 150, 190), dtype=np.uint8)
        image[mask > 0] = (110, 60, 150)
        depth = ndimage.distance_transform_edt(mask > 0)
        for label in range(1, int(mask.max()) + 1):
            own = mask == label
            image[own & (depth > 0.4 * depth[own].max(initial=0))] = (245, 240, 245)
        return image

    return paint


@pytest.fixture
def folder(tmp_path, discs, stained):
    """A folder of three images with instance masks, as TIFFs that know their pixel size."""
    root = tmp_path / "set"
    for number, names in enumerate(("a", "b", "c")):
        mask = discs((60, 70), (20, 20, 14), (40 - number, 50, 13))
        _write(root / "images" / f"{names}.tif", stained(mask), FOUND_MPP)
        _write(root / "masks" / f"{names}.png", mask)
    return root
