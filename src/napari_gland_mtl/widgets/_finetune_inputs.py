"""All that “Fine-tune” asks: which areas, from which model, and what the new one is called."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..errors import InvalidInputError
from ._finetune_settings import FinetuneSettings
from ._finetune_table import AreaTable
from ._model_chooser import ModelChooser

_TUNED = re.compile(r" tuned( \d+)?$")
NO_AREAS = (
    "No annotated areas yet. Open a slide and press “Annotate…”, or press “Add project…” for "
    "annotations made before."
)


class FinetuneInputs(QWidget):
    """The dock's controls.

    Attributes
    ----------
    add_clicked, annotate_clicked : Signal
    changed : Signal
        Something that decides whether, and with what, a training can start.
    """

    add_clicked = Signal()
    annotate_clicked = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = AreaTable()
        self.annotate_button = self._create_button(
            "annotate_button", "Annotate…", "Open the dock in which areas are annotated."
        )
        self.add_button = self._create_button(
            "add_project_button",
            "Add project…",
            "Add the annotations of a slide that is not open: its folder NAME.annotations.zarr, "
            "or a folder with several of them.",
        )
        self.all_button = self._create_button("tick_all_button", "All", "Tick all areas.")
        self.none_button = self._create_button("tick_none_button", "None", "Tick no area.")
        self.summary = QLabel(NO_AREAS)
        self.summary.setObjectName("areas_summary")
        self.summary.setWordWrap(True)
        self.model_chooser = ModelChooser()
        self.name_edit = self._create_name_edit()
        self.settings = FinetuneSettings()
        self._name_typed = False
        self._arrange()
        self._connect()
        self.suggest_name()

    def name(self) -> str:
        """Of the new model.

        Raises
        ------
        InvalidInputError, OutputExistsError
            If no model can have it.
        """
        from ..jobs.models import check_new_name

        name = str(self.name_edit.text().strip())
        if not name:
            raise InvalidInputError("The new model has no name. Enter one under “New model”.")
        check_new_name(name)
        return name

    def suggest_name(self) -> None:
        """A name that is free, unless the user has entered one."""
        from ..jobs.models import free_name

        entry = self.model_chooser.entry
        if not self._name_typed and entry is not None:
            stem = _TUNED.sub("", entry.name)
            self.name_edit.setText(free_name(f"{stem} tuned"))

    def forget_name(self) -> None:
        """The name belongs to a model now; suggest another for the next one."""
        self._name_typed = False
        self.suggest_name()

    def summarize(self) -> None:
        """Say in a sentence what would be learned from what."""
        self.summary.setText(summary_of(self.table))

    def set_running(self, running: bool) -> None:
        """Nothing that a training was started with may change while it runs."""
        for widget in (
            self.table,
            self.add_button,
            self.all_button,
            self.none_button,
            self.model_chooser,
            self.name_edit,
            self.settings.losses,
            self.settings.form,
            self.settings.device,
            self.settings.more,
            self.settings.reset_button,
        ):
            widget.setEnabled(not running)

    def _create_button(self, name: str, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        return button

    def _create_name_edit(self) -> QLineEdit:
        edit = QLineEdit()
        edit.setObjectName("new_model_edit")
        edit.setToolTip("What the new model is called in the lists of models.")
        return edit

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.annotate_button, self.add_button):
            buttons.addWidget(button, 2)
        for button in (self.all_button, self.none_button):
            buttons.addWidget(button, 1)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, (text, control) in enumerate(
            (("Start model", self.model_chooser), ("New model", self.name_edit))
        ):
            grid.addWidget(QLabel(text), row, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(control, row, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.table)
        layout.addWidget(self.summary)
        layout.addLayout(grid)
        layout.addWidget(self.settings)

    def _connect(self) -> None:
        self.add_button.clicked.connect(lambda: self.add_clicked.emit())
        self.annotate_button.clicked.connect(lambda: self.annotate_clicked.emit())
        self.all_button.clicked.connect(lambda: self.table.tick_all(True))
        self.none_button.clicked.connect(lambda: self.table.tick_all(False))
        self.table.changed.connect(self._on_table_changed)
        self.model_chooser.changed.connect(self.suggest_name)
        self.name_edit.textEdited.connect(self._on_name_typed)
        self.settings.changed.connect(lambda: self.changed.emit())

    def _on_table_changed(self) -> None:
        self.summarize()
        self.changed.emit()

    def _on_name_typed(self, text: str) -> None:
        self._name_typed = bool(text.strip())
        self.changed.emit()


def summary_of(table: AreaTable) -> str:
    """What would be learned from what, in a sentence."""
    if not table.areas:
        return NO_AREAS
    plan: dict[Any, str] = dict(table.plan())
    ticked = table.ticked()
    if not ticked:
        return "No area is ticked. Tick those that the model is to learn from."
    teaching = [area for area in ticked if plan[area.key] == "training"]
    testing = len(ticked) - len(teaching)
    glands = sum(area.stored.glands for area in teaching)
    slides = len({area.stored.info.slide for area in teaching})
    text = (
        f"Learns from {counted(glands, 'gland')} in {counted(len(teaching), 'area')} of "
        f"{counted(slides, 'slide')}; "
    )
    if testing:
        return f"{text}{counted(testing, 'area')} {'measures' if testing == 1 else 'measure'} it."
    return f"{text}no area is left to measure it, so the last epoch is kept."


def counted(number: int, noun: str) -> str:
    """``1 area``, ``12 areas``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
