"""An inline box that says what went wrong, or what to know, and stays until the next run."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

# Dark grounds with white text: at least 4.5 : 1 in the light and the dark theme.
ERROR_COLOR = "#a1260d"
NOTICE_COLOR = "#0b5394"


class MessageBox(QFrame):
    """A text on a coloured ground, with a button where something can be done about it.

    Hidden while there is nothing to say.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message_box")
        self._action: Callable[[], None] | None = None
        self.label = QLabel()
        self.label.setObjectName("message_label")
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = QPushButton()
        self.button.setObjectName("message_button")
        self.button.clicked.connect(self._act)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.label)
        layout.addWidget(self.button)
        self.hide()

    def text(self) -> str:
        """What it says; empty if nothing."""
        return str(self.label.text())

    def show_error(self, text: str) -> None:
        """Say what went wrong and how to mend it."""
        self._show(text, ERROR_COLOR)

    def show_notice(
        self, text: str, offer: str = "", action: Callable[[], None] | None = None
    ) -> None:
        """Say something to know; a button with the text `offer` calls `action`."""
        self._show(text, NOTICE_COLOR)
        self._action = action
        self.button.setText(offer)
        self.button.setVisible(action is not None)

    def clear_message(self) -> None:
        """Say nothing."""
        self.label.clear()
        self._action = None
        self.hide()

    def _act(self, *_: object) -> None:
        action = self._action
        self.clear_message()
        if action is not None:
            action()

    def _show(self, text: str, color: str) -> None:
        self._action = None
        self.button.hide()
        self.label.setText(text)
        self.setStyleSheet(
            f"#message_box {{ background: {color}; border-radius: 3px; }}"
            "#message_label { background: transparent; color: white; }"
        )
        self.show()
