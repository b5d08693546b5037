"""What was found: the image's class, the glands, the legend; and where to go from there."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..export.uncertainty_map import UNCERTAINTY
from ..segmentation import Segmentation
from . import _result_text as words
from ._layer_styles import legend
from ._legend import LegendBox
from ._uncertainty_row import UncertaintyRow


class ResultPanel(QWidget):
    """Sentences about a segmentation, its legend, and the buttons to save and list it."""

    save_clicked = Signal()
    table_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.class_label = self._create_label("class_label")
        font = self.class_label.font()
        font.setBold(True)
        self.class_label.setFont(font)
        self.disclaimer = self._create_label("disclaimer_label")
        self.disclaimer.setText(words.DISCLAIMER)
        self.gland_label = self._create_label("gland_label")
        self.part_label = self._create_label("part_label")
        self.topology_label = self._create_label("topology_label")
        self.legend_box = LegendBox()
        self.table_button = self._create_button(
            "Gland table", "table_button", "Open napari's table with one row per gland."
        )
        self.save_button = self._create_button(
            "Save masks…", "save_button", "Write image, masks and table to one OME-Zarr folder."
        )
        self.uncertainty = UncertaintyRow()
        self.table_button.clicked.connect(lambda: self.table_clicked.emit())
        self.save_button.clicked.connect(lambda: self.save_clicked.emit())
        self._arrange()
        self.hide()

    def show_segmentation(self, segmentation: Segmentation, uncertainty: Any = None) -> None:
        """Describe a result; `uncertainty` is the layer that shows it."""
        found = segmentation
        self.class_label.setText(
            words.class_sentence(found.class_probabilities, found.class_is_supported)
        )
        self.gland_label.setText(words.gland_sentence(found))
        self.part_label.setText(
            "" if found.complete else "Incomplete: the run was stopped before its end."
        )
        self.part_label.setVisible(not found.complete)
        self.topology_label.setText(words.topology_sentence(found.violations_raw, found.violations))
        self.topology_label.setToolTip(
            words.topology_details(found.violations_raw, found.violations)
        )
        counts, unknown = words.class_counts(found)
        self.legend_box.show_entries(legend(found.hierarchy, counts, unknown))
        glands = len(found.table.get("label", ()))
        self.table_button.setEnabled(bool(glands))
        self.uncertainty.show_state(uncertainty, glands, UNCERTAINTY in found.table)
        self.show()

    def _create_label(self, name: str) -> QLabel:
        label = QLabel()
        label.setObjectName(name)
        label.setWordWrap(True)
        return label

    def _create_button(self, text: str, name: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        return button

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        for widget in (
            self.class_label,
            self.disclaimer,
            self.part_label,
            self.gland_label,
            self.legend_box,
            self.topology_label,
        ):
            layout.addWidget(widget)
        layout.addWidget(self.uncertainty)
        row = QHBoxLayout()
        row.addWidget(self.table_button)
        row.addWidget(self.save_button)
        layout.addLayout(row)
