"""The layers of an area that is being annotated, in place over its slide.

Beside `_layers` and `_slide_layers` the only file that changes the viewer's layers. An area has a
layer of regions and, where whole glands are outlined, one of glands above it, at the area's own
um/px: single arrays, because napari cannot paint on pyramids. A proposed lumen and the mark on a
violation are layers as well, which cannot be edited and go when they are no longer needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Layer, Points, Vectors

from ..export.layers import CLEAR, REGIONS_OPACITY, region_colors
from ..export.ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from ..regions import GLAND_REGIONS
from ._image_source import image_shape, placement_of
from ._layer_data import Placement
from ._layer_styles import rgba
from ._view import world_corners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..annotations.area import Area, AreaInfo

ROLE = "annotation"
FRAME_COLOR, FRAME_SHARE = "#009e73", 400
MARK_COLOR = "#d55e00"
MARK_MARGIN = 12
PROPOSAL_OPACITY = 0.6
BRUSH_UM = 10.0
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")


def add_area_layers(viewer: Any, image: Layer | None, area: Area) -> dict[str, Labels]:
    """Show an area's labels over its image, ready to be painted on.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Layer or None
        The slide's layer.
    area : Area

    Returns
    -------
    dict of str to napari.layers.Labels
        By role, ``"regions"`` and, for whole glands, ``"glands"``.
    """
    layers = {REGIONS: _regions_layer(image, area)}
    if area.info.way == "glands":
        layers[GLANDS] = _glands_layer(image, area)
    for layer in layers.values():
        layer.brush_size = max(1, round(BRUSH_UM / area.info.mpp))
        viewer.layers.append(layer)
    viewer.layers.selection.active = list(layers.values())[-1]
    return layers


def area_placement(image: Layer | None, info: AreaInfo) -> dict[str, Any]:
    """Layer attributes that put an area's pixels where they are on its slide."""
    placement = (
        Placement(info.slide, "", (info.slide_mpp,) * 2, units=("um", "um"))
        if image is None
        else placement_of(image)
    )
    return placement.attributes(info.window[:2], info.mpp / info.slide_mpp)


def fits(image: Layer, info: AreaInfo) -> bool:
    """Whether the area was drawn on an image of this size."""
    return image_shape(image) == tuple(info.slide_shape)


def place(layers: Sequence[Layer], image: Layer, info: AreaInfo) -> None:
    """Move layers to where their slide was moved."""
    for name, value in area_placement(image, info).items():
        for layer in layers:
            setattr(layer, name, value)


def rename(layers: Mapping[str, Layer], info: AreaInfo) -> None:
    """Name the layers after their area."""
    for role, layer in layers.items():
        layer.name = layer_name(info, role)


def layer_name(info: AreaInfo, role: str) -> str:
    """Of a layer of an area."""
    return f"{info.slide} · {info.name} {role}"


def remove_layers(viewer: Any, layers: Sequence[Layer]) -> None:
    """Take layers out of the viewer, where they still are in it."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def show_frames(viewer: Any, areas: Sequence[Labels], frames: Vectors | None) -> Vectors | None:
    """A line around each area, which else could not be seen while it is empty.

    Not a layer of shapes, which would be taken for rectangles that the user drew.

    Parameters
    ----------
    viewer : napari.Viewer
    areas : sequence of napari.layers.Labels
        A layer of each open area.
    frames : napari.layers.Vectors or None
        The layer before.
    """
    if not areas:
        remove_layers(viewer, [] if frames is None else [frames])
        return None
    lines = np.concatenate([_frame(layer) for layer in areas])
    if frames is not None and frames in viewer.layers:
        frames.data = lines
        return frames
    longest = float(np.linalg.norm(lines[:, 1], axis=1).max())
    fresh = Vectors(
        lines,
        name="annotation areas",
        vector_style="line",
        edge_color=FRAME_COLOR,
        edge_width=longest / FRAME_SHARE,
        opacity=1.0,
        units=areas[0].units,
        metadata={ATTRIBUTE: {"role": "annotation areas"}},
    )
    with _same_active(viewer):
        viewer.layers.insert(min(map(viewer.layers.index, areas)), fresh)
    return fresh


def _frame(layer: Labels) -> npt.NDArray[np.float64]:
    """The four sides of a layer in the world, each as where it starts and where it goes."""
    corners = world_corners(layer, (0, 0, *layer.data.shape))
    return np.stack([corners, np.roll(corners, -1, axis=0) - corners], axis=1)


def show_proposal(
    viewer: Any, regions: Labels, labels: npt.NDArray[np.uint8], proposal: Labels | None
) -> Labels:
    """Show a proposed lumen over an area's regions; gives its layer."""
    if proposal is not None and proposal in viewer.layers:
        proposal.data = labels
        return proposal
    layer = Labels(
        labels,
        name=f"{regions.name.removesuffix(REGIONS)}proposed lumen",
        metadata={ATTRIBUTE: {"role": "proposed lumen"}},
        opacity=PROPOSAL_OPACITY,
        colormap={None: CLEAR, 0: CLEAR, 3: rgba(GLAND_REGIONS.regions[2].color)},
        **_place_of(regions),
    )
    layer.editable = False
    with _same_active(viewer):
        viewer.layers.insert(viewer.layers.index(regions) + 1, layer)
    return layer


