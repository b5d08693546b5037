"""The list of areas, with whose tissue they show and the place where they are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ._annotate_list import AreaList, Row
from ._annotate_patient import PatientField
from ._annotation_places import Places

_BREAKS = re.compile(r"([/\\_.-])")
"""Where a path may go on in the next line; else a long name makes the dock wider than it is."""


class AreasPanel(QWidget):
    """Areas of the chosen image, and where they are.

    Attributes
    ----------
    place_clicked : Signal
        The user wants them in another folder.
    next_clicked : Signal
        The user wants an area around the least certain gland that is in none.
    """

    place_clicked = Signal()
    next_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel("<b>Areas of this image</b>")
        self.list = AreaList()
        self.patient = PatientField()
        self.place_label = QLabel()
        self.place_label.setObjectName("place_label")
        self.place_label.setWordWrap(True)
        self.place_button = QPushButton("Elsewhere…")
        self.place_button.setObjectName("place_button")
        self.place_button.setToolTip(
            "Choose the folder in which new areas of this image are kept; areas that lie there "
            "already are listed."
        )
        self.place_button.clicked.connect(lambda: self.place_clicked.emit())
        self.next_button = QPushButton("Annotate next")
        self.next_button.setObjectName("next_area_button")
        self.next_button.setToolTip(
            "Make an area around the gland that the model is least certain of, among those in no "
            "area yet. The image must have been segmented."
        )
        self.next_button.clicked.connect(lambda: self.next_clicked.emit())
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.next_button)
        row = QHBoxLayout()
        row.addWidget(self.place_label, 1)
        row.addWidget(self.place_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.list)
        layout.addWidget(self.patient)
        layout.addLayout(row)

    def show_areas(self, places: Places | None, rows: Sequence[Row]) -> None:
        """List areas, and say where new ones are kept."""
        self.list.show_rows(rows)
        self.setVisible(places is not None)
        if places is not None:
            # Beside the image its folder is known; elsewhere nobody could guess it.
            where = places.default if places.note else places.default.name
            text = f"{places.note} Kept in {where}.".strip()
            self.place_label.setText(_BREAKS.sub("\\1\u200b", text))
            self.place_label.setToolTip(str(places.default))
