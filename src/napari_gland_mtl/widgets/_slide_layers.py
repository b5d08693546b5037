"""The result of a slide in the viewer: layers that read from its store on disk.

With `_layers` the only file that changes the viewer's layers. An image has at most one layer of
each kind from a slide's result, recognised by their metadata; a new run takes their place. They
are drawn from disk and cannot be painted on, so nothing of the user's is lost with them. What an
image has from a run in memory stays beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer

from ..export.layers import LayerData, gland_table
from ..export.ome_zarr import ATTRIBUTE
from ..export.slide_layers import (
    HEAT_MAP,
    SLIDE_GLANDS,
    SLIDE_ROLES,
    SLIDE_UNCERTAINTY,
    TISSUE_MASK,
)
from ..regions import RegionHierarchy
from ._image_source import placement_of
from ._layer_styles import heat_map_style, slide_glands_style, tissue_style, uncertainty_style
from ._layers import belong_together, image_layers

if TYPE_CHECKING:
    from ..slides.tissue import TissueMask
    from ._slide_job import StoreLayers

KEPT_LOOK = ("opacity", "blending")
PLACE = ("scale", "translate", "rotate", "shear", "affine")
CONTOUR = 2
"""Px of the screen, or nearly so: a level is drawn that has about its resolution."""
FEATURE_ROWS = 100_000
"""Most glands that become features of a layer; napari keeps and draws them in the window."""

Kind = tuple[str, str | None]
"""Role, and class of a heat map."""


@dataclass(frozen=True)
class ShownSlide:
    """What the layers of a slide's result say about it.

    Attributes
    ----------
    path : Path
        The store.
    summary : dict
    hierarchy : RegionHierarchy
    rows : int
        Glands in the table of the layer.
    maps : tuple of str
        Names of the layers with a map of class probability.
    uncertainty : Layer or None
        That shows how certain the model is; None in results of earlier versions.
    """

    path: Path
    summary: dict[str, Any]
    hierarchy: RegionHierarchy
    rows: int
    maps: tuple[str, ...] = ()
    uncertainty: Layer | None = None


def slide_layers(viewer: Any, image: Layer) -> dict[Kind, Layer]:
    """The layers of an image's slide result by their kind."""
    found: dict[Kind, Layer] = {}
    for layer in viewer.layers:
        record = _record(layer)
        if record is not None and record.get("image_id") == str(image.unique_id):
            found[_kind(record)] = layer
    return found


def shown_slide(viewer: Any, image: Layer) -> ShownSlide | None:
    """What is known of the slide result that is shown on an image; None if there is none yet."""
    found = slide_layers(viewer, image)
    glands = found.get((SLIDE_GLANDS, None))
    record = None if glands is None else _record(glands)
    if glands is None or record is None or not record.get("summary"):
        return None
    maps = tuple(layer.name for (_, shown), layer in found.items() if shown is not None)
    hierarchy = RegionHierarchy.model_validate(record["hierarchy"])
    rows = len(glands.features)
    uncertainty = found.get((SLIDE_UNCERTAINTY, None))
    path = Path(record["path"])
    return ShownSlide(path, record["summary"], hierarchy, rows, maps, uncertainty)


