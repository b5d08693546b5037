"""All that “Segment slides” asks: the list, where the results go, and the settings of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ._advanced import AdvancedSettings
from ._device_chooser import DeviceChooser
from ._model_chooser import ModelChooser
from ._slide_table import SlideTable
from ._tissue_row import TissueControls

GO_ON, REPLACE = "Go on with earlier results", "Replace earlier results"
TABLE_HEIGHT = 180


class QueueInputs(QWidget):
    """The dock's controls."""

    add_slides_clicked = Signal()
    add_folder_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = SlideTable()
        self.table.setMinimumHeight(TABLE_HEIGHT)
        self.table.set_editable(True)
        self.add_button = self._create_button(
            "Add slides…", "add_slides_button", "Choose one or several slides."
        )
        self.folder_button = self._create_button(
            "Add folder…", "add_folder_button", "Add all images in a folder."
        )
        self.remove_button = self._create_button(
            "Remove", "remove_slides_button", "Take the selected slides out of the list."
        )
        self.output_edit = QLineEdit()
        self.output_edit.setObjectName("queue_output_edit")
        self.output_edit.setReadOnly(True)
        self.output_edit.setPlaceholderText("chosen with the first slide")
        self.output_button = self._create_button(
            "Change…", "queue_output_button", "Choose the folder that all results are written to."
        )
        self.earlier_combo = self._create_earlier_combo()
        self.tissue = TissueControls(preview=False)
        self.model_chooser = ModelChooser()
        self.device_chooser = DeviceChooser()
        self.advanced = AdvancedSettings(slides=True)
        self._folder: Path | None = None
        self._settings = self._create_settings()
        self._arrange()
        self._connect()

    @property
    def folder(self) -> Path | None:
        """Where the results go; None before the first slide."""
        return self._folder

    @property
    def overwrite(self) -> bool:
        """Whether earlier results are replaced."""
        return self.earlier_combo.currentText() == REPLACE

    def set_folder(self, folder: Path) -> None:
        """Write all results there."""
        self._folder = folder
        self.output_edit.setText(str(folder))
        self.output_edit.setToolTip(str(folder))

    def settings(self) -> dict[str, Any]:
        """Arguments of `SlideConfig`, without the pixel size; not checked yet.

        Raises
        ------
        ModelNotFoundError
            If there is no model.
        """
        return {
            **self.advanced.values(),
            "model": self.model_chooser.model(),
            "device": self.device_chooser.device(),
            "tissue": self.tissue.config(),
        }

    def set_running(self, running: bool) -> None:
        """Nothing may change while slides are segmented, but the list can be read."""
        for widget in (self.add_button, self.folder_button, self.remove_button, self._settings):
            widget.setEnabled(not running)
        self.table.set_editable(not running)

    def _create_button(self, text: str, name: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        return button

    def _create_earlier_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("earlier_results_combo")
        combo.addItems([GO_ON, REPLACE])
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setToolTip(
            "Results that are in the folder already: leave what is complete and go on with what is "
            "not, or do all of them anew."
        )
        return combo

    def _create_settings(self) -> QWidget:
        box = QWidget()
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        output = QHBoxLayout()
        output.addWidget(self.output_edit, 1)
        output.addWidget(self.output_button)
        grid.addWidget(QLabel("Results in"), 0, 0)
        grid.addLayout(output, 0, 1)
        rows = {
            "": self.earlier_combo,
            "Tissue": self.tissue,
            "Model": self.model_chooser,
            "Device": self.device_chooser,
        }
        for row, (text, control) in enumerate(rows.items(), 1):
            label = QLabel(text)
            label.setMinimumHeight(self.earlier_combo.sizeHint().height())
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(control, row, 1)
        grid.addWidget(self.advanced, len(rows) + 1, 0, 1, 2)
        return box

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.add_button, self.folder_button, self.remove_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._settings)

    def _connect(self) -> None:
        self.add_button.clicked.connect(lambda: self.add_slides_clicked.emit())
        self.folder_button.clicked.connect(lambda: self.add_folder_clicked.emit())
        self.remove_button.clicked.connect(lambda: self.table.remove_selected())
        self.output_button.clicked.connect(lambda: self._ask_for_folder())

    def _ask_for_folder(self) -> None:
        start = "" if self._folder is None else str(self._folder)
        chosen = QFileDialog.getExistingDirectory(self, "Where to write the results", start)
        if chosen:
            self.set_folder(Path(chosen))
