"""A training image in the viewer, with what its annotation says.

Beside `_layers`, `_slide_layers` and `_annotation_layers` a file that adds layers. They are to be
looked at: nothing that is painted on them would be saved, so that they cannot be edited. Images
that were opened before are hidden, for all of them begin at the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from ..export.layers import CLEAR, REGIONS_OPACITY, region_colors
from ..regions import GLAND_REGIONS
from ._annotation_layers import area_placement, fits
from ._layer_styles import contour_width
from ._layers import image_layers
from ._view import world_corners, zoom_to

if TYPE_CHECKING:
    from ..annotations.area import Area
    from ..datasets import Sample

ROLE = "gland_mtl_training_image"
GLAND_COLOR = (1.0, 1.0, 1.0, 1.0)


def show_training_image(viewer: Any, sample: Sample, canvas: tuple[int, int]) -> None:
    """Show an image with its annotation, and go to it; one that is open is only gone to.

    Parameters
    ----------
    viewer : napari.Viewer
    sample : Sample
    canvas : tuple of int
        (height, width) of the canvas.
    """
    known = _open_layers(viewer)
    mine = [layer for layer in known if layer.metadata[ROLE] == sample.name]
    for layer in known:
        layer.visible = layer in mine
    if not mine:
        mine = _layers_of(sample)
        for layer in mine:
            viewer.layers.append(layer)
    image = next((layer for layer in mine if isinstance(layer, Image)), mine[0])
    viewer.layers.selection.active = image
    _go_to(viewer, image, canvas)


def show_area_image(viewer: Any, area: Area) -> None:
    """Show an annotated area's own pixels where its slide would be, unless that is open."""
    if any(fits(image, area.info) for image in image_layers(viewer)):
        return
    name = f"{area.info.slide} · {area.info.name}"
    if any(layer.metadata[ROLE] == name for layer in _open_layers(viewer)):
        return
    place = area_placement(None, area.info)
    viewer.layers.append(Image(area.image, name=name, rgb=True, metadata={ROLE: name}, **place))


def _open_layers(viewer: Any) -> list[Layer]:
    return [layer for layer in viewer.layers if ROLE in layer.metadata]


def _layers_of(sample: Sample) -> list[Layer]:
    attributes: dict[str, Any] = {
        "scale": (sample.mpp, sample.mpp),
        "units": ("um", "um"),
        "metadata": {ROLE: sample.name},
    }
    image = Image(sample.image, name=sample.name, rgb=True, **attributes)
    regions = Labels(
        sample.regions,
        name=f"{sample.name} annotated regions",
        colormap=region_colors(GLAND_REGIONS),
        opacity=REGIONS_OPACITY,
        **attributes,
    )
    found = [regions]
    if sample.instances is not None:
        glands = Labels(
            sample.instances,
            name=f"{sample.name} annotated glands",
            colormap={None: GLAND_COLOR, 0: CLEAR},
            opacity=1.0,
            **attributes,
        )
        glands.contour = contour_width(glands.data.shape)
        found.append(glands)
    for layer in found:
        layer.editable = False
    return [image, *found]


def _go_to(viewer: Any, layer: Layer, canvas: tuple[int, int]) -> None:
    height, width = layer.data.shape[:2]
    zoom_to(viewer, world_corners(layer, (0, 0, height, width)), canvas)