def show_store(
    viewer: Any,
    image: Layer,
    store: StoreLayers,
    hidden: Mapping[Layer, bool] | None = None,
    roles: Collection[str] = SLIDE_ROLES,
    shown: dict[str, Layer] | None = None,
) -> Iterator[None]:
    """Put the layers of a store right above their image, instead of those before, in pieces.

    Layers that show the same store already stay and get its new data, which is a matter of
    milliseconds; adding or removing one takes napari some tenths of a second, so the window
    answers after each, and the user may remove whatever there is.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
    store : StoreLayers
    hidden : dict of Layer to bool, optional
        From `hide_store`: what the user had switched on before.
    roles : collection of str
        Those to show; with less than all of them, layers of other roles are left as they are.
    shown : dict, optional
        Gets the layers by role, without the maps.
    """
    hidden, shown = hidden or {}, {} if shown is None else shown
    active = viewer.layers.selection.active
    below, kinds = image, set()
    for item in store.layers:
        kind = _kind(item[1]["metadata"][ATTRIBUTE])
        kinds.add(kind)
        if kind[0] not in roles or image not in viewer.layers:
            continue
        below = below if below in viewer.layers else image
        old = slide_layers(viewer, image).get(kind)
        below = _show(viewer, _placed(item, image), below, old, hidden)
        if kind[1] is None:
            shown[kind[0]] = below
        yield
    if image in viewer.layers:
        if set(roles) >= set(SLIDE_ROLES):
            _remove_others(viewer, image, kinds)
        _activate(viewer, image, active)


def _remove_others(viewer: Any, image: Layer, kinds: Collection[Kind]) -> None:
    """Take away what the result before had and this one has not."""
    for kind, layer in slide_layers(viewer, image).items():
        if kind not in kinds:
            viewer.layers.remove(layer)


def _activate(viewer: Any, image: Layer, active: Layer | None) -> None:
    """Select the glands, unless the user was at work on another layer."""
    # The viewer that a plugin gets hands out proxies: what is equal need not be identical.
    # What is hidden is active because it was opened last, not because somebody works on it.
    keeps = active in viewer.layers and active != image and active is not None and active.visible
    glands = slide_layers(viewer, image).get((SLIDE_GLANDS, None))
    viewer.layers.selection.active = active if keeps else glands


def show_tissue(viewer: Any, image: Layer, tissue: TissueMask) -> None:
    """Show what is taken for tissue, instead of what was before."""
    record = {"role": TISSUE_MASK, "image_id": str(image.unique_id), "image_name": image.name}
    attributes = {
        "name": f"{image.name} tissue",
        "metadata": {ATTRIBUTE: record},
        "visible": True,
        **placement_of(image).attributes((0.0, 0.0), tissue.downsample),
        **tissue_style(),
    }
    old = slide_layers(viewer, image).get((TISSUE_MASK, None))
    active = viewer.layers.selection.active
    item = (tissue.mask.astype(np.uint8), attributes, "labels")
    layer = _show(viewer, item, image, old, {})
    layer.visible = True
    if active in viewer.layers:
        viewer.layers.selection.active = active


def has_preview(viewer: Any, image: Layer) -> bool:
    """Whether tissue that `show_tissue` put there is shown."""
    layer = slide_layers(viewer, image).get((TISSUE_MASK, None))
    record = None if layer is None else _record(layer)
    return record is not None and "path" not in record


def hide_store(viewer: Any, path: Path) -> dict[Layer, bool]:
    """Hide all layers that read from a store which is about to be removed.

    They stay in the list until others take their place: OpenGL may crash where all labels are
    removed, the canvas is drawn, and labels are added again (napari issue 8471).

    Returns
    -------
    dict of Layer to bool
        Whether each was visible, for `show_again`.
    """
    hidden = {}
    for layer in viewer.layers:
        record = _record(layer)
        if record is not None and record.get("path") == str(path):
            hidden[layer] = layer.visible
            layer.visible = False
    return hidden


def show_again(hidden: Mapping[Layer, bool]) -> None:
    """Undo `hide_store`."""
    for layer, visible in hidden.items():
        layer.visible = visible


def adopt_opened_stores(viewer: Any) -> None:
    """Make slide results that came from a file those of the image that came with them."""
    for layer in list(viewer.layers):
        record = _record(layer)
        if record is None or record.get("image_id"):
            continue
        for image in image_layers(viewer):
            if image != layer and belong_together(image, layer, record):
                layer.metadata = {
                    **layer.metadata,
                    ATTRIBUTE: {**record, "image_id": str(image.unique_id)},
                }
                _outline(layer)
                _color_map(layer)
                break


