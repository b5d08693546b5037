"""What lies over the chosen image: described in the dock, with its table and its least certain
gland, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from ..export.ome_zarr import ATTRIBUTE
from ..export.uncertainty_map import UNCERTAINTY
from . import _layers, _slide_layers
from ._gland_table import open_gland_table
from ._least_certain import ResultTable, field_table, slide_table
from ._message_box import MessageBox
from ._other_docks import open_dock
from ._result_panel import ResultPanel
from ._segment_inputs import SegmentInputs
from ._slide_result_panel import SlideResultPanel


class ShownResult(QObject):
    """Keeps the panels of a result true to the viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    dock : QWidget
        Of which it is a part.
    inputs : SegmentInputs
        Which image is chosen.
    message : MessageBox
    field : ResultPanel
        Of a field of view.
    slide : SlideResultPanel
    """

    def __init__(
        self,
        viewer: Any,
        dock: QWidget,
        inputs: SegmentInputs,
        message: MessageBox,
        field: ResultPanel,
        slide: SlideResultPanel,
    ) -> None:
        super().__init__(dock)
        self._viewer, self._dock, self._inputs, self._message = viewer, dock, inputs, message
        self._field, self._slide = field, slide
        self._described: list[Any] = []
        field.table_clicked.connect(self._show_table)
        slide.table_clicked.connect(self._show_slide_table)
        field.uncertainty.first_clicked.connect(partial(self._show_table, True))
        slide.uncertainty.first_clicked.connect(partial(self._show_slide_table, True))
        field.uncertainty.next_clicked.connect(partial(self._annotate_next, field_table))
        slide.uncertainty.next_clicked.connect(partial(self._annotate_next, slide_table))

    def forget(self) -> None:
        """Describe it anew the next time, even if it seems to be the same."""
        self._described = []

    def refresh(self) -> None:
        """Describe what lies over the chosen image now."""
        image = self._inputs.image_chooser.layer
        if image is None:
            self._described = []
            self._field.hide()
            self._slide.hide()
            return
        field = _layers.result_layers(self._viewer, image)
        slide = _slide_layers.slide_layers(self._viewer, image)
        # A layer of a slide stays the same one while its result grows.
        layers = [
            (layer, layer.metadata.get(ATTRIBUTE))
            for layer in (image, *field.values(), *slide.values())
        ]
        if layers == self._described:
            return
        self._described = layers
        self._describe(image)

    def _describe(self, image: Any) -> None:
        found = _layers.shown_segmentation(self._viewer, image)
        if found is None:
            self._field.hide()
        else:
            layer = _layers.result_layers(self._viewer, image).get(UNCERTAINTY)
            self._field.show_segmentation(found, layer)
        shown = _slide_layers.shown_slide(self._viewer, image)
        if shown is None:
            self._slide.hide()
        else:
            self._slide.show_slide(shown)

    def _show_table(self, least_certain_first: bool = False) -> None:
        image = self._inputs.image_chooser.layer
        if image is not None:
            _layers.activate_glands(self._viewer, image)
            open_gland_table(self._viewer, self._dock, least_certain_first)

    def _show_slide_table(self, least_certain_first: bool = False) -> None:
        image = self._inputs.image_chooser.layer
        if image is not None:
            _slide_layers.activate_slide_glands(self._viewer, image)
            open_gland_table(self._viewer, self._dock, least_certain_first)

    def _annotate_next(self, table_of: Callable[[Any, Any], ResultTable | None]) -> None:
        """Let the dock “Annotate glands” make an area around the least certain gland."""
        image = self._inputs.image_chooser.layer
        glands = None if image is None else table_of(self._viewer, image)
        if glands is not None:
            self._message.clear_message()
            annotate = open_dock(self._viewer, self._dock, "Annotate glands")
            annotate.annotate_next(image, glands, self._inputs.pixel_size.known())
