"""A slide's result as napari's layer data, without napari: nothing is read before it is drawn.

Every draw reads the store anew, so that layers show what a job has written since. All layers
lie in the slide's own place, in micrometres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ..slides.formats import slide_name
from ..storage.ngff import TISSUE_COLOR, first_centre
from .layers import (
    CLEAR,
    GLANDS_OPACITY,
    REGIONS_OPACITY,
    UNCERTAINTY_STYLE,
    LayerData,
    gland_features,
    region_colors,
)
from .ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from .pyramid import level_factors
from .slide_images import TISSUE
from .slide_store import SlideStore, StoreLayout
from .uncertainty_map import UNCERTAINTY

SLIDE_REGIONS, SLIDE_GLANDS = "slide regions", "slide glands"
HEAT_MAP, TISSUE_MASK, OVERVIEW = "heat map", "tissue", "slide overview"
SLIDE_UNCERTAINTY = "slide uncertainty"
SLIDE_ROLES = (
    SLIDE_REGIONS,
    SLIDE_GLANDS,
    HEAT_MAP,
    SLIDE_UNCERTAINTY,
    TISSUE_MASK,
    OVERVIEW,
)
_VIEW_CHUNK = 1024
_KEPT_STEP = 8
_TISSUE_OPACITY = 0.3


def layers_from_store(path: Path | str, overview: bool = False) -> list[LayerData]:
    """The result of a slide as layers, from the lowest to the uppermost.

    Parameters
    ----------
    path : path
        Of a store, complete or not.
    overview : bool
        Whether the slide in small is among them, for where the slide itself is not shown.

    Returns
    -------
    list of tuple
        (levels, attributes, kind): the overview, tissue (hidden), the map of each class but the
        first (hidden), regions, the uncertainty (hidden; not in stores of earlier versions),
        glands. The role in the metadata is one of `SLIDE_ROLES`; a map
        has its class there, too. Levels are lazy arrays that read the store at every draw.

    Raises
    ------
    UnreadableImageError
        If it is none, or damaged.
    """
    store = SlideStore.open(path)
    maker = _LayerMaker(store)
    layers = [maker.overview()] if overview else []
    layers += [maker.tissue(), *maker.maps(), maker.regions(), maker.uncertainty(), maker.glands()]
    return [layer for layer in layers if layer is not None]


def slide_role(attributes: Mapping[str, Any]) -> str | None:
    """Which part of a slide's result a layer is, one of `SLIDE_ROLES`, else None."""
    record = (attributes.get("metadata") or {}).get(ATTRIBUTE)
    role = record.get("role") if isinstance(record, Mapping) else None
    return role if role in SLIDE_ROLES else None


def slide_placement(mpp: float, slide_mpp: float) -> dict[str, Any]:
    """Layer attributes for an image of `mpp` um/px with the corner of a slide of `slide_mpp`."""
    centre = first_centre(mpp, slide_mpp)
    return {"scale": (mpp, mpp), "translate": (centre, centre), "units": ("um", "um")}


