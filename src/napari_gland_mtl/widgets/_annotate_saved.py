"""The line that says whether what was drawn is safe, and the way out when it is not."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from ._annotation_area import SaveState
from ._message_box import ERROR_COLOR

JUST_S = 3.0


class SavedLine(QWidget):
    """Says when an area was saved, or why it is not.

    Attributes
    ----------
    elsewhere_clicked : Signal
        The user wants to save in another folder.
    """

    elsewhere_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setObjectName("saved_label")
        self.label.setWordWrap(True)
        self.button = QPushButton("Save elsewhere…")
        self.button.setObjectName("save_elsewhere_button")
        self.button.setToolTip("Choose another folder; the area goes on being saved there.")
        self.button.clicked.connect(lambda: self.elsewhere_clicked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.label)
        layout.addWidget(self.button)
        self.show_text("", False)

    def show_state(self, state: SaveState, now: float) -> None:
        """Show how an area stands at the time `now`."""
        self.show_text(saved_text(state, now), bool(state.error))

    def show_text(self, text: str, failed: bool) -> None:
        """Show a sentence."""
        if self.label.text() == text:
            return
        self.label.setText(text)
        style = f"background: {ERROR_COLOR}; color: white; padding: 4px; border-radius: 3px;"
        self.label.setStyleSheet(style if failed else "")
        self.button.setVisible(failed)
        self.setVisible(bool(text))


def saved_text(state: SaveState, now: float) -> str:
    """Whether an area is saved, in words.

    Examples
    --------
    >>> saved_text(SaveState(saved_at=100.0), 112.0)
    'Saved 12 s ago'
    """
    if state.error:
        return f"Not saved: {state.error}"
    if state.saved_at is None:
        return "Not saved yet"
    ago = _ago(now - state.saved_at)
    return f"Changes are saved in a moment; last saved {ago}" if state.painted else f"Saved {ago}"


def _ago(seconds: float) -> str:
    if seconds < JUST_S:
        return "just now"
    if seconds < 100:
        return f"{seconds:.0f} s ago"
    minutes = round(seconds / 60)
    return f"{minutes} min ago" if minutes < 100 else f"{minutes // 60} h ago"
