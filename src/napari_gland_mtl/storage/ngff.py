"""The metadata of OME-Zarr (NGFF 0.5): axes, scales, label colours, as plain dictionaries.

Scale and translation say where pixel *centres* are, in micrometres. A pixel of a lower level
stands for a block of ``factor`` x ``factor`` pixels, so its centre lies ``(factor - 1) / 2``
pixels further in; without that translation lower levels would be shifted against the image.
The same holds for labels and maps that are coarser than the slide they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..regions import RegionHierarchy

NGFF_VERSION = "0.5"
TISSUE_COLOR = "#009e73"


def multiscale(
    name: str,
    axes: str,
    factors: Sequence[int],
    mpp: float | None,
    method: str,
    origin_mpp: float | None = None,
) -> dict[str, Any]:
    """The ``multiscales`` entry of a pyramid.

    Parameters
    ----------
    name : str
    axes : str
        ``"cyx"`` or ``"yx"``.
    factors : sequence of int
        Level-0 pixels per pixel, one for each level.
    mpp : float or None
        Micrometres per pixel of level 0; None for lengths in pixels.
    method : str
        How lower levels were made.
    origin_mpp : float, optional
        Micrometres per pixel of the image whose first pixel has its centre at 0 and shares its
        corner with this one; this image itself unless given.
    """
    side = mpp or 1.0
    return {
        "name": name,
        "axes": [_axis(axis, mpp is not None) for axis in axes],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": _per_axis(axes, side * factor, 1.0)},
                    {
                        "type": "translation",
                        "translation": _per_axis(
                            axes, first_centre(side * factor, origin_mpp or side), 0.0
                        ),
                    },
                ],
            }
            for level, factor in enumerate(factors)
        ],
        "type": method,
    }


def first_centre(mpp: float, origin_mpp: float) -> float:
    """Um from the centre of a pixel of `origin_mpp` to that of one of `mpp` at the same corner."""
    return (mpp - origin_mpp) / 2


def map_channel(name: str, highest: float = 1.0) -> dict[str, Any]:
    """How viewers are to show a map of shares: one channel from 0 to 1, or what stands for 1."""
    window = {"min": 0.0, "start": 0.0, "end": float(highest), "max": float(highest)}
    channel = {"label": name, "color": "FFFFFF", "active": True, "window": window}
    return {"channels": [channel], "rdefs": {"model": "greyscale"}}


def rgb_channels() -> dict[str, Any]:
    """How viewers are to show three channels of 8 bits: as red, green and blue."""
    window = {"min": 0, "start": 0, "end": 255, "max": 255}
    colors = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
    return {
        "channels": [
            {"label": label, "color": color, "active": True, "window": window}
            for label, color in colors.items()
        ],
        "rdefs": {"model": "color"},
    }


def region_labels(hierarchy: RegionHierarchy) -> dict[str, Any]:
    """The ``image-label`` entry of region labels: the colour and the name of each code."""
    codes = list(enumerate(hierarchy.regions, 1))
    return {
        "colors": [
            {"label-value": code, "rgba": [*bytes.fromhex(region.color[1:]), 255]}
            for code, region in codes
        ],
        "properties": [
            {"label-value": code, "region": region.name, "parent": region.parent}
            for code, region in codes
        ],
        **instance_labels(),
    }


def instance_labels() -> dict[str, Any]:
    """The ``image-label`` entry of labels that are numbers only."""
    return {"source": {"image": "../../"}}


def tissue_labels() -> dict[str, Any]:
    """The ``image-label`` entry of a tissue mask."""
    return {
        "colors": [{"label-value": 1, "rgba": [*bytes.fromhex(TISSUE_COLOR[1:]), 255]}],
        "properties": [{"label-value": 1, "region": "tissue"}],
        **instance_labels(),
    }


def _axis(axis: str, physical: bool) -> dict[str, str]:
    if axis == "c":
        return {"name": "c", "type": "channel"}
    return {"name": axis, "type": "space"} | ({"unit": "micrometer"} if physical else {})


def _per_axis(axes: str, spatial: float, other: float) -> list[float]:
    return [spatial if axis in "yx" else other for axis in axes]
