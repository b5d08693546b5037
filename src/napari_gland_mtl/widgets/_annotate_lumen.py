"""The lumen of whole glands, proposed from the stain: a slider, a live preview, and Accept.

Only glands are outlined by hand; their lumen is the pale part inside, and one slider says how
pale. What is accepted is written to the regions layer and can be painted over like all else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ..regions import GLAND_REGIONS
from . import _annotation_layers
from ._annotation_area import OpenArea
from ._annotation_task import Task
from ._error_text import error_text

STEPS = 20
WAIT_MS = 250
EXPLANATION = (
    "The lumen is the pale middle of a gland. Move the slider until it fits; where it does not, "
    "accept it and paint over it."
)


class LumenPanel(QWidget):
    """Proposes the lumen of the glands of an area.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QWidget, optional

    Attributes
    ----------
    failed : Signal(str)
    """

    failed = Signal(str)

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._area: OpenArea | None = None
        self._layer: Any = None
        self._proposed: tuple[float, npt.NDArray[np.uint8]] | None = None
        self.slider = self._create_slider()
        self.preview_tick = QCheckBox("Show the proposed lumen")
        self.preview_tick.setObjectName("lumen_preview_tick")
        self.preview_tick.setToolTip("Shows what would be lumen; it follows slider and glands.")
        self.keep_tick = QCheckBox("Only for glands that have none yet")
        self.keep_tick.setObjectName("lumen_keep_tick")
        self.keep_tick.setToolTip(
            "Leaves glands alone whose epithelium and lumen were accepted, predicted or painted."
        )
        self.accept_button = self._create_accept_button()
        self.label = QLabel(EXPLANATION)
        self.label.setObjectName("lumen_label")
        self.label.setWordWrap(True)
        self._arrange()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self._propose)
        self._task = Task("lumen", self)
        self._task.done.connect(self._show)
        self._task.failed.connect(lambda error: self.failed.emit(error_text(error)))
        self._connect()

    @property
    def running(self) -> bool:
        """Whether a proposal is still to come."""
        return bool(self._timer.isActive()) or self._task.running

    @property
    def bias(self) -> float:
        """The slider's value, -1 to 1."""
        return float(self.slider.value()) / STEPS

    @property
    def bridges(self) -> list[Any]:
        """What runs threads."""
        return [self._task.bridge]

    def set_area(self, area: OpenArea | None) -> None:
        """Propose for another area; the preview of the last one goes."""
        if area is self._area:
            return
        self.hide_proposal()
        self._area = area
        for control in (self.slider, self.preview_tick, self.keep_tick):
            control.blockSignals(True)
        if area is not None:
            self.slider.setValue(round(area.info.lumen_bias * STEPS))
            self.keep_tick.setChecked(area.info.lumen_accepted)
        self.preview_tick.setChecked(False)
        for control in (self.slider, self.preview_tick, self.keep_tick):
            control.blockSignals(False)
        self._show_state()

    def on_edited(self) -> None:
        """Glands may have been changed: the preview follows."""
        if self._area is not None and self.preview_tick.isChecked():
            self._timer.start()

    def hide_proposal(self) -> None:
        """Take the preview away."""
        self._timer.stop()
        self._task.forget()
        self._proposed = None
        if self._layer is not None:
            _annotation_layers.remove_layers(self._viewer, [self._layer])
            self._layer = None

    def accept(self) -> None:
        """Write the proposal that is shown to the regions layer, or make one first."""
        self.preview_tick.setChecked(True)
        if self._proposed is None or self.running:
            self._accept_next = True
            self._timer.stop()
            self._propose()
            return
        self._write()

    def _write(self) -> None:
        area, proposed = self._area, self._proposed
        if area is None or proposed is None:
            return
        bias, regions = proposed
        old = np.asarray(area.regions_layer.data)
        _annotation_layers.set_labels(area.regions_layer, np.where(regions > 0, regions, old))
        area.change(lumen_bias=bias, lumen_accepted=True)
        self.keep_tick.setChecked(True)
        self.preview_tick.setChecked(False)
        self._show_state(
            "Accepted. Ctrl-Z in the regions layer undoes it; paint over what is wrong."
        )

    def _propose(self) -> None:
        area = self._area
        if area is None:
            return
        snapshot = area.snapshot()
        keep = self.keep_tick.isChecked()
        self._task.start(
            proposal(area, area.store.image, snapshot.glands, snapshot.regions, self.bias, keep)
        )

    def _show(self, found: tuple[OpenArea, float, npt.NDArray[np.uint8]]) -> None:
        area, bias, regions = found
        if area is not self._area or not self.preview_tick.isChecked():
            return
        self._proposed = bias, regions
        lumen = GLAND_REGIONS.code("lumen")
        shown = np.where(regions == lumen, lumen, 0).astype(np.uint8)
        self._layer = _annotation_layers.show_proposal(
            self._viewer, area.regions_layer, shown, self._layer
        )
        if not (regions > 0).any():
            self._show_state(
                "Every gland has its lumen. Take off the tick above to propose it anew."
                if area.glands.any()
                else "No gland is outlined yet."
            )
        if self._accept_next and not self.running:
            self._accept_next = False
            self._write()

    def _show_state(self, text: str = EXPLANATION) -> None:
        self._accept_next = False
        accepted = self._area is not None and self._area.info.lumen_accepted
        self.keep_tick.setVisible(accepted)
        self.label.setText(text)

    def _on_moved(self, *_: Any) -> None:
        self._accept_next = False
        self.label.setText(EXPLANATION)
        if self.preview_tick.isChecked():
            self._timer.start()
        else:
            self.preview_tick.setChecked(True)

    def _on_ticked(self, shown: bool) -> None:
        if shown:
            self._propose()
        else:
            self.hide_proposal()

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self._on_moved)
        self.preview_tick.toggled.connect(self._on_ticked)
        self.keep_tick.toggled.connect(self._on_moved)
        self.accept_button.clicked.connect(lambda: self.accept())

    def _create_slider(self) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setObjectName("lumen_slider")
        slider.setRange(-STEPS, STEPS)
        slider.setToolTip("To the right more of a gland is lumen, to the left less.")
        return slider

    def _create_accept_button(self) -> QPushButton:
        button = QPushButton("Accept the lumen")
        button.setObjectName("lumen_accept_button")
        button.setToolTip("Write the proposed lumen to the regions layer.")
        return button

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(QLabel("less"))
        row.addWidget(self.slider, 1)
        row.addWidget(QLabel("more"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        for widget in (self.preview_tick, self.keep_tick, self.accept_button, self.label):
            layout.addWidget(widget)


def proposal(
    area: OpenArea,
    image: npt.NDArray[np.uint8],
    glands: npt.NDArray[np.int32],
    regions: npt.NDArray[np.uint8],
    bias: float,
    keep: bool,
) -> Callable[[], tuple[OpenArea, float, npt.NDArray[np.uint8]]]:
    """What proposes epithelium and lumen, to be called in a thread.

    The regions it gives are 0 outside glands and, with `keep`, in glands that have some.
    """

    def propose() -> tuple[OpenArea, float, npt.NDArray[np.uint8]]:
        from ..datasets.lumen import LumenConfig, derive_regions

        wanted = glands
        if keep:
            known = np.unique(glands[GLAND_REGIONS.is_gland(regions)])
            wanted = np.where(np.isin(glands, known), 0, glands).astype(np.int32)
        if not wanted.any():
            return area, bias, np.zeros(glands.shape, np.uint8)
        # Other glands stay in the picture: where two touch, each has its own rim.
        found = derive_regions(image, glands, area.info.mpp, LumenConfig(bias=bias))
        found[wanted == 0] = 0
        return area, bias, found

    return propose
