"""JPEG 2000 tiles whose colours are stored at half the resolution of their brightness.

Aperio's slides are mostly of this kind. imagecodecs takes the smaller planes for full ones
and gives wrong colours without a word (version 2026.3); Pillow enlarges them, and turns what
is stored that way into RGB.
"""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
from PIL import Image

from .rgb import RGB, rgb_from_ycbcr

_SIZE_MARKER = b"\xff\x51"
_COMPONENTS_AT = 38
"""Bytes from the size marker to the number of components, of three bytes each."""


def decode_jpeg2000(data: bytes, ycbcr: bool) -> RGB:
    """Decode a tile of three channels of 8 bits.

    Parameters
    ----------
    data : bytes
        A codestream or a JP2 file.
    ycbcr : bool
        Whether it holds YCbCr without saying so, as Aperio's do.

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
        RGB.

    Raises
    ------
    ValueError
        If it is damaged or of another kind.
    """
    if is_subsampled(data):
        with Image.open(io.BytesIO(data), formats=("JPEG2000",)) as image:
            return np.array(image.convert("RGB"))
    samples = imagecodecs.jpeg2k_decode(data)
    if samples.ndim != 3 or samples.shape[2] != 3 or samples.dtype != np.uint8:
        raise ValueError(f"a tile has shape {samples.shape} and type {samples.dtype}")
    return rgb_from_ycbcr(samples) if ycbcr else samples


def is_subsampled(data: bytes) -> bool:
    """Whether some component has fewer pixels than the first."""
    start = data.find(_SIZE_MARKER)
    if start < 0 or start + _COMPONENTS_AT + 2 > len(data):
        return False
    (count,) = struct.unpack_from(">H", data, start + _COMPONENTS_AT)
    steps = [data[start + _COMPONENTS_AT + 3 + 3 * i :][:2] for i in range(min(count, 4))]
    return any(step != steps[0] for step in steps)
