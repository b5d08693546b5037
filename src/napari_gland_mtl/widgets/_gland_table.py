"""napari's table of a layer's features, for the glands: sorted on request, and a way to go there.

The table is napari's own widget. It shows the glands because their layer is the active one; here
it is asked to sort, and a click on a row brings the gland into view.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QDockWidget, QTableView, QWidget

from ..export.layers import gland_table
from ..export.ome_zarr import ATTRIBUTE
from ..export.uncertainty_map import UNCERTAINTY
from ._view import canvas_size, main_window, zoom_to

FEATURES_TABLE = "Features table widget"
INDEX = "index"
GOES_TO_GLANDS = "goes_to_glands"
GLANDS_WIDE = 3.0
"""How many diameters of a gland are shown around it."""


def open_gland_table(viewer: Any, widget: QWidget, least_certain_first: bool = False) -> Any:
    """Open the table of the active layer below the canvas.

    Parameters
    ----------
    viewer : napari.Viewer
    widget : QWidget
        Of the dock that asks.
    least_certain_first : bool
        Sort by uncertainty, and go to the first one.

    Returns
    -------
    QWidget
        What is in the dock.
    """
    dock, opened = viewer.window.add_plugin_dock_widget("napari", FEATURES_TABLE)
    # Ten columns want the width of the window, not that of this dock.
    widget.window().addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    dock.show()
    dock.raise_()
    table = opened.findChild(QTableView)
    if table is None:  # another napari's widget, which is still a table
        return opened
    if not table.property(GOES_TO_GLANDS):
        table.setProperty(GOES_TO_GLANDS, True)
        table.clicked.connect(partial(_on_clicked, viewer, ref(widget), ref(table)))
    if least_certain_first:
        sort_by(table, UNCERTAINTY)
        table.selectRow(0)
        _on_clicked(viewer, ref(widget), ref(table), table.model().index(0, 0))
    return opened


def close_gland_table(widget: QWidget) -> None:
    """Close the table in the window of a dock, if it was opened for the glands."""
    window = main_window(widget)
    for dock in window.findChildren(QDockWidget):
        tables = dock.findChildren(QTableView)
        if any(table.property(GOES_TO_GLANDS) for table in tables):
            dock.hide()


def sort_by(table: QTableView, name: str) -> None:
    """Sort by a column, the largest value first, and show its first row."""
    column = _column(table, name)
    if column is not None:
        table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
        table.scrollTo(table.model().index(0, column))


def go_to_gland(viewer: Any, widget: QWidget, layer: Any, label: int) -> None:
    """Bring a gland of a result's layer into view."""
    table = gland_table(layer.features)
    rows = np.flatnonzero(np.asarray(table.get("label", ())) == label)
    if not rows.size or "y_um" not in table:
        return
    row, mpp = int(rows[0]), _mpp(layer)
    y0, x0 = _first_pixel(layer)
    y, x = float(table["y_um"][row]) / mpp - y0, float(table["x_um"][row]) / mpp - x0
    half = GLANDS_WIDE * float(np.sqrt(table["area_um2"][row] / np.pi)) / mpp
    corners = [(y + dy, x + dx) for dy in (-half, half) for dx in (-half, half)]
    world = np.array([layer.data_to_world(corner)[-2:] for corner in corners])
    zoom_to(viewer, world, canvas_size(widget), margin=1.0)


def _on_clicked(viewer: Any, widget: Any, table: Any, index: QModelIndex) -> None:
    layer, dock, view = viewer.layers.selection.active, widget(), table()
    if dock is None or view is None or layer is None or ATTRIBUTE not in layer.metadata:
        return
    column = _column(view, INDEX)
    if column is None:
        return
    value = view.model().index(index.row(), column).data()
    if isinstance(value, int | float) and not np.isnan(value):
        go_to_gland(viewer, dock, layer, int(value))


def _column(table: QTableView, name: str) -> int | None:
    model = table.model()
    for column in range(model.columnCount()):
        if model.headerData(column, Qt.Orientation.Horizontal) == name:
            return column
    return None


def _mpp(layer: Any) -> float:
    """Um per px of the labels that the table was measured on."""
    record = layer.metadata[ATTRIBUTE]
    return float(record["mpp"] if "mpp" in record else record["summary"]["mpp"])


def _first_pixel(layer: Any) -> tuple[float, float]:
    """(y, x) of the layer's first pixel, where the table's numbers count from the image's."""
    record = layer.metadata[ATTRIBUTE]
    if "mpp" in record:  # a slide's labels begin where the slide does
        return 0.0, 0.0
    y0, x0, *_ = record.get("window") or (0, 0)
    return float(y0), float(x0)