def show_mark(
    viewer: Any, layer: Labels, box: tuple[int, int, int, int], mark: Points | None
) -> Points:
    """A square around a box of an area's pixels; on top, and not in the way of painting."""
    y0, x0, y1, x1 = box
    centre = np.array([((y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2)])
    size = max(y1 - y0, x1 - x0) + MARK_MARGIN
    if mark is not None and mark in viewer.layers:
        mark.data, mark.size = centre, size
        return mark
    mark = Points(
        centre,
        name="violation",
        symbol="square",
        size=size,
        face_color="transparent",
        border_color=MARK_COLOR,
        border_width=0.08,
        metadata={ATTRIBUTE: {"role": "violation"}},
        **_place_of(layer),
    )
    mark.editable = False
    with _same_active(viewer):
        viewer.layers.append(mark)
    return mark


def set_labels(layer: Labels, labels: npt.NDArray[Any]) -> int:
    """Change a layer to `labels` as one step that Ctrl-Z undoes; gives the pixels changed."""
    changed = np.nonzero(np.asarray(layer.data) != labels)
    if changed[0].size:
        layer.data_setitem(changed, labels[changed].astype(layer.data.dtype))
        # What the mouse is over is not looked at again by itself.
        layer.refresh(extent=False)
    return int(changed[0].size)


def paint_with(viewer: Any, layer: Labels, label: int, mode: str) -> None:
    """Make a layer the one that is painted on, with a label and a tool."""
    layer.visible = True
    viewer.layers.selection.active = layer
    if mode != "erase":
        layer.selected_label = label
    layer.mode = mode


def next_free_label(labels: npt.NDArray[Any]) -> int:
    """One more than the largest."""
    return int(labels.max(initial=0)) + 1


def _regions_layer(image: Layer | None, area: Area) -> Labels:
    return Labels(
        np.array(area.regions, dtype=np.uint8),
        name=layer_name(area.info, REGIONS),
        metadata={ATTRIBUTE: {"role": ROLE}},
        opacity=REGIONS_OPACITY,
        colormap=region_colors(GLAND_REGIONS),
        **area_placement(image, area.info),
    )


def _glands_layer(image: Layer | None, area: Area) -> Labels:
    layer = Labels(
        np.array(area.glands, dtype=np.int32),
        name=layer_name(area.info, GLANDS),
        metadata={ATTRIBUTE: {"role": ROLE}},
        opacity=1.0,
        **area_placement(image, area.info),
    )
    # As thin as can be seen with the whole area in view: what is below is to be judged.
    layer.contour = int(np.clip(round(max(layer.data.shape) / 600), 1, 4))
    layer.selected_label = next_free_label(layer.data)
    return layer


def _place_of(layer: Layer) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in PLACE}


@contextmanager
def _same_active(viewer: Any) -> Iterator[None]:
    """What is added does not become the layer that is painted on."""
    active = viewer.layers.selection.active
    yield
    viewer.layers.selection.active = active
