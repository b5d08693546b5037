"""The viewer's layers: which belong to a result, and what they say of it.

An image has at most one layer of each role of a result (regions, glands, uncertainty), recognised
by its metadata, not by name. `_result_showing` puts them there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from ..errors import InvalidInputError
from ..export.layers import LayerData, gland_table
from ..export.ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from ..export.slide_layers import HEAT_MAP, SLIDE_UNCERTAINTY, slide_role
from ..export.uncertainty_map import UNCERTAINTY
from ..segmentation import Segmentation
from ._image_source import image_shape, placement_of
from ._layer_data import ResultRecord, as_computed, record_of
from ._layer_styles import contour_width, glands_style, uncertainty_style

MAPS = (HEAT_MAP, SLIDE_UNCERTAINTY)
SHAPES_COLOR = "#009e73"


class LayerWatch:
    """Calls back when layers are added, removed, reordered, renamed or made active.

    Parameters
    ----------
    viewer : napari.Viewer
    on_list, on_active : callable
        Called without arguments; bound methods are held weakly, as napari does.
    """

    def __init__(
        self, viewer: Any, on_list: Callable[..., None], on_active: Callable[..., None]
    ) -> None:
        events = viewer.layers.events
        self._connections = [
            (emitter, on_list)
            for emitter in (events.inserted, events.removed, events.reordered, events.renamed)
        ]
        self._connections.append((viewer.layers.selection.events.active, on_active))
        for emitter, callback in self._connections:
            emitter.connect(callback)

    def disconnect(self) -> None:
        """Stop calling back."""
        for emitter, callback in self._connections:
            emitter.disconnect(callback)
        self._connections = []


def image_layers(viewer: Any) -> list[Image]:
    """Layers that may be segmented, the topmost first, as in napari's list."""
    images = [layer for layer in reversed(viewer.layers) if isinstance(layer, Image)]
    return [layer for layer in images if not _is_map(layer)]


def active_image(viewer: Any) -> Image | None:
    """The image layer the user has selected, if it is one."""
    active = viewer.layers.selection.active
    return active if isinstance(active, Image) else None


def is_open(viewer: Any, layer: Layer | None) -> bool:
    """Whether the layer is still in the viewer."""
    return layer is not None and layer in viewer.layers


def result_layers(viewer: Any, image: Layer) -> dict[str, Layer]:
    """The result layers of an image by their role, one of `RESULT_ROLES`."""
    found: dict[str, Layer] = {}
    for layer in viewer.layers:
        record = _record(layer)
        if record is not None and record.image_id == str(image.unique_id):
            found[record.role] = layer
    return found


def result_data(viewer: Any, image: Layer) -> tuple[LayerData, ...]:
    """The result of an image as it is now, for another thread: regions, glands, uncertainty.

    Raises
    ------
    InvalidInputError
        If there is none, or only one of the two layers is left.
    """
    found = result_layers(viewer, image)
    if not found:
        raise InvalidInputError(f"There is no result on “{image.name}” yet. Press Run first.")
    missing = [role for role in (REGIONS, GLANDS) if role not in found]
    if missing:
        raise InvalidInputError(
            f"The {missing[0]} layer of “{image.name}” was removed. Run the segmentation again."
        )
    labels = _copied(found[REGIONS]), _copied(found[GLANDS])
    return (*labels, *(found[role].as_layer_data_tuple() for role in found if role == UNCERTAINTY))


def shown_segmentation(viewer: Any, image: Layer) -> Segmentation | None:
    """As computed, with its table, from a complete pair of result layers; else None."""
    found = result_layers(viewer, image)
    if not {REGIONS, GLANDS} <= set(found):
        return None
    pair = [found[role].as_layer_data_tuple() for role in (REGIONS, GLANDS)]
    try:
        return as_computed(*pair)
    except InvalidInputError:
        return None


def result_offset(viewer: Any, image: Layer) -> tuple[int, int]:
    """(y, x) in the image's pixels at which its result begins."""
    record = _record(result_layers(viewer, image)[REGIONS])
    return (0, 0) if record is None or record.window is None else record.window[:2]


def adopt_opened_results(viewer: Any) -> None:
    """Make results that came from a file those of the image that came with them.

    They get the look that a layer data tuple cannot carry, and a new run will replace them.
    """
    for layer in list(viewer.layers):
        record = _record(layer)
        if record is None or record.image_id:
            continue
        for image in image_layers(viewer):
            if belong_together(image, layer, layer.metadata[ATTRIBUTE]):
                found = {**layer.metadata[ATTRIBUTE], "image_id": str(image.unique_id)}
                layer.metadata = {**layer.metadata, ATTRIBUTE: found}
                _dress(layer)
                break


def belong_together(image: Layer, result: Layer, record: Mapping[str, Any]) -> bool:
    """Whether an image and a layer of a result were opened from the same store."""
    paths = image.source.path, result.source.path
    if None not in paths:
        return bool(paths[0] == paths[1])
    return record.get("image_name") == image.name


def _is_map(layer: Layer) -> bool:
    """Whether an image layer is a result, not tissue."""
    attributes = {"metadata": layer.metadata}
    return _record(layer) is not None or slide_role(attributes) in MAPS


def _dress(layer: Layer) -> None:
    """Give a layer from a file the look it has after a run."""
    record = _record(layer)
    if record is not None and record.role == UNCERTAINTY:
        for name, value in uncertainty_style().items():
            setattr(layer, name, value)
    if record is not None and record.role == GLANDS:
        for name, value in glands_style(gland_table(layer.features), record.summary).items():
            setattr(layer, name, value)
        layer.contour = contour_width(layer.data.shape)


def activate_glands(viewer: Any, image: Layer) -> None:
    """Select the gland layer of an image, whose features are the gland table."""
    glands = result_layers(viewer, image).get(GLANDS)
    if glands is not None:
        viewer.layers.selection.active = glands


def add_shapes_layer(viewer: Any, image: Layer) -> Shapes:
    """A layer over `image`, ready for rectangles to be dragged on it."""
    image_shape(image)
    placed = placement_of(image).attributes((0.0, 0.0), 1.0)
    layer = Shapes(
        name=f"{image.name} part",
        edge_color=SHAPES_COLOR,
        face_color="transparent",
        edge_width=max(2, max(image_shape(image)) // 300),
        ndim=2,
        **placed,
    )
    viewer.layers.append(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
    return layer


def shapes_layer(viewer: Any) -> Shapes | None:
    """The shapes layer that is active, else the topmost one."""
    active = viewer.layers.selection.active
    if isinstance(active, Shapes):
        return active
    shapes = [layer for layer in reversed(viewer.layers) if isinstance(layer, Shapes)]
    return shapes[0] if shapes else None


def _copied(layer: Labels) -> LayerData:
    """The layer's data, safe from further painting."""
    data, attributes, kind = layer.as_layer_data_tuple()
    return np.array(data), {**attributes, "features": layer.features.copy()}, kind


def _record(layer: Layer) -> ResultRecord | None:
    shows = isinstance(layer, Labels | Image)
    return record_of({"metadata": layer.metadata}) if shows else None
