"""The viewer's layers: only this file changes them, and `_slide_layers` for slides.

An image has at most one pair of result layers, recognised by their metadata, not by name. A new
run takes their place in the list; what the user has painted on since is kept, renamed. New
layers are built in full before the first old one is taken away, so that a failure leaves
everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from ..errors import InvalidInputError
from ..export.layers import LayerData, gland_table, was_edited
from ..export.ome_zarr import ATTRIBUTE, GLANDS, REGIONS
from ..export.slide_layers import HEAT_MAP, slide_role
from ..segmentation import Segmentation
from ._image_source import image_shape, placement_of
from ._layer_data import ResultRecord, as_computed, record_of
from ._layer_styles import contour_width, glands_style

KEPT_LOOK = ("opacity", "blending", "contour")
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
    return [layer for layer in images if slide_role({"metadata": layer.metadata}) != HEAT_MAP]


def active_image(viewer: Any) -> Image | None:
    """The image layer the user has selected, if it is one."""
    active = viewer.layers.selection.active
    return active if isinstance(active, Image) else None


def is_open(viewer: Any, layer: Layer | None) -> bool:
    """Whether the layer is still in the viewer."""
    return layer is not None and layer in viewer.layers


def result_layers(viewer: Any, image: Layer) -> dict[str, Labels]:
    """The result layers of an image by their role, ``"regions"`` and ``"glands"``."""
    found: dict[str, Labels] = {}
    for layer in viewer.layers:
        record = _record(layer)
        if record is not None and record.image_id == str(image.unique_id):
            found[record.role] = layer
    return found


def result_data(viewer: Any, image: Layer) -> tuple[LayerData, LayerData]:
    """The result of an image as it is now, regions and glands, for another thread.

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
    return _copied(found[REGIONS]), _copied(found[GLANDS])


def shown_segmentation(viewer: Any, image: Layer) -> Segmentation | None:
    """As computed, with its table, from a complete pair of result layers; else None."""
    found = result_layers(viewer, image)
    if set(found) != {REGIONS, GLANDS}:
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
                _outline(layer)
                break


def belong_together(image: Layer, result: Layer, record: Mapping[str, Any]) -> bool:
    """Whether an image and a layer of a result were opened from the same store."""
    paths = image.source.path, result.source.path
    if None not in paths:
        return bool(paths[0] == paths[1])
    return record.get("image_name") == image.name


def _outline(layer: Labels) -> None:
    """Draw glands as outlines in the colours of their classes."""
    record = _record(layer)
    if record is not None and record.role == GLANDS:
        for name, value in glands_style(gland_table(layer.features), record.summary).items():
            setattr(layer, name, value)
        layer.contour = contour_width(layer.data.shape)


def activate_glands(viewer: Any, image: Layer) -> None:
    """Select the gland layer of an image, whose features are the gland table."""
    glands = result_layers(viewer, image).get(GLANDS)
    if glands is not None:
        viewer.layers.selection.active = glands


@dataclass(frozen=True)
class Replacement:
    """What `show_results` did with the layers before.

    Attributes
    ----------
    removed : tuple of Labels
        Taken out of the viewer.
    notices : tuple of str
        What the user should know: layers kept because they were edited.
    """

    removed: tuple[Labels, ...] = ()
    notices: tuple[str, ...] = ()


def show_results(viewer: Any, image: Layer, data: Sequence[LayerData]) -> Replacement:
    """Put new result layers right above their image, instead of the ones before.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
    data : sequence of tuple
        From `to_layer_data`.
    """
    previous = result_layers(viewer, image)
    fresh = [_create(item, previous) for item in data]
    return _swap(viewer, image, fresh)


def restore_results(viewer: Any, image: Layer, layers: Sequence[Labels]) -> Replacement:
    """Put back the layers that `show_results` removed, instead of those it showed."""
    return _swap(viewer, image, layers)


def _swap(viewer: Any, image: Layer, fresh: Sequence[Labels]) -> Replacement:
    removed: list[Labels] = []
    notices: list[str] = []
    for old in result_layers(viewer, image).values():
        if was_edited(old.data, {"metadata": old.metadata}):
            notices.append(_keep(old))
        else:
            viewer.layers.remove(old)
            removed.append(old)
    below: Layer = image
    for layer in fresh:
        viewer.layers.insert(viewer.layers.index(below) + 1, layer)
        below = layer
    viewer.layers.selection.active = below
    return Replacement(tuple(removed), tuple(notices))


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
    return record_of({"metadata": layer.metadata}) if isinstance(layer, Labels) else None


def _create(item: LayerData, previous: dict[str, Labels]) -> Labels:
    """A new layer, with what the user chose for the one that it replaces."""
    layer = Layer.create(*item)
    record = _record(layer)
    role = "" if record is None else record.role
    if role == GLANDS:
        layer.contour = contour_width(layer.data.shape)
    if role in previous:
        for name in KEPT_LOOK:
            setattr(layer, name, getattr(previous[role], name))
    return layer


def _keep(layer: Labels) -> str:
    """Make a result that was painted on the user's own layer; says so."""
    record = _record(layer)
    layer.metadata = {k: v for k, v in layer.metadata.items() if k != ATTRIBUTE}
    if record is not None:
        layer.name = f"{record.image_name} {record.role} (edited)"
    layer.visible = False
    return f"You had edited a result: it was kept, hidden, as “{layer.name}”."
