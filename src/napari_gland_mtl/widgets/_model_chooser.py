"""Which model, and its card: where it was trained, how well it does, under which terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from ..errors import GlandMTLError, ModelNotFoundError
from ._model_card import card_markdown

OPEN_FILE = "Open model file…"
FILE_FILTER = "Models (*.safetensors);;All files (*)"


class ModelChooser(QWidget):
    """Chooses an installed model or a file, and shows its card.

    Attributes
    ----------
    failed : Signal(str)
        A file could not be used; the message says why.
    """

    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Any] = []
        self._opened: list[Any] = []
        self._last = 0
        self.combo = self._create_combo()
        self.card_button = self._create_card_button()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo, 1)
        layout.addWidget(self.card_button)
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

    def refresh(self) -> None:
        """Read the list of models again, keeping the choice."""
        from ..checkpoint import list_models

        chosen = self.entry
        self._entries = [*list_models(), *self._opened]
        names = [entry.name for entry in self._entries] or ["No model installed"]
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems(names)
        self.combo.insertSeparator(len(names))
        self.combo.addItem(OPEN_FILE)
        self.combo.setCurrentIndex(self._entries.index(chosen) if chosen in self._entries else 0)
        self._last = self.combo.currentIndex()
        self.combo.blockSignals(False)
        self.card_button.setEnabled(self.entry is not None)

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

    def _on_chosen(self, index: int) -> None:
        if self.combo.itemText(index) == OPEN_FILE:
            self.combo.setCurrentIndex(self._last)
            self._ask_for_file()
            return
        self._last = index
        self.card_button.setEnabled(self.entry is not None)

    def _ask_for_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open model file", "", FILE_FILTER)
        if path:
            self.open_file(path)

    def _show_card(self, *_: Any) -> None:
        if self.entry is not None:
            card_dialog(self.entry, self).exec()


def card_dialog(entry: Any, parent: QWidget | None = None) -> QDialog:
    """A dialog with the model's card."""
    dialog = QDialog(parent)
    dialog.setObjectName("model_card_dialog")
    dialog.setWindowTitle(f"Model “{entry.name}”")
    dialog.resize(560, 520)
    text = QTextBrowser()
    text.setOpenExternalLinks(True)
    text.setMarkdown(card_markdown(entry.card, entry.path))
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text)
    layout.addWidget(buttons)
    return dialog
