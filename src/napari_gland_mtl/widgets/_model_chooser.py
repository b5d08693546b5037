"""Which model: a list that follows the model folders, so that a new one is there at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from ..errors import GlandMTLError, ModelNotFoundError
from ._model_card import card_dialog
from ._model_folders import ModelFolders
from ._model_menu import ModelMenu

OPEN_FILE = "Open model file…"
FILE_FILTER = "Models (*.safetensors);;All files (*)"


class ModelChooser(QWidget):
    """Chooses an installed model or a file, shows its card, imports and exports models.

    Attributes
    ----------
    failed : Signal(str)
        A file could not be used, or the chosen model is gone; the message says why.
    changed : Signal
        Another model is chosen.
    """

    failed = Signal(str)
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Any] = []
        self._opened: list[Any] = []
        self._last = 0
        self._announced: Any = None
        self.combo = self._create_combo()
        self.card_button = self._create_card_button()
        self.menu = ModelMenu(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo, 1)
        layout.addWidget(self.card_button)
        layout.addWidget(self.menu.button)
        self._folders = ModelFolders(self)
        self._folders.changed.connect(self.refresh)
        self.refresh()

    @property
    def entry(self) -> Any | None:
        """The chosen model's entry, with its card; None if there is none."""
        index = self.combo.currentIndex()
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def model(self) -> str:
        """The chosen model, as `SegmentConfig` takes it: its name, or its path if opened.

        Raises
        ------
        ModelNotFoundError
            If no model is installed or opened.
        """
        entry = self.entry
        if entry is None:
            raise ModelNotFoundError(
                "No model is installed. Choose “Open model file…” and take a .safetensors file "
                "that was trained with this plugin."
            )
        return str(entry.path) if entry in self._opened else str(entry.name)

    def choose(self, name: str) -> bool:
        """Choose an installed model by name; False if there is none."""
        self.refresh()
        names = [entry.name for entry in self._entries]
        if name not in names:
            return False
        self.combo.setCurrentIndex(names.index(name))
        return True

    def refresh(self) -> None:
        """Read the list of models again, keeping the choice."""
        from ..checkpoint import list_models

        chosen = self.entry
        self._entries = [*list_models(), *self._opened]
        paths = [entry.path for entry in self._entries]
        found = chosen is not None and chosen.path in paths
        self._fill(paths.index(chosen.path) if found and chosen is not None else 0)
        if chosen is not None and not found:
            now = self.entry.name if self.entry is not None else "none"
            self.failed.emit(f"The model “{chosen.name}” was removed. Chosen now: {now}.")

    def open_file(self, path: str | Path) -> None:
        """Add a model file and choose it; `failed` is emitted if it is none."""
        from ..checkpoint import ModelEntry, find_model, read_card

        try:
            weights = find_model(path)
            entry = ModelEntry(weights.stem, weights, read_card(weights))
        except (GlandMTLError, OSError) as error:
            self.failed.emit(str(error))
            return
        self._opened = [known for known in self._opened if known.path != entry.path] + [entry]
        self.refresh()
        self.combo.setCurrentIndex(self._entries.index(entry))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """A drive of the network does not tell what changed on it."""
        super().showEvent(event)
        self._folders.follow()
        self.refresh()

    def _create_combo(self) -> QComboBox:
        combo = QComboBox()
        combo.setObjectName("model_combo")
        combo.setToolTip("The trained network that is used.")
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(6)
        combo.currentIndexChanged.connect(self._on_chosen)
        return combo

    def _create_card_button(self) -> QPushButton:
        button = QPushButton("About…")
        button.setObjectName("model_card_button")
        button.setToolTip("What the model was trained on, how well it does, and its licence.")
        button.clicked.connect(self._show_card)
        return button

    def _fill(self, index: int) -> None:
        names = [entry.name for entry in self._entries] or ["No model installed"]
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems(names)
        self.combo.insertSeparator(len(names))
        self.combo.addItem(OPEN_FILE)
        self.combo.setCurrentIndex(index)
        self.combo.blockSignals(False)
        self._show_choice(index)

    def _on_chosen(self, index: int) -> None:
        if self.combo.itemText(index) == OPEN_FILE:
            self.combo.setCurrentIndex(self._last)
            self._ask_for_file()
            return
        self._show_choice(index)

    def _show_choice(self, index: int) -> None:
        self._last = index
        entry = self.entry
        self.card_button.setEnabled(entry is not None)
        path = None if entry is None else entry.path
        if path != self._announced:
            self._announced = path
            self.changed.emit()

    def _ask_for_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open model file", "", FILE_FILTER)
        if path:
            self.open_file(path)

    def _show_card(self, *_: Any) -> None:
        if self.entry is not None:
            card_dialog(self.entry, self).exec()
