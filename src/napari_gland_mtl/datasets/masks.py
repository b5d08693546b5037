"""Read annotation masks and turn them into gland instances.

Masks come as whole-number label images of any depth, and in several guises: instances 1 .. n,
two values only, or grey pictures with blurred edges where black means outside and white means
gland. Which guise a whole data set has is found out in `mask_kinds`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..errors import UnreadableImageError
from ..metrics.components import instances_from_mask
from ..slides.file_errors import naming_file

MASK_ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
SPECK_PIXELS = 20
"""Annotated objects smaller than this are slips of the annotation tool, not glands."""

_LARGEST_LABEL = np.iinfo(np.int32).max
# A blurred edge has no flat steps; lossless copies of JPEG masks showed none at all.
_MOST_FLAT = 0.1


def read_mask(path: Path | str) -> npt.NDArray[np.int32]:
    """Read a label image (PNG, BMP, JPEG, TIFF; grey, palette, or colour with equal channels).

    Returns
    -------
    ndarray of int32, (Y, X)

    Raises
    ------
    UnreadableImageError
        If the file is no image, a colour image whose channels differ, or if it holds anything
        but whole numbers from 0.
    """
    path = Path(path)
    _check_exists(path)
    with naming_file(path):
        mask = _decode(path)
    if mask.ndim == 3 and mask.shape[2] in (2, 3, 4):
        grey = mask if mask.shape[2] == 2 else mask[..., :3]
        if mask.shape[2] > 2 and (grey != grey[..., :1]).any():
            raise UnreadableImageError(
                f"{path} is a colour picture; a label image has one number per pixel. "
                "Save it as a grey or palette image."
            )
        mask = grey[..., 0]
    if mask.ndim != 2:
        raise UnreadableImageError(
            f"{path} has shape {mask.shape}; a label image has two axes (Y, X)."
        )
    return _whole_numbers(mask, path)


def mask_size(path: Path | str) -> tuple[int, int]:
    """Height and width of a label image, from its header alone.

    Raises
    ------
    UnreadableImageError
        If the file is no image.
    """
    path = Path(path)
    _check_exists(path)
    with naming_file(path):
        if _is_tiff(path):
            import tifffile

            with tifffile.TiffFile(path) as file:
                height, width = file.series[0].shape[:2]
        else:
            from PIL import Image

            with _without_bomb_warning(), Image.open(path) as opened:
                width, height = opened.size
    return int(height), int(width)


def is_binary(mask: npt.NDArray[np.integer]) -> bool:
    """Whether a mask holds background and one other value, or is grey with blurred edges."""
    top = int(mask.max(initial=0))
    return not ((mask != 0) & (mask != top)).any() or is_blurred_binary(mask)


def is_blurred_binary(mask: npt.NDArray[np.integer]) -> bool:
    """Whether a mask is a black and white picture with grey edges (resized, or once a JPEG).

    Of 8 bits and brighter than 127 somewhere. In an instance mask of so many glands the middle
    values fill areas; along a blurred edge hardly a pixel equals both its right and its lower
    neighbour.
    """
    top = int(mask.max(initial=0))
    if not 127 < top <= 255:
        return False
    middle = (mask > top // 8) & (mask < top - top // 8)
    count = np.count_nonzero(middle)
    if not count:
        return len(np.unique(mask)) > 4
    corner = mask[:-1, :-1]
    flat = middle[:-1, :-1] & (corner == mask[1:, :-1]) & (corner == mask[:-1, 1:])
    return bool(np.count_nonzero(flat) < _MOST_FLAT * count)


def instances_of(mask: npt.NDArray[np.integer], level: int | None = None) -> npt.NDArray[np.int32]:
    """Gland instances of a mask: its own labels, or 8-connected pieces of a binary one.

    Parameters
    ----------
    mask : ndarray of integers, (Y, X)
        Instances 1 .. n; or two values, or grey 0 .. 255 with blurred edges, where a pixel
        above half of the largest value is gland.
    level : int, optional
        The mask is known to be binary, and what is above `level` is gland.

    Returns
    -------
    ndarray of int32, (Y, X)
    """
    if level is None:
        if not is_binary(mask):
            return np.asarray(mask, dtype=np.int32)
        level = int(mask.max(initial=0)) // 2
    instances: npt.NDArray[np.int32] = instances_from_mask(mask > level)
    return instances


def without_specks(
    instances: npt.NDArray[np.int32], least: int = SPECK_PIXELS
) -> npt.NDArray[np.int32]:
    """Keep the largest 8-connected piece of each gland, and no gland under `least` pixels."""
    kept = np.zeros_like(instances)
    for label, box in enumerate(ndimage.find_objects(instances), 1):
        if box is None:
            continue
        pieces = instances_from_mask(instances[box] == label)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        if sizes.max() >= least:
            kept[box][pieces == sizes.argmax()] = label
    return kept


def disk(radius: float) -> npt.NDArray[np.bool_]:
    """Footprint of the pixels whose centres lie within `radius` pixels of the middle one."""
    reach = int(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    within: npt.NDArray[np.bool_] = y * y + x * x <= radius * radius
    return within


def seams(instances: npt.NDArray[np.integer], radius: float = 1.5) -> npt.NDArray[np.bool_]:
    """Gland pixels within `radius` pixels of another gland.

    Region labels cannot tell two touching glands apart; trained with a seam of background
    between them, the network learns to leave one, and the wider the seam, the surer.

    Parameters
    ----------
    instances : ndarray of integers, (Y, X)
    radius : float
        In pixels, centre to centre; 1.5 is the eight neighbours.
    """
    labels = np.asarray(instances, dtype=np.int32)
    around = disk(radius)
    none = np.iinfo(np.int32).max
    largest = ndimage.maximum_filter(labels, footprint=around)
    smallest = ndimage.minimum_filter(np.where(labels > 0, labels, none), footprint=around)
    seam: npt.NDArray[np.bool_] = (labels > 0) & (largest != smallest)
    return seam


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise UnreadableImageError(f"There is no file {path}. Check its name.")


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _without_bomb_warning() -> warnings.catch_warnings[None]:
    """Large masks are no attack."""
    from PIL import Image

    return warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning)


def _decode(path: Path) -> npt.NDArray[np.generic]:
    if _is_tiff(path):
        import tifffile

        return np.asarray(tifffile.imread(path))
    from PIL import Image

    with _without_bomb_warning(), Image.open(path) as opened:
        return np.asarray(opened)


def _whole_numbers(mask: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.int32]:
    if mask.dtype.kind == "f" and np.array_equal(mask, np.rint(mask)):
        mask = mask.astype(np.float64)
    elif mask.dtype.kind not in "uib":
        raise UnreadableImageError(
            f"{path} holds {mask.dtype} values; a label image holds whole numbers."
        )
    if mask.size and (float(mask.min()) < 0 or float(mask.max()) > _LARGEST_LABEL):
        raise UnreadableImageError(
            f"{path} holds values from {mask.min()} to {mask.max()}; labels go from 0 to "
            f"{_LARGEST_LABEL}."
        )
    return mask.astype(np.int32)
