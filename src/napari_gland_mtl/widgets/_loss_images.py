"""“Images” of the dock “Loss weights”: which images a training fits worst, or is uncertain about.

A table of the training images, the course of the chosen one, and a way to open it: whoever finds
an image that stands out can see whether its annotation is wrong.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..plots import (
    FigureTheme,
    ImageTable,
    Ranking,
    RunHistory,
    images_in_words,
    rank,
)
from ._loss_image_choice import ImageChoice
from ._loss_image_panels import ImagePanels
from ._loss_image_table import ImageTableView

READING = "Reading…"
NO_RUN = "Tick a training to see its images."
FIRST_OF = "Of the trainings that are ticked, the images of “{}” are shown. "
BAND = "Band and dashed line are all images together, over the epochs."
CLICK = f"Click an image to see its course. {BAND}"


class ImageControls(QWidget):
    """Words, how the images are ranked, the table and what can be done with an image."""

    open_clicked = Signal(str)
    """With the name of an image."""
    save_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("image_controls")
        self.run: RunHistory | None = None
        self.ranking: Ranking | None = None
        self.panels = ImagePanels()
        self._theme = FigureTheme()
        self._drawable = False
        self._seen: tuple[Any, ...] = ()
        self.words = _label("images_in_words")
        self.choice = ImageChoice()
        self.table = ImageTableView()
        self.hint = _label("image_hint")
        self.open_button = _button(
            "open_image", "Open image", "Add the image and its annotation to the viewer."
        )
        self.save_button = _button(
            "save_images", "Save table…", "Save the table with all its numbers (CSV)."
        )
        self._arrange()
        self._connect()
        self._show_buttons()

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.open_button)
        row.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.words)
        column.addWidget(self.choice)
        column.addWidget(self.table)
        column.addLayout(row)
        column.addWidget(self.hint)

    def _connect(self) -> None:
        self.choice.changed.connect(self._rank)
        self.table.chosen.connect(lambda _: self._show_course())
        self.table.open_clicked.connect(self.open_clicked)
        self.open_button.clicked.connect(lambda: self.open_clicked.emit(self.table.name))
        self.save_button.clicked.connect(lambda: self.save_clicked.emit())

    # ---------------------------------------------------------------- what is shown

    def show_run(self, runs: list[RunHistory], theme: FigureTheme, drawable: bool) -> None:
        """Show the images of the first of these trainings, as far as they were read.

        Parameters
        ----------
        runs : list of RunHistory
        theme : FigureTheme
        drawable : bool
            Whether figures can be drawn yet.
        """
        run = runs[0] if runs else None
        several = len(runs) > 1
        named = None if run is None else run.images
        read = run is not None and run.caught_up
        seen = (run, named, theme, drawable, several, read)
        # What is half read is worth a look once; the whole follows.
        if seen == self._seen or (run is not None and run is self.run and not read):
            return
        self._seen, self.run, self._theme, self._drawable = seen, run, theme, drawable
        if named is None:
            self.ranking = None
        table = None if named is None else ImageTable(named)
        self.choice.offer(table)
        self._rank(table)

    def _rank(self, table: ImageTable | None = None) -> None:
        if table is None and self.ranking is not None:
            table = self.ranking.table
        if table is not None:
            self.ranking = rank(table, self.choice.loss, self.choice.by(table))
        self.table.show_ranking(self.ranking)
        self._say()
        self._show_course()

    def _say(self) -> None:
        count = 0 if self.ranking is None else len(self.ranking.names)
        self.table.setVisible(count > 0)
        if self.run is None or self.ranking is None:
            self.words.setText(NO_RUN)
        elif not count and not self.run.caught_up:
            self.words.setText(READING)
        else:
            first = FIRST_OF.format(self.run.name) if self._seen[4] else ""
            self.words.setText(first + images_in_words(self.run, self.ranking))

    def _show_course(self) -> None:
        name = self.table.name
        words = self.table.images.words(name)
        known = self.ranking is not None and bool(self.ranking.names)
        self.hint.setText(f"{name}: {words}. {BAND}" if words else CLICK if known else "")
        self.hint.setVisible(known)
        self._show_buttons()
        shown = self.ranking if self._drawable else None
        self.panels.show_image(shown, name, self._theme)

    def _show_buttons(self) -> None:
        known = self.ranking is not None and bool(self.ranking.names)
        self.save_button.setEnabled(known)
        self.open_button.setEnabled(bool(self.table.name))


def _label(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _button(name: str, text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    return button
