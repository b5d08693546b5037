"""A training image in the viewer, with what its annotation says.

Beside `_layers`, `_slide_layers` and `_annotation_layers` a file that adds layers. They are to be
looked at: nothing that is painted on them would be saved, so that they cannot be edited. Images
that were opened before are hidden, for all of them begin at the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from ..export.layers import CLEAR, REGIONS_OPACITY, region_colors
from ..regions import GLAND_REGIONS, RegionHierarchy
from ._annotate_inputs import identity_of
from ._annotation_layers import area_placement
from ._layer_styles import contour_width
from ._layers import image_layers
from ._view import world_corners, zoom_to

if TYPE_CHECKING:
    from ..annotations.area import Area
    from ..datasets import Sample

ROLE = "gland_mtl_training_image"
GLAND_COLOR = (1.0, 1.0, 1.0, 1.0)


def show_training_image(
    viewer: Any,
    sample: Sample,
    canvas: tuple[int, int],
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> None:
    """Show an image with its annotation, and go to it; one that is open is only gone to.

    Parameters
    ----------
    viewer : napari.Viewer
    sample : Sample
    canvas : tuple of int
        (height, width) of the canvas.
    hierarchy : RegionHierarchy
        Of the sample's regions.
    """
    known = _open_layers(viewer)
    mine = [layer for layer in known if layer.metadata[ROLE] == sample.name]
    for layer in known:
        layer.visible = layer in mine
    if not mine:
        mine = _layers_of(sample, hierarchy)
        for layer in mine:
            viewer.layers.append(layer)
    image = next((layer for layer in mine if isinstance(layer, Image)), mine[0])
    viewer.layers.selection.active = image
    _go_to(viewer, image, canvas)


def show_area_image(viewer: Any, area: Area) -> Layer | None:
    """Show what an annotated area lies on: its slide if that is open, else its own pixels.

    Returns
    -------
    napari.layers.Layer or None
        The slide's layer, to lay the area over; None if the slide is not open.
    """
    known, slide = _open_layers(viewer), _slide_of(viewer, area)
    name = f"{area.info.slide} · {area.info.name}"
    mine = [layer for layer in known if layer.metadata[ROLE] == name and slide is None]
    for layer in known:
        layer.visible = layer in mine
    if slide is not None:
        slide.visible = True
    elif not mine:
        place = area_placement(None, area.info)
        viewer.layers.append(Image(area.image, name=name, rgb=True, metadata={ROLE: name}, **place))
    return slide


def _slide_of(viewer: Any, area: Area) -> Layer | None:
    """The area's slide among the open images; another one may well be as large."""
    for image in image_layers(viewer):
        identity = None if ROLE in image.metadata else identity_of(image)
        if identity is None or identity.name != area.info.slide:
            continue
        if identity.shape == tuple(area.info.slide_shape):
            return image
    return None


def _open_layers(viewer: Any) -> list[Layer]:
    return [layer for layer in viewer.layers if ROLE in layer.metadata]


def _layers_of(sample: Sample, hierarchy: RegionHierarchy) -> list[Layer]:
    attributes: dict[str, Any] = {
        "scale": (sample.mpp, sample.mpp),
        "units": ("um", "um"),
        "metadata": {ROLE: sample.name},
    }
    image = Image(sample.image, name=sample.name, rgb=True, **attributes)
    regions = Labels(
        sample.regions,
        name=f"{sample.name} annotated regions",
        colormap=region_colors(hierarchy),
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
