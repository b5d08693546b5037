"""How certain the model is, in the panel of a result: show it, sort by it, annotate by it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ._least_certain import NO_UNCERTAINTY

SHOW = "Show uncertainty (bright green)"


class UncertaintyRow(QWidget):
    """A tick for the layer of uncertainty, and two buttons for the least certain glands.

    Attributes
    ----------
    first_clicked : Signal
        The gland table is wanted, the least certain gland first.
    next_clicked : Signal
        An area around the least certain gland is wanted.
    """

    first_clicked = Signal()
    next_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Any = None
        self.tick = QCheckBox(SHOW)
        self.tick.setObjectName("uncertainty_tick")
        self.tick.setToolTip(
            "Bright green where the model could not decide: borders are always a little, a wrong "
            "gland often as a whole."
        )
        self.note = QLabel()
        self.note.setObjectName("uncertainty_note")
        self.note.setWordWrap(True)
        self.first_button = _button(
            "Least certain first",
            "least_certain_button",
            "Open the gland table, the least certain gland first. A click on a row goes there.",
        )
        self.next_button = _button(
            "Annotate next",
            "annotate_next_button",
            "Make an area around the least certain gland that is in no annotated area yet, ready "
            "to be corrected.",
        )
        self.tick.toggled.connect(self._on_ticked)
        self.first_button.clicked.connect(lambda: self.first_clicked.emit())
        self.next_button.clicked.connect(lambda: self.next_clicked.emit())
        self._arrange()

    def show_state(self, layer: Any | None, glands: int, known: bool, listed: bool = True) -> None:
        """Follow another layer.

        Parameters
        ----------
        layer : napari.layers.Image or None
            That shows the uncertainty.
        glands : int
            How many were found.
        known : bool
            Whether the result says how certain the model is of them.
        listed : bool
            Whether the table can be shown in the window.
        """
        self.forget_layer()
        self._layer = layer
        self.tick.setVisible(layer is not None)
        if layer is not None:
            layer.events.visible.connect(self._follow)
            self._follow()
        self.first_button.setVisible(listed)
        for button in (self.first_button, self.next_button):
            button.setEnabled(known and glands > 0)
        self.note.setText("" if known or not glands else NO_UNCERTAINTY)
        self.note.setVisible(bool(self.note.text()))

    def forget_layer(self) -> None:
        """Stop following the layer, which lives longer than this."""
        if self._layer is not None:
            self._layer.events.visible.disconnect(self._follow)
            self._layer = None

    def _on_ticked(self, ticked: bool) -> None:
        if self._layer is not None and self._layer.visible != ticked:
            self._layer.visible = ticked

    def _follow(self, event: Any = None) -> None:
        self.tick.setChecked(bool(self._layer.visible))

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.first_button)
        buttons.addWidget(self.next_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.tick)
        layout.addWidget(self.note)
        layout.addLayout(buttons)


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    return button