def activate_slide_glands(viewer: Any, image: Layer) -> None:
    """Select the gland layer of a slide's result, whose features are the gland table."""
    glands = slide_layers(viewer, image).get((SLIDE_GLANDS, None))
    if glands is not None:
        viewer.layers.selection.active = glands


def _record(layer: Layer) -> dict[str, Any] | None:
    record = layer.metadata.get(ATTRIBUTE)
    if isinstance(record, dict) and record.get("role") in SLIDE_ROLES:
        return record
    return None


def _kind(record: dict[str, Any]) -> Kind:
    return str(record["role"]), record.get("class")


def _placed(item: LayerData, image: Layer) -> LayerData:
    """A layer of a store in its place on the image, which may be moved, turned or in pixels."""
    data, attributes, kind = item
    record = {**attributes["metadata"][ATTRIBUTE], "image_id": str(image.unique_id)}
    placed = placement_of(image).attributes((0.0, 0.0), record["mpp"] / record["slide_mpp"])
    name = attributes["name"].replace(record["image_name"], image.name, 1)
    attributes = {**attributes, **placed, "name": name, "metadata": {ATTRIBUTE: record}}
    if len(attributes.get("features", {}).get("index", ())) > FEATURE_ROWS:
        del attributes["features"]
    return data, attributes, kind


def _show(
    viewer: Any, item: LayerData, below: Layer, old: Layer | None, hidden: Mapping[Layer, bool]
) -> Layer:
    """Show a layer in the place of `old`, or as `old`; else above `below`."""
    if old is not None and _same_store(old, item):
        _update(old, item)
        old.visible = hidden.get(old, old.visible)
        return old
    layer = Layer.create(*item)
    _outline(layer)
    _color_map(layer)
    if old is not None:
        for attribute in KEPT_LOOK:
            setattr(layer, attribute, getattr(old, attribute))
        layer.visible = hidden.get(old, old.visible)
    viewer.layers.insert(viewer.layers.index(below) + 1, layer)
    if old is not None:
        viewer.layers.remove(old)
    return layer


def _same_store(layer: Layer, item: LayerData) -> bool:
    """Whether a layer can show the data of another by taking it over."""
    data, attributes, _ = item
    now = layer.metadata[ATTRIBUTE].get("path"), _shapes(layer.data, layer.multiscale)
    record = attributes["metadata"][ATTRIBUTE]
    return now == (record.get("path"), _shapes(data, attributes.get("multiscale", False)))


def _shapes(data: Any, multiscale: bool) -> list[tuple[int, ...]]:
    return [tuple(level.shape) for level in (data if multiscale else [data])]


def _update(layer: Layer, item: LayerData) -> None:
    """Give a layer the data of another; its look stays the user's."""
    data, attributes, _ = item
    layer.metadata = attributes["metadata"]
    if isinstance(layer, Labels):
        layer.features = attributes.get("features", {})
    layer.data = data
    for name in PLACE:
        if name in attributes:
            setattr(layer, name, attributes[name])
    _outline(layer)


def _outline(layer: Layer) -> None:
    """Draw glands as outlines in the colours of their classes."""
    record = layer.metadata[ATTRIBUTE]
    if record["role"] == SLIDE_GLANDS:
        table = gland_table(layer.features)
        for name, value in slide_glands_style(table, record["classes"]).items():
            setattr(layer, name, value)
        layer.contour = CONTOUR


def _color_map(layer: Layer) -> None:
    """Give the map of a class the colour that its glands have, and the uncertainty its own."""
    record = layer.metadata[ATTRIBUTE]
    if record["role"] == SLIDE_UNCERTAINTY:
        for name, value in uncertainty_style().items():
            setattr(layer, name, value)
    if record["role"] == HEAT_MAP:
        for name, value in heat_map_style(record["classes"].index(record["class"])).items():
            setattr(layer, name, value)
