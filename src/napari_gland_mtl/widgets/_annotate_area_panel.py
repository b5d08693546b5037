"""All that belongs to the area that is worked on: whether it is saved, tools, lumen, check."""

from __future__ import annotations

import html
import time
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from ._annotate_check import CheckPanel
from ._annotate_lumen import LumenPanel
from ._annotate_saved import SavedLine
from ._annotate_tools import AreaTools
from ._annotation_area import OpenArea
from ._fold import Fold

SHOW_MS = 500


class AreaPanel(QFrame):
    """The current area.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    failed : Signal(str)
    elsewhere_clicked : Signal
    """

    failed = Signal(str)
    elsewhere_clicked = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("area_panel")
        self._area: OpenArea | None = None
        self.title = QLabel()
        self.title.setObjectName("area_title")
        self.title.setWordWrap(True)
        self.saved = SavedLine()
        self.tools = AreaTools(viewer)
        self.lumen = LumenPanel(viewer)
        self.check = CheckPanel(viewer)
        self.lumen_fold = Fold("Lumen", "lumen_fold")
        self.lumen_fold.addWidget(self.lumen)
        self.check_fold = Fold("Topology check", "check_fold")
        self.check_fold.addWidget(self.check)
        self.check_fold.expand(animate=False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.title, self.saved, self.tools, self.lumen_fold, self.check_fold):
            layout.addWidget(widget)
        self.saved.elsewhere_clicked.connect(lambda: self.elsewhere_clicked.emit())
        for panel in (self.lumen, self.check):
            panel.failed.connect(lambda text: self.failed.emit(text))
        self._timer = QTimer(self)
        self._timer.setInterval(SHOW_MS)
        self._timer.timeout.connect(self.show_saved)
        self.hide()

    @property
    def area(self) -> OpenArea | None:
        """The area that is shown."""
        return self._area

    @property
    def bridges(self) -> list[Any]:
        """What runs threads."""
        return [*self.lumen.bridges, *self.check.bridges]

    def set_area(self, area: OpenArea | None) -> None:
        """Show another area, or none."""
        if area is not self._area:
            self._area = area
            for panel in (self.tools, self.lumen, self.check):
                panel.set_area(area)
        self.setVisible(area is not None)
        if area is None:
            self._timer.stop()
            return
        self._timer.start()
        self.lumen_fold.setVisible(area.glands_layer is not None)
        self.tools.show_info()
        self.title.setText(
            f"<b>{html.escape(area.info.name)}</b> of {html.escape(area.info.slide)}"
        )
        self.show_saved()

    def on_edited(self, area: OpenArea) -> None:
        """An area may have been changed."""
        if area is self._area:
            self.lumen.on_edited()
            self.check.on_edited()

    def show_saved(self) -> None:
        """Say how long ago it was saved."""
        if self._area is not None:
            self.saved.show_state(self._area.state, time.monotonic())
