"""What was found on a slide: statement, glands and their area by class, and what to look at."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from ..segmentation import TopologyViolations
from . import _result_text as words
from ._layer_styles import legend
from ._legend import LegendBox
from ._slide_layers import ShownSlide
from ._uncertainty_row import UncertaintyRow


class SlideResultPanel(QWidget):
    """Sentences about the result of a slide, its legend, and the way to its table."""

    table_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.statement_label = self._create_label("slide_statement_label")
        font = self.statement_label.font()
        font.setBold(True)
        self.statement_label.setFont(font)
        self.disclaimer = self._create_label("slide_disclaimer_label")
        self.disclaimer.setText(words.DISCLAIMER)
        self.part_label = self._create_label("slide_part_label")
        self.area_label = self._create_label("slide_area_label")
        self.legend_box = LegendBox()
        self.topology_label = self._create_label("slide_topology_label")
        self.trouble_label = self._create_label("slide_trouble_label")
        self.map_label = self._create_label("slide_map_label")
        self.table_label = self._create_label("slide_table_label")
        self.table_button = QPushButton("Gland table")
        self.table_button.setObjectName("slide_table_button")
        self.table_button.setToolTip("Open napari's table with one row per gland.")
        self.table_button.clicked.connect(lambda: self.table_clicked.emit())
        self.uncertainty = UncertaintyRow()
        self._arrange()
        self.hide()

    def show_slide(self, shown: ShownSlide) -> None:
        """Describe a result."""
        summary = shown.summary
        self.statement_label.setText(summary["statement"])
        self.area_label.setText(words.slide_area_sentence(summary))
        self.legend_box.show_entries(legend(shown.hierarchy, words.slide_class_rows(summary)))
        raw, now = (
            TopologyViolations(**summary[name]) for name in ("violations_raw", "violations")
        )
        self.topology_label.setText(words.topology_sentence(raw, now))
        self.topology_label.setToolTip(words.topology_details(raw, now))
        _say(self.part_label, words.slide_part_sentence(summary))
        _say(self.trouble_label, words.slide_trouble_sentence(summary))
        _say(self.map_label, words.maps_sentence(shown.maps))
        self._show_table(shown)
        self.show()

    def _show_table(self, shown: ShownSlide) -> None:
        glands = shown.summary["glands"]
        listed = shown.rows >= glands > 0
        self.table_button.setVisible(listed)
        known = shown.uncertainty is not None
        self.uncertainty.show_state(shown.uncertainty, glands, known, listed)
        where = f"The result is in {shown.path}"
        if glands and not listed:
            where += f", its table of {glands:,} glands, too long for this window, in tables/glands"
        self.table_label.setText(f"{where}.")

    def _create_label(self, name: str) -> QLabel:
        label = QLabel()
        label.setObjectName(name)
        label.setWordWrap(True)
        return label

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        for widget in (
            self.statement_label,
            self.disclaimer,
            self.part_label,
            self.area_label,
            self.legend_box,
            self.topology_label,
            self.trouble_label,
            self.map_label,
            self.table_label,
            self.uncertainty,
            self.table_button,
        ):
            layout.addWidget(widget)


def _say(label: QLabel, text: str) -> None:
    """Show a text; nothing takes no room."""
    label.setText(text)
    label.setVisible(bool(text))
