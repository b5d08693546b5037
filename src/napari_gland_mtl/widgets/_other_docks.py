"""One dock opens another of this plugin, where it has room and hides nothing for good."""

from __future__ import annotations

from typing import Any, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from ._view import main_window

PLUGIN = "napari-gland-mtl"


def open_dock(viewer: Any, widget: QWidget, title: str, below: bool = False) -> Any:
    """Open a dock of this plugin, or bring it to the front; where it lies already, it stays.

    Parameters
    ----------
    viewer : napari.Viewer
    widget : QWidget
        Of the dock that asks; the new one becomes a tab beside it.
    title : str
        As in the menu.
    below : bool
        Place it under the canvas instead, where it is wide.

    Returns
    -------
    QWidget
        What is in the dock.
    """
    window = cast(QMainWindow, main_window(widget))
    known = window.findChildren(QDockWidget)
    dock, opened = viewer.window.add_plugin_dock_widget(PLUGIN, title)
    own = next((place for place in known if place.isAncestorOf(widget)), None)
    if dock not in known and below:
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    elif dock not in known and own is not None and not own.isFloating():
        window.tabifyDockWidget(own, dock)
    dock.show()
    dock.raise_()
    return opened
