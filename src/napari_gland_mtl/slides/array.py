"""An array that is already in memory (a napari layer, a zarr or dask array) as a slide.

So that what segments files segments the layers of a viewer too, whatever wrote them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnsupportedImageError
from .pixel_size import PixelSize
from .rgb import RGB, check_full_range, eight_bits, rgb_from_samples
from .slide import Slide

_PROBES = 3
_PROBE_SIDE = 256


class ArraySlide(Slide):
    """Arrays (Y, X), (Y, X, 1), (Y, X, 3) or (Y, X, 4), one per level, the largest first."""

    def __init__(self, arrays: Sequence[Any], pixel_size: PixelSize, name: str) -> None:
        super().__init__(
            name=name,
            format="array",
            shapes=[(int(array.shape[0]), int(array.shape[1])) for array in arrays],
            pixel_size=pixel_size,
        )
        self._arrays = tuple(arrays)

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        window = np.asarray(self._arrays[level][y : y + height, x : x + width])
        return rgb_from_samples(_samples(window))

    def _lazy_level(self, level: int) -> Any:
        array = self._arrays[level]
        if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3:
            return array
        return super()._lazy_level(level)


def slide_from_array(array: Any, mpp: float | None = None, name: str = "image") -> Slide:
    """Wrap an array as a slide.

    Parameters
    ----------
    array : array or sequence of arrays
        (Y, X), (Y, X, 1), (Y, X, 3) or (Y, X, 4) of numpy, dask or zarr; a list or tuple of
        them is a pyramid, the largest first. uint8; bool; uint16, of which the upper eight
        bits are kept; or floats within 0..1. RGBA is put on white.
    mpp : float, optional
        Micrometres per pixel of the (largest) array.
    name : str
        Names the outputs.

    Returns
    -------
    Slide

    Raises
    ------
    InvalidInputError
        For other shapes and types, an empty array, 16 bits of which only the lower are used,
        or an impossible `mpp`.
    """
    arrays = list(array) if _is_pyramid(array) else [array]
    for level in arrays:
        _check(level)
    if arrays[-1].dtype == np.uint16:
        _probe_range(arrays[-1])
    note = "No pixel size was given with the array."
    slide = ArraySlide(arrays, PixelSize(None, note), name)
    if mpp is not None:
        slide.set_mpp(mpp)
    return slide


def _is_pyramid(array: Any) -> bool:
    # A viewer's multiscale data is a sequence of arrays that has a shape of its own.
    return isinstance(array, Sequence) and len(array) > 0 and hasattr(array[0], "dtype")


def _check(array: Any) -> None:
    shape = tuple(getattr(array, "shape", ()))
    image = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))
    if not image or 0 in shape:
        raise InvalidInputError(
            f"An image to segment has shape (Y, X, 3), or 1 or 4 channels; this one has {shape}."
        )
    if not (array.dtype.kind in "bf" or array.dtype in (np.uint8, np.uint16)):
        raise InvalidInputError(
            f"An image to segment has 8 bits per channel; this one is of type {array.dtype}. "
            "Convert it to uint8."
        )


def _probe_range(array: Any) -> None:
    """Refuse 12-bit data in disguise, as the files' readers do, by a look at a few windows."""
    height, width = array.shape[:2]
    windows = [
        np.asarray(array[y : y + _PROBE_SIDE, x : x + _PROBE_SIDE])
        for y in np.unique(np.linspace(0, max(height - _PROBE_SIDE, 0), _PROBES).astype(int))
        for x in np.unique(np.linspace(0, max(width - _PROBE_SIDE, 0), _PROBES).astype(int))
    ]
    try:
        check_full_range(max(int(window.max()) for window in windows))
    except UnsupportedImageError as error:
        raise InvalidInputError(f"The image {error}") from error


def _samples(window: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """As (Y, X, C) of uint8."""
    if window.ndim == 2:
        window = window[:, :, np.newaxis]
    if window.dtype.kind != "f":
        return eight_bits(window, 8 * window.dtype.itemsize)
    # The comparison is written so that NaN fails it.
    if not (window.min() >= 0.0 and window.max() <= 1.0):
        raise InvalidInputError(
            f"An image of type {window.dtype} must lie within 0 and 1; this one has values from "
            f"{window.min():g} to {window.max():g}. Convert it to uint8."
        )
    return np.rint(window * 255.0).astype(np.uint8)
