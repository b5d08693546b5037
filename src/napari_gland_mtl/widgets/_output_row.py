"""Where the result of a slide is written, and what to do with what is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QStandardPaths, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ._image_source import ImageSource
from ._output_state import SUFFIX, Action, Output, default_output, look_at, with_suffix


class OutputChooser(QWidget):
    """Shows where a slide's result goes, and lets the user choose.

    A folder chosen for an image is remembered while the dock is open.

    Attributes
    ----------
    action_changed : Signal
        What a run would do is something else now.
    """

    action_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: tuple[str, ImageSource] | None = None
        self._chosen: dict[str, Path] = {}
        self._output: Output | None = None
        self.edit = QLineEdit()
        self.edit.setObjectName("output_edit")
        self.edit.setReadOnly(True)
        self.change_button = self._create_change_button()
        self.note = QLabel()
        self.note.setObjectName("output_note")
        self.note.setWordWrap(True)
        self.action_combo = self._create_action_combo()
        self._arrange()

    @property
    def output(self) -> Output | None:
        """The folder and what is in it; None without an image."""
        return self._output

    @property
    def action(self) -> Action:
        """What is to be done with what is there."""
        actions = () if self._output is None else self._output.actions
        index = self.action_combo.currentIndex()
        return actions[index] if 0 <= index < len(actions) else Action.NEW

    def set_image(self, image_id: str, image: ImageSource | None) -> None:
        """Another image is to be segmented, or none."""
        self._image = None if image is None else (image_id, image)
        self.refresh()

    def choose(self, path: str | Path) -> None:
        """Write the result of the present image there."""
        if self._image is not None:
            self._chosen[self._image[0]] = with_suffix(path)
            self.refresh()

    def choose_action(self, action: Action) -> None:
        """Do this with what is there, if it can be done."""
        if self._output is not None and action in self._output.actions:
            self.action_combo.setCurrentIndex(self._output.actions.index(action))

    def refresh(self) -> None:
        """Look again at what is there."""
        if self._image is None:
            self._output = None
            self.edit.clear()
            return
        image_id, image = self._image
        path = self._chosen.get(image_id) or default_output(image, own_folder())
        self._show(look_at(path))

    def _show(self, output: Output) -> None:
        self._output = output
        self.edit.setText(output.path.name)
        self.edit.setToolTip(str(output.path))
        where = f"In {output.path.parent}."
        self.note.setText(f"{output.note} {where}" if output.note else where)
        self.action_combo.blockSignals(True)
        self.action_combo.clear()
        self.action_combo.addItems([action.value for action in output.actions])
        self.action_combo.setVisible(bool(output.actions) and output.actions != (Action.NEW,))
        self.action_combo.blockSignals(False)
        self.action_changed.emit()

    def _create_change_button(self) -> QPushButton:
        button = QPushButton("Change…")
        button.setObjectName("output_button")
        button.setToolTip("Choose where the result of this slide is written.")
        button.clicked.connect(self._ask)
        return button

    def _create_action_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("output_action_combo")
        combo.setToolTip("What to do with what is there already.")
        combo.currentIndexChanged.connect(lambda: self.action_changed.emit())
        return combo

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.edit, 1)
        row.addWidget(self.change_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.note)
        layout.addWidget(self.action_combo)

    def _ask(self, *_: Any) -> None:
        start = "" if self._output is None else str(self._output.path)
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            "Where to write the result",
            start,
            f"OME-Zarr (*{SUFFIX})",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if chosen:
            self.choose(chosen)


def own_folder() -> Path:
    """The user's documents, or home."""
    found = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(found) if found and Path(found).is_dir() else Path.home()
