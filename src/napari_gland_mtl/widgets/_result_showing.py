"""Shows a result in the viewer: in the layers that are there, and in new ones, one after another.

An image has at most one layer of each role, recognised by its metadata, not by name. napari takes
tenths of a second to add a layer or to remove one, so a layer of the result before takes over the
new data where it is; only what the user has painted on since is kept, renamed, and a new layer
made. New layers are built before the first old one is changed, so that a failure leaves
everything as it was. They are hidden until they are in the list: napari computes what a layer
looks like whenever a shown one is made, changed or added, and draws it in the same breath. All is
done in pieces, between which the window answers and the user may remove whatever there is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari.layers import Labels, Layer

from ..export.layers import LayerData, was_edited
from ..export.ome_zarr import ATTRIBUTE, GLANDS
from ..export.uncertainty_map import UNCERTAINTY
from ._gland_outlines import GlandOutlines, use_outlines
from ._layer_data import record_of
from ._layer_styles import contour_width
from ._layers import is_open, result_layers

KEPT_LOOK = ("opacity", "blending")
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")
MADE_WITH = {
    "labels": ("name", "metadata", "features", "colormap", "opacity", "blending", "visible"),
    "image": ("name", "metadata", "colormap", "contrast_limits", "opacity", "blending", "visible"),
}
"""What a layer is made with, beside its data and place, should the user have removed it."""


@dataclass
class Shown:
    """What showing a result has done with the layers before.

    Attributes
    ----------
    earlier : list of tuple
        What layers showed that show the new result now.
    notices : list of str
        What the user should know: layers kept because they were edited.
    """

    earlier: list[LayerData] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def show_results(
    viewer: Any,
    image: Layer,
    data: Sequence[LayerData],
    shown: Shown | None = None,
    outlines: GlandOutlines | None = None,
) -> Iterator[None]:
    """Put a result right above its image, instead of the one before, in pieces.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
    data : sequence of tuple
        From `to_layer_data`, the lowest first.
    shown : Shown, optional
        Is told what becomes of the layers before.
    outlines : GlandOutlines, optional
        Of the glands; without them napari computes its own.
    """
    shown = Shown() if shown is None else shown
    active = viewer.layers.selection.active
    fresh: dict[str, Layer] = {}
    for item in data:
        old = result_layers(viewer, image).get(_role(item))
        if old is None or _edited(old):
            fresh[_role(item)] = _create(item, old, outlines)
        yield
    below = image
    for item in data:
        if not is_open(viewer, image):
            return
        new = fresh.get(_role(item))
        below = yield from _show(viewer, image, item, below, new, shown, outlines)
        yield
    if is_open(viewer, image):
        _remove_others(viewer, image, data)
        _activate(viewer, image, active)


def _show(
    viewer: Any,
    image: Layer,
    item: LayerData,
    below: Layer,
    fresh: Layer | None,
    shown: Shown,
    outlines: GlandOutlines | None,
) -> Generator[None, None, Layer]:
    """Show one layer; gives the one that shows it."""
    old = result_layers(viewer, image).get(_role(item))
    if old is not None and fresh is None and not _edited(old):
        shown.earlier.append(as_shown(old))
        _take_over(old, item, outlines)
        return old
    layer = _create(item, old, outlines) if fresh is None else fresh
    if old is not None:
        shown.notices.append(_keep(old))
    # What was the lowest layer of the result may have been removed meanwhile.
    below = below if is_open(viewer, below) else image
    viewer.layers.insert(viewer.layers.index(below) + 1, layer)
    yield
    if is_open(viewer, layer):
        layer.visible = item[1].get("visible", True)
    return layer


def as_shown(layer: Layer) -> LayerData:
    """What a result layer shows now, to be shown again."""
    kind = "labels" if isinstance(layer, Labels) else "image"
    attributes = {name: getattr(layer, name) for name in (*MADE_WITH[kind], *PLACE)}
    if kind == "labels":
        attributes["features"] = layer.features.copy()
    return layer.data, attributes, kind


def _take_over(layer: Layer, item: LayerData, outlines: GlandOutlines | None) -> None:
    """Give a layer the data of another; its look, its mode and its name stay the user's."""
    data, attributes, _ = item
    visible, mode = layer.visible, layer.mode
    layer.visible = False  # else each of the following lines would draw it anew
    try:
        layer.metadata = attributes["metadata"]
        if isinstance(layer, Labels):
            layer.features = attributes.get("features", {})
            # Turned off and on, a layer forgets its steps of undo, which belong to other labels.
            layer.editable = False
            layer.colormap = attributes["colormap"]
        layer.data = data
        for name in PLACE:
            if name in attributes:
                setattr(layer, name, attributes[name])
        _draw_outlines(layer, outlines)
        layer.editable = True
    finally:
        layer.visible = visible
        layer.mode = mode


def _create(item: LayerData, old: Layer | None, outlines: GlandOutlines | None) -> Layer:
    """A new layer, still hidden, with what the user chose for the one that it replaces."""
    data, attributes, kind = item
    layer = Layer.create(data, {**attributes, "visible": False}, kind)
    if _role(item) == GLANDS:
        _draw_outlines(layer, outlines)
        layer.contour = contour_width(layer.data.shape) if old is None else old.contour
    if old is not None:
        for name in KEPT_LOOK:
            setattr(layer, name, getattr(old, name))
    return layer


def _draw_outlines(layer: Layer, outlines: GlandOutlines | None) -> None:
    if outlines is not None and _role_of(layer) == GLANDS:
        use_outlines(layer, outlines)


def _keep(layer: Layer) -> str:
    """Make a result that was painted on the user's own layer; says so."""
    record = record_of({"metadata": layer.metadata})
    layer.metadata = {k: v for k, v in layer.metadata.items() if k != ATTRIBUTE}
    if record is not None:
        layer.name = f"{record.image_name} {record.role} (edited)"
    layer.visible = False
    return f"You had edited a result: it was kept, hidden, as “{layer.name}”."


def _remove_others(viewer: Any, image: Layer, data: Sequence[LayerData]) -> None:
    """Take away what the result before had and this one has not: its uncertainty."""
    roles = {_role(item) for item in data}
    for role, layer in result_layers(viewer, image).items():
        if role not in roles:
            viewer.layers.remove(layer)


def _activate(viewer: Any, image: Layer, active: Layer | None) -> None:
    """Select the glands, unless the user was at work on another layer."""
    # The viewer that a plugin gets hands out proxies: what is equal need not be identical.
    at_work = active in viewer.layers and active != image and _is_seen(active)
    glands = result_layers(viewer, image).get(GLANDS)
    viewer.layers.selection.active = active if at_work or glands is None else glands


def _is_seen(layer: Layer | None) -> bool:
    """Nobody works on what is hidden: the last layer of a sample is, and is active."""
    return layer is not None and bool(layer.visible)


def _edited(layer: Layer) -> bool:
    return _role_of(layer) != UNCERTAINTY and was_edited(layer.data, {"metadata": layer.metadata})


def _role(item: LayerData) -> str:
    record = record_of(item[1])
    return "" if record is None else record.role


def _role_of(layer: Layer) -> str:
    record = record_of({"metadata": layer.metadata})
    return "" if record is None else record.role