class _LayerMaker:
    """Layers of one store."""

    def __init__(self, store: SlideStore) -> None:
        self._store = store
        self._layout: StoreLayout = store.layout
        self._name = str((store.record.get("slide") or {}).get("name") or slide_name(store.path))
        self._summary = store.summary or {}

    def overview(self) -> LayerData | None:
        found = self._store.overview()
        if found is None:
            return None
        levels, downsample = found
        shown = [np.moveaxis(_lazy(level), 0, -1) for level in _useful(levels)]
        mpp = self._layout.slide_mpp * downsample
        return self._layer(OVERVIEW, self._name, shown, mpp, "image", {"rgb": True})

    def tissue(self) -> LayerData | None:
        found = self._store.tissue()
        if found is None:
            return None
        rgb = (byte / 255 for byte in bytes.fromhex(TISSUE_COLOR[1:]))
        style = {
            "colormap": {None: CLEAR, 0: CLEAR, 1: (*rgb, 1.0)},
            "opacity": _TISSUE_OPACITY,
            "visible": False,
        }
        mpp = self._layout.slide_mpp * found[1]
        levels = [_lazy(level) for level in _useful(self._store.labels(TISSUE))]
        return self._layer(TISSUE_MASK, f"{self._name} tissue", levels, mpp, "labels", style)

    def maps(self) -> list[LayerData]:
        style = {
            "colormap": "magma",
            "contrast_limits": (0.0, 1.0),
            "blending": "additive",  # what was not analysed adds nothing
            "visible": False,
        }
        mpp = self._layout.mpp * self._layout.stride
        return [
            self._layer(
                HEAT_MAP, f"{self._name} {name}", _growing_levels(levels), mpp, "image", style, name
            )
            for name, levels in self._store.maps().items()
        ]

    def uncertainty(self) -> LayerData | None:
        found = self._store.uncertainty()
        if found is None:
            return None
        return self._layer(
            SLIDE_UNCERTAINTY,
            f"{self._name} {UNCERTAINTY}",
            _growing_levels(found),
            self._layout.mpp * self._layout.stride,
            "image",
            UNCERTAINTY_STYLE,
        )

    def regions(self) -> LayerData:
        style = {"colormap": region_colors(self._layout.hierarchy), "opacity": REGIONS_OPACITY}
        return self._labels(SLIDE_REGIONS, REGIONS, style)

    def glands(self) -> LayerData:
        features = gland_features(self._store.read_table())
        return self._labels(SLIDE_GLANDS, GLANDS, {"features": features, "opacity": GLANDS_OPACITY})

    def _labels(self, role: str, name: str, style: Mapping[str, Any]) -> LayerData:
        levels = _growing_levels(self._store.labels(name))
        return self._layer(role, f"{self._name} {name}", levels, self._layout.mpp, "labels", style)

    def _layer(
        self,
        role: str,
        name: str,
        levels: Sequence[Any],
        mpp: float,
        kind: str,
        style: Mapping[str, Any],
        shown_class: str | None = None,
    ) -> LayerData:
        record = {
            "role": role,
            "path": str(self._store.path),
            "image_id": "",
            "image_name": self._name,
            "window": (0, 0, *self._layout.slide_shape),
            "class": shown_class,
            "classes": list(self._layout.classes),
            "mpp": mpp,
            "slide_mpp": self._layout.slide_mpp,
            "hierarchy": self._layout.hierarchy.model_dump(mode="json"),
            "summary": self._summary,
        }
        attributes = {
            "name": name,
            "metadata": {ATTRIBUTE: record},
            "multiscale": len(levels) > 1,
            # napari would keep what dask has computed, and show it while newer is on disk.
            "cache": False,
            **slide_placement(mpp, self._layout.slide_mpp),
            **style,
        }
        return (list(levels) if len(levels) > 1 else levels[0]), attributes, kind


def _useful(levels: Sequence[Any]) -> Sequence[Any]:
    """The levels a viewer needs; OME-Zarr wants as many of all images, down to a few pixels."""
    return levels[: len(level_factors(*levels[0].shape[-2:]))]


def _growing_levels(arrays: Sequence[Any]) -> list[Any]:
    """Lazy levels of what is still being written.

    napari reads the lowest level of a pyramid once and keeps it: one is added that is too small
    to be looked at.
    """
    levels = [_lazy(array) for array in arrays]
    return levels if len(levels) == 1 else [*levels, levels[-1][::_KEPT_STEP, ::_KEPT_STEP]]


def _lazy(array: Any) -> Any:
    """An array of dask that reads from zarr whenever it is computed."""
    import dask.array as da

    chunks = (*array.shape[:-2], _VIEW_CHUNK, _VIEW_CHUNK)
    from_array: Any = da.from_array
    return from_array(array, chunks=chunks, name=f"slide-{uuid4().hex}", lock=False)
