"""From a segmentation to layers over its image and back, without touching a viewer.

`export.layers` says what the two label layers of a result, *regions* and *glands*, hold, for
files and for this plugin alike. Here they are put in place over the image they were made from:
its scale, rotation, shear, translation, affine and units carry over, shifted to the part that
was segmented, and glands get the colours of their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..export.layers import (
    LayerData,
    gland_table,
    layers_from_segmentation,
)
from ..export.ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from ..export.summary import segmentation_from
from ..export.uncertainty_map import UNCERTAINTY
from ..segmentation import Segmentation
from ._layer_styles import glands_style, uncertainty_style

RESULT_ROLES = (REGIONS, UNCERTAINTY, GLANDS)
"""Layers of a result, from the lowest to the uppermost."""


@dataclass(frozen=True)
class Placement:
    """Where an image layer lies in the world, and which layer it is.

    Attributes
    ----------
    name, image_id : str
        The layer's name, and what recognises it after a change of name.
    scale, translate : tuple of float
        World units per pixel and of the first pixel's centre, (y, x).
    rotate, shear, affine : ndarray or None
        As in napari; None for none.
    units : tuple or None
        World units, (y, x).
    """

    name: str
    image_id: str
    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)
    rotate: npt.NDArray[np.float64] | None = None
    shear: npt.NDArray[np.float64] | None = None
    affine: npt.NDArray[np.float64] | None = None
    units: tuple[Any, ...] | None = None

    def attributes(self, offset: tuple[float, float], factor: float) -> dict[str, Any]:
        """Layer attributes of a result on this image.

        Parameters
        ----------
        offset : tuple of float
            (y, x) of the corner of the result in the image, in the image's pixels.
        factor : float
            Side of a pixel of the result in pixels of the image.
        """
        # Pixel centres are what napari places: half a pixel of each kind has to be minded.
        centre = np.asarray(offset, float) + 0.5 * factor - 0.5
        moved = np.asarray(self.translate) + self._linear() @ centre
        found = {
            "scale": tuple(float(s) * factor for s in self.scale),
            "translate": tuple(float(t) for t in moved),
            "rotate": self.rotate,
            "shear": self.shear,
            "affine": self.affine,
            "units": self.units,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _linear(self) -> npt.NDArray[np.float64]:
        from napari.utils.transforms import Affine

        transform = Affine(scale=self.scale, rotate=self.rotate, shear=self.shear)
        return np.asarray(transform.linear_matrix)


@dataclass(frozen=True)
class ResultRecord:
    """What the metadata of a result layer says.

    Attributes
    ----------
    role : str
        One of `RESULT_ROLES`.
    image_id, image_name : str
        The image layer it belongs to; the identity is empty in what comes from a file.
    fingerprint : int
        Checksum of the labels as they were computed: tells whether they were edited since.
        0 for what cannot be edited.
    window : tuple of int or None
        (y0, x0, y1, x1) of the result in the image, in the image's pixels.
    summary : dict
        JSON-able rest of the segmentation.
    """

    role: str
    image_id: str
    image_name: str
    fingerprint: int = 0
    window: tuple[int, int, int, int] | None = None
    summary: dict[str, Any] = field(default_factory=dict)


def record_of(attributes: Mapping[str, Any]) -> ResultRecord | None:
    """What the metadata of a layer says if it is a result of this plugin, else None."""
    found = (attributes.get("metadata") or {}).get(ATTRIBUTE)
    if not isinstance(found, Mapping) or found.get("role") not in RESULT_ROLES:
        return None
    known = {item.name for item in fields(ResultRecord)}
    try:
        return ResultRecord(**{name: found[name] for name in known & set(found)})
    except TypeError:  # somebody else's, or not complete
        return None


def to_layer_data(
    segmentation: Segmentation,
    placement: Placement,
    offset: tuple[float, float] = (0.0, 0.0),
    image_mpp: float | None = None,
    fingerprints: Mapping[str, int] | None = None,
) -> list[LayerData]:
    """Layers for one segmentation: regions, uncertainty where it is known (hidden), glands.

    Parameters
    ----------
    segmentation : Segmentation
    placement : Placement
        Of the image layer that was segmented.
    offset : tuple of float
        (y, x) of the result's corner in the image, in the image's pixels.
    image_mpp : float, optional
        um/px of the image, where the label images may have another.
    fingerprints : dict of str to int, optional
        Of the label images by their role, where they are known.

    Returns
    -------
    list of tuple
        Layer data tuples.
    """
    factor = 1.0 if image_mpp is None else segmentation.mpp / image_mpp
    placed = placement.attributes(offset, factor)
    owner = {
        "image_id": placement.image_id,
        "window": _window(segmentation, offset, factor),
    }
    data: list[LayerData] = []
    layers = layers_from_segmentation(segmentation, placement.name, fingerprints)
    for labels, attributes, kind in layers:
        record = {**attributes["metadata"][ATTRIBUTE], **owner}
        glands = record["role"] == GLANDS
        style = glands_style(segmentation.table, record["summary"]) if glands else {}
        if record["role"] == UNCERTAINTY:
            style = {**uncertainty_style(), "visible": False}
        attributes = {**attributes, **placed, **style, "metadata": {ATTRIBUTE: record}}
        data.append((labels, attributes, kind))
    return sorted(data, key=_height)


def as_computed(regions: LayerData, glands: LayerData) -> Segmentation:
    """The segmentation of two result layers, table and violations as before any correction.

    Parameters
    ----------
    regions, glands : tuple
        As `to_layer_data` makes them or ``layer.as_layer_data_tuple()`` gives them.

    Raises
    ------
    InvalidInputError
        If the layers are no results of this plugin, or do not belong together.
    """
    record = record_of(regions[1])
    if record is None:
        raise InvalidInputError("This layer is no result of “Segment glands”.")
    return segmentation_from(
        record.summary,
        np.asarray(regions[0]).astype(np.uint8, copy=False),
        np.asarray(glands[0]).astype(np.int32, copy=False),
        gland_table(glands[1].get("features")),
    )


def _height(item: LayerData) -> int:
    return RESULT_ROLES.index(item[1]["metadata"][ATTRIBUTE]["role"])


def _window(
    segmentation: Segmentation, offset: tuple[float, float], factor: float
) -> tuple[int, int, int, int]:
    y0, x0 = (round(value) for value in offset)
    height, width = (round(size * factor) for size in segmentation.regions.shape)
    return y0, x0, y0 + height, x0 + width
