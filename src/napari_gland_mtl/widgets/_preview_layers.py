"""What the model in training makes of the current view: two layers that are clearly previews.

There is one pair of them at most. It is changed in place after each epoch, so that nothing piles
up, the user's choice of what is visible stays, and whoever paints meanwhile is not disturbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels, Layer

from ..errors import GlandMTLError
from ..export.layers import LayerData
from ..export.ome_zarr import ATTRIBUTE, GLANDS
from ..segmentation import Segmentation
from . import _layers
from ._extent import view_corners, window_around
from ._image_source import ImageSource, Window, image_source, pixel_size_of, placement_of
from ._layer_data import to_layer_data
from ._layer_styles import contour_width
from ._view import canvas_size

ROLE = "finetune_preview"
OPACITY = 0.55


@dataclass(frozen=True, eq=False)
class PreviewTarget:
    """What is looked at.

    Attributes
    ----------
    image : napari.layers.Image
    source : ImageSource
        Its pixels, for another thread.
    mpp : float
        Um per pixel of the image.
    window : tuple of int
        (y0, x0, y1, x1) in px of its full resolution.
    """

    image: Any
    source: ImageSource
    mpp: float
    window: Window

    def is_at(self, other: PreviewTarget) -> bool:
        """Whether it is the same place; pixels are not compared."""
        return self.image is other.image and (self.mpp, self.window) == (other.mpp, other.window)


def target_in_view(viewer: Any, qt_window: Any) -> PreviewTarget | None:
    """What the viewer shows of its topmost visible image; None if there is none."""
    images = [layer for layer in _layers.image_layers(viewer) if layer.visible]
    if not images or viewer.dims.ndisplay != 2:
        return None
    active = _layers.active_image(viewer)
    image = active if active in images else images[0]
    mpp = pixel_size_of(image).mpp
    if mpp is None:
        return None
    # The camera moved into the scene in napari 0.9.
    camera = getattr(viewer, "scene", viewer).camera
    try:
        corners = view_corners(camera.center, camera.zoom, canvas_size(qt_window))
        window = window_around(corners, image)
        return PreviewTarget(image, image_source(image), mpp, window)
    except GlandMTLError:  # the image is out of view, or a stack
        return None


def show_preview(
    viewer: Any,
    target: PreviewTarget,
    found: Segmentation,
    offset: tuple[int, int],
    epoch: int,
    model: str,
) -> None:
    """Show, in place of the preview before, what the model finds after an epoch."""
    if not _layers.is_open(viewer, target.image):
        return
    shown = preview_layers(viewer)
    for item in to_layer_data(found, placement_of(target.image), offset, target.mpp):
        data, attributes, kind = _as_preview(item, epoch, model)
        if kind != "labels":
            continue  # how certain it is is a question for a finished model
        role = attributes["metadata"][ROLE]
        if role in shown:
            _change(shown[role], data, attributes)
        else:
            _add(viewer, Labels(data, **attributes), outlined=role == GLANDS)


def preview_layers(viewer: Any) -> dict[str, Labels]:
    """The preview by role, regions and glands; empty if there is none."""
    return {
        layer.metadata[ROLE]: layer
        for layer in viewer.layers
        if isinstance(layer, Labels) and ROLE in layer.metadata
    }


def remove_preview(viewer: Any) -> None:
    """Take the preview away."""
    for layer in preview_layers(viewer).values():
        viewer.layers.remove(layer)


def _as_preview(item: LayerData, epoch: int, model: str) -> LayerData:
    """Layer data that nobody takes for a result: no record, and a name that says what it is."""
    data, attributes, kind = item
    role = str(attributes["metadata"][ATTRIBUTE]["role"])
    name = f"preview, {model}, epoch {epoch}: {role}"
    rest = {n: v for n, v in attributes.items() if n not in ("features", "properties")}
    return data, {**rest, "name": name, "metadata": {ROLE: role}, "opacity": _opacity(role)}, kind


def _opacity(role: str) -> float:
    return 1.0 if role == GLANDS else OPACITY


def _change(layer: Labels, data: Any, attributes: dict[str, Any]) -> None:
    """Another preview in the same layer; what the user chose for it stays."""
    kept = ("opacity", "metadata", "blending", "visible")
    layer.data = np.asarray(data)
    for name, value in attributes.items():
        if name not in kept:
            setattr(layer, name, value)


def _add(viewer: Any, layer: Labels, outlined: bool) -> None:
    """On top, without taking the selection from whoever paints."""
    layer.editable = False
    if outlined:
        layer.contour = contour_width(layer.data.shape)
    selected: list[Layer] = list(viewer.layers.selection)
    active = viewer.layers.selection.active
    viewer.layers.append(layer)
    viewer.layers.selection.clear()
    viewer.layers.selection.update(selected)
    viewer.layers.selection.active = active
