"""What a stored area says of itself, for us and for every program that knows OME-Zarr.

All of it stands in the attributes of the area's group, one small file that is replaced in one
step: who reads it sees the area as it was before a save or after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics.components import instances_from_mask
from ..regions import GLAND_REGIONS
from ..storage.ngff import (
    NGFF_VERSION,
    instance_labels,
    multiscale,
    region_labels,
    rgb_channels,
)
from ..storage.zarr_group import read_group
from .area import Area, AreaInfo

ATTRIBUTE = "napari_gland_mtl"
KIND = "annotated area"
FORMAT_VERSION = 1
IMAGE, GLANDS, REGIONS = "0", "glands", "regions"


class NewerVersionError(ValueError):
    """An area that this version of the program does not understand."""


@dataclass(frozen=True)
class AreaState:
    """What the attributes of a stored area say.

    Attributes
    ----------
    info : AreaInfo
    revision : int
        1 for a new area, one more with every save.
    shape : (int, int)
        Height and width of its images.
    glands, annotated_px : int
        Number of glands (of connected ones where regions are painted), of pixels of which
        something was said.
    """

    info: AreaInfo
    revision: int
    shape: tuple[int, int]
    glands: int
    annotated_px: int


def state_of(area: Area, revision: int) -> AreaState:
    """What is to be said of an area that is stored."""
    height, width = area.regions.shape
    return AreaState(
        info=area.info,
        revision=revision,
        shape=(height, width),
        glands=count_glands(area),
        annotated_px=int(np.count_nonzero(area.annotated)),
    )


def count_glands(area: Area) -> int:
    """Number of glands: instances, or connected glands where regions are painted."""
    if area.info.way == "regions":
        return int(instances_from_mask(GLAND_REGIONS.is_gland(area.regions)).max(initial=0))
    highest = int(area.glands.max(initial=0))
    if highest > 4 * area.glands.size:  # too sparse for a table of all numbers
        return int(np.count_nonzero(np.unique(area.glands)))
    present = np.zeros(highest + 1, dtype=bool)
    present[area.glands] = True
    return int(np.count_nonzero(present[1:]))


def read_state(folder: Path) -> AreaState:
    """What the attributes of a stored area say.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError
        If there is none, it is damaged, or a newer version of this program wrote it.
    """
    ours = read_group(folder)[ATTRIBUTE]
    if ours["format_version"] != FORMAT_VERSION:
        raise NewerVersionError("a newer version of this program wrote it")
    height, width = (int(size) for size in ours["shape"])
    return AreaState(
        info=AreaInfo.model_validate(ours["info"]),
        revision=int(ours["revision"]),
        shape=(height, width),
        glands=int(ours["glands"]),
        annotated_px=int(ours["annotated_px"]),
    )


def attributes_of(state: AreaState) -> dict[str, Any]:
    """Attributes of the area's group."""
    ours = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "revision": state.revision,
        "shape": list(state.shape),
        "glands": state.glands,
        "annotated_px": state.annotated_px,
        "info": state.info.model_dump(mode="json"),
    }
    image = {
        "version": NGFF_VERSION,
        "multiscales": [_placed(state.info, "cyx", state.info.name, IMAGE)],
        "omero": rgb_channels(),
    }
    return {"ome": image, ATTRIBUTE: ours}


def label_attributes(state: AreaState, name: str) -> dict[str, Any]:
    """Attributes of a label image, which name the array that holds."""
    labels = instance_labels() if name == GLANDS else region_labels(GLAND_REGIONS)
    described = {
        "version": NGFF_VERSION,
        "multiscales": [_placed(state.info, "yx", name, str(state.revision))],
        "image-label": labels,
    }
    return {"ome": described}


def label_list() -> dict[str, Any]:
    """Attributes of the group of both label images."""
    return {"ome": {"version": NGFF_VERSION, "labels": [GLANDS, REGIONS]}}


def _placed(info: AreaInfo, axes: str, name: str, path: str) -> dict[str, Any]:
    """The ``multiscales`` entry of one array that lies over its slide."""
    entry = multiscale(name, axes, (1,), info.mpp, "none")
    (dataset,) = entry["datasets"]
    shift = dataset["coordinateTransformations"][1]
    shift["translation"] = [0.0] * (len(axes) - 2) + list(info.translation_um)
    dataset["path"] = path
    del entry["type"]
    return entry
