"""Bring images and probability maps from one um/px to another, window by window.

The value of an output pixel depends on nothing but its own position: linear interpolation
when enlarging, the same triangle widened by the scale (antialiasing) when reducing, clipped
and renormalised at the borders of the image. So a tile resampled on its own equals the same
part of the whole image resampled at once, which is what makes tiled inference seamless.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..errors import InvalidInputError

_BAND_ROWS = 32


def resampled_size(size: int, scale: float) -> int:
    """Pixels along one axis after resampling: ``ceil(size / scale)``, at least 1.

    `scale` is input pixels per output pixel (2 halves the image).
    """
    return max(1, math.ceil(size / scale - 1e-6))


def source_window(start: int, stop: int, size: int, scale: float) -> tuple[int, int]:
    """Input pixels that output pixels ``start .. stop - 1`` depend on, as (start, stop).

    Parameters
    ----------
    start, stop : int
        Output pixels along one axis.
    size : int
        Input pixels along that axis.
    scale : float
        Input pixels per output pixel.
    """
    reach = max(scale, 1.0)
    # Centres outside the image stand on its border, as in `_weights`.
    first = math.floor(min((start + 0.5) * scale - 0.5, size - 1) - reach)
    last = math.ceil(max((stop - 0.5) * scale - 0.5, 0) + reach)
    first = min(max(first, 0), size - 1)
    return first, max(min(last + 1, size), first + 1)


def _weights(start: int, stop: int, size: int, scale: float) -> sparse.csr_array:
    """Interpolation weights (stop - start, source window), rows summing to one."""
    first, last = source_window(start, stop, size, scale)
    reach = max(scale, 1.0)
    # Past the last pixel's centre there is nothing to interpolate with: stay on the border.
    centres = np.clip((np.arange(start, stop) + 0.5) * scale - 0.5, 0, size - 1)
    taps = np.floor(centres - reach).astype(int)[:, None] + np.arange(2 * math.ceil(reach) + 2)
    values = np.maximum(0.0, 1.0 - np.abs(taps - centres[:, None]) / reach)
    values[(taps < first) | (taps >= last)] = 0
    values /= values.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(stop - start)[:, None], taps.shape)
    kept = values > 0
    entries = (values[kept].astype(np.float32), (rows[kept], taps[kept] - first))
    return sparse.csr_array(entries, shape=(stop - start, last - first))


def resample_window(
    source: npt.NDArray[np.generic],
    scale: float | tuple[float, float],
    size: tuple[int, int],
    window: tuple[int, int, int, int],
) -> npt.NDArray[np.generic]:
    """Resample one window of a larger image.

    Parameters
    ----------
    source : ndarray, (y, x) or (y, x, C)
        The input pixels given by :func:`source_window` for both axes of `window`.
    scale : float or (float, float)
        Input pixels per output pixel, > 0; along y and along x where they differ.
    size : (int, int)
        Height and width of the whole input image.
    window : (int, int, int, int)
        Output pixels ``y0, x0, y1, x1`` (y1 and x1 excluded).

    Returns
    -------
    ndarray, (y1 - y0, x1 - x0) or with C channels
        Of the type of `source`; whole-number types are rounded.

    Raises
    ------
    InvalidInputError
        If `source` is not the window's source.
    """
    y0, x0, y1, x1 = window
    scale_y, scale_x = scale if isinstance(scale, tuple) else (scale, scale)
    rows = _weights(y0, y1, size[0], scale_y)
    columns = _weights(x0, x1, size[1], scale_x)
    if source.shape[:2] != (rows.shape[1], columns.shape[1]):
        raise InvalidInputError(
            f"The window needs {(rows.shape[1], columns.shape[1])} input pixels, "
            f"got {source.shape[:2]}."
        )
    if scale_y == scale_x == 1:
        top, left = source_window(y0, y1, size[0], 1)[0], source_window(x0, x1, size[1], 1)[0]
        return source[y0 - top : y1 - top, x0 - left : x1 - left].copy()
    result = np.empty((y1 - y0, x1 - x0, *source.shape[2:]), source.dtype)
    for start in range(0, y1 - y0, _BAND_ROWS):
        band = rows[start : start + _BAND_ROWS]
        first, last = int(band.indices.min()), int(band.indices.max()) + 1
        result[start : start + _BAND_ROWS] = _resample_band(
            source[first:last], band[:, first:last], columns
        )
    return result


def _resample_band(
    source: npt.NDArray[np.generic], rows: sparse.csr_array, columns: sparse.csr_array
) -> npt.NDArray[np.floating]:
    """A band of output rows, few enough for the processor's cache to hold what is between."""
    height, width = rows.shape[0], columns.shape[0]
    halfway = rows @ source.reshape(source.shape[0], -1).astype(np.float32)
    turned = halfway.reshape(height, source.shape[1], -1).transpose(1, 0, 2)
    flat = columns @ np.ascontiguousarray(turned).reshape(source.shape[1], -1)
    if source.dtype.kind in "ui":
        np.rint(flat, out=flat)
    band: npt.NDArray[np.floating] = flat.reshape(width, height, *source.shape[2:])
    return band.swapaxes(0, 1)


def resample(
    image: npt.NDArray[np.generic], scale: float, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.generic]:
    """Resample a whole image.

    Parameters
    ----------
    image : ndarray, (Y, X) or (Y, X, C)
    scale : float
        Input pixels per output pixel, > 0: 2 halves the image, 0.5 doubles it.
    shape : (int, int), optional
        Output height and width; by default what :func:`resampled_size` gives.

    Examples
    --------
    >>> resample(np.arange(8.0).reshape(2, 4), 2.0).shape
    (1, 2)
    """
    if not scale > 0:
        raise InvalidInputError(f"The scale must be above 0, got {scale}.")
    height, width = image.shape[:2]
    rows, columns = shape or (resampled_size(height, scale), resampled_size(width, scale))
    (y0, y1), (x0, x1) = (
        source_window(0, rows, height, scale),
        source_window(0, columns, width, scale),
    )
    return resample_window(image[y0:y1, x0:x1], scale, (height, width), (0, 0, rows, columns))


def resample_labels(
    labels: npt.NDArray[np.integer], scale: float, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.integer]:
    """Resample a label image: every output pixel takes the label at its centre."""
    height, width = labels.shape
    rows, columns = shape or (resampled_size(height, scale), resampled_size(width, scale))
    y = np.clip(((np.arange(rows) + 0.5) * scale).astype(int), 0, height - 1)
    x = np.clip(((np.arange(columns) + 0.5) * scale).astype(int), 0, width - 1)
    return labels[np.ix_(y, x)]
