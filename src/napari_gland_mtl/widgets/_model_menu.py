"""Models come and go as one file: import, export and remove, behind a small button."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QPushButton

from ..errors import GlandMTLError, OutputExistsError

if TYPE_CHECKING:
    from ._model_chooser import ModelChooser

FILE_FILTER = "Models (*.safetensors)"
SUFFIX = ".safetensors"


class ModelMenu(QObject):
    """The button “⋯” beside a list of models.

    Parameters
    ----------
    chooser : ModelChooser
        Its chosen model is exported; it tells what went wrong.
    """

    def __init__(self, chooser: ModelChooser) -> None:
        super().__init__(chooser)
        self._chooser = chooser
        self.button = QPushButton(chooser)
        self.button.setObjectName("model_menu_button")
        self.button.setText("⋯")
        self.button.setToolTip("Import, export or remove a model.")
        # The arrow of a popup needs room that the three dots already say.
        self.button.setStyleSheet("QPushButton::menu-indicator { image: none; width: 0px; }")
        menu = QMenu(self.button)
        menu.setToolTipsVisible(True)
        self._add(menu, "Import model…", self._ask_import, "Copy a model file into your models.")
        self.export = self._add(
            menu, "Export model…", self._ask_export, "Write the chosen model as one file to share."
        )
        self.remove = self._add(
            menu, "Remove model…", self._ask_remove, "Delete the chosen model from your models."
        )
        menu.aboutToShow.connect(self._enable)
        self.button.setMenu(menu)

    def import_file(self, path: Path, overwrite: bool = False) -> None:
        """Copy a model into the user's own models, and choose it.

        Parameters
        ----------
        path : Path
            A ``.safetensors`` file of this package.
        overwrite : bool
            Replace a model of that name.
        """
        from ..jobs.models import install_model

        try:
            entry = install_model(path, overwrite=overwrite)
        except OutputExistsError as error:
            if not overwrite and self._may_replace(path, str(error)):
                self.import_file(path, overwrite=True)
            return
        except (GlandMTLError, OSError) as error:
            self._chooser.failed.emit(str(error))
            return
        self._chooser.choose(entry.name)

    def export_to(self, path: Path) -> None:
        """Write the chosen model as one file."""
        from ..jobs.models import export_model

        try:
            # The dialog has asked whether a file may be replaced.
            export_model(self._chooser.model(), path, overwrite=True)
        except (GlandMTLError, OSError) as error:
            self._chooser.failed.emit(str(error))

    def remove_chosen(self) -> None:
        """Delete the chosen model from the user's own models."""
        from ..jobs.models import remove_model

        try:
            remove_model(self._chooser.model())
        except (GlandMTLError, OSError) as error:
            self._chooser.failed.emit(str(error))

    def _add(self, menu: QMenu, text: str, slot: Any, tooltip: str) -> Any:
        action = menu.addAction(text)
        action.setToolTip(tooltip)
        action.triggered.connect(lambda *_: slot())
        return action

    def _enable(self) -> None:
        entry = self._chooser.entry
        self.export.setEnabled(entry is not None)
        self.remove.setEnabled(entry is not None and is_own(entry.path))

    def _ask_import(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self._chooser, "Import model", "", FILE_FILTER)
        if chosen:
            self.import_file(Path(chosen))

    def _ask_export(self) -> None:
        entry = self._chooser.entry
        if entry is None:
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self._chooser, "Export model", f"{entry.name}{SUFFIX}", FILE_FILTER
        )
        if chosen:
            self.export_to(Path(chosen))

    def _ask_remove(self) -> None:
        entry = self._chooser.entry
        if entry is None:
            return
        question = f"Delete the model “{entry.name}”? Its file {entry.path} is removed for good."
        answer = QMessageBox.question(self._chooser, "Remove model", question)
        if answer == QMessageBox.StandardButton.Yes:
            self.remove_chosen()

    def _may_replace(self, path: Path, reason: str) -> bool:
        answer = QMessageBox.question(
            self._chooser, "Import model", f"{reason}\n\nReplace the model “{path.stem}”?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)


def is_own(path: Path) -> bool:
    """Whether a model lies in the user's own folder, and not among the bundled ones."""
    from ..checkpoint import model_folders

    return path.parent == model_folders()[0]
