"""The two views of the dock “Loss weights”: the curves of the losses, and the training images."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSizePolicy, QTabBar, QVBoxLayout, QWidget

CURVES, IMAGES = range(2)
TITLES = {
    "Curves": "What the losses, their weights and the measures do over the training.",
    "Images": "Which training images the model fits worst: their annotation may be wrong.",
}


class ViewTabs(QTabBar):
    """Chooses a view and shows what belongs to it.

    Parameters
    ----------
    curves, images : sequence of QWidget
        What is to be seen in either view, and only there.
    """

    switched = Signal()

    def __init__(self, curves: Sequence[QWidget], images: Sequence[QWidget]) -> None:
        super().__init__()
        self.setObjectName("views")
        self.setAccessibleName("What is shown")
        self.setExpanding(False)
        self.setDrawBase(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for index, (title, tip) in enumerate(TITLES.items()):
            self.addTab(title)
            self.setTabToolTip(index, tip)
        self._parts = {CURVES: curves, IMAGES: images}
        # What has no parent yet would become a window of its own if it were shown here.
        for part in images:
            part.hide()
        self.currentChanged.connect(self._switch)

    @property
    def shows_images(self) -> bool:
        """Whether the training images are shown."""
        return bool(self.currentIndex() == IMAGES)

    def _switch(self, view: int) -> None:
        # Hidden first: both at once would widen what is scrolled.
        for shown in (False, True):
            for index, parts in self._parts.items():
                if (index == view) is shown:
                    for part in parts:
                        part.setVisible(shown)
        self.switched.emit()


def column(parts: Sequence[QWidget], spacing: int = 6) -> QWidget:
    """Widgets one below the other."""
    found = QWidget()
    layout = QVBoxLayout(found)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for part in parts:
        layout.addWidget(part)
    return found
