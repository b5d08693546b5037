"""What a training has brought: a small table, a sentence that also says when it got worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGroupBox, QLabel, QPushButton, QVBoxLayout, QWidget

from ._measure_text import MEASURES, change, change_text, verdict

# Readable on the dark and on the light ground.
WAY_COLORS = {1: "#009e73", -1: "#d55e00", 0: "gray"}


class FinetuneResult(QGroupBox):
    """The end of a training; hidden until there is one.

    Attributes
    ----------
    use_clicked, weights_clicked, go_on_clicked : Signal
    """

    use_clicked = Signal()
    weights_clicked = Signal()
    go_on_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("New model", parent)
        self.setObjectName("finetune_result")
        self.model = ""
        self.verdict_label = self._create_label("verdict_label")
        self.table_label = self._create_label("before_after_table")
        self.table_label.setTextFormat(Qt.TextFormat.RichText)
        self.place_label = self._create_label("model_place_label")
        self.use_button = self._create_button(
            "use_button", "Use it in Segment glands", "Open that dock with the new model chosen."
        )
        self.go_on_button = self._create_button(
            "go_on_button", "Train it further", "Go on with the stopped training where it was."
        )
        self.use_button.clicked.connect(lambda: self.use_clicked.emit())
        self.go_on_button.clicked.connect(lambda: self.go_on_clicked.emit())
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        for widget in (self.verdict_label, self.table_label, self.place_label):
            layout.addWidget(widget)
        for button in (self.use_button, self.go_on_button):
            layout.addWidget(button)
        self.hide()

    def show_model(
        self, name: str, before: Mapping[str, Any], after: Mapping[str, Any], stopped: bool
    ) -> None:
        """Say what the model `name` does better or worse than the one it began as."""
        self.model = name
        self.setTitle(f"New model “{name}”")
        self.verdict_label.setText(verdict(before, after))
        table = table_html(before, after)
        self.table_label.setText(table)
        self.table_label.setVisible(bool(table))
        self.place_label.setText(
            f"“{name}” is in the model list of every dock now. “⋯” beside the list exports it as "
            "one file."
        )
        self.go_on_button.setVisible(stopped)
        self.show()

    def _create_button(self, name: str, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        return button

    def _create_label(self, name: str) -> QLabel:
        label = QLabel()
        label.setObjectName(name)
        label.setWordWrap(True)
        return label


def table_html(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Measures with a row each: start model, new model, which way; empty without measures."""
    rows = []
    for name, measure in MEASURES.items():
        if name not in after:
            continue
        old, new = before.get(name), after.get(name)
        color = WAY_COLORS[change(name, old, new)]
        cells = "".join(f'<td align="right">{measure.text(v)}&nbsp;&nbsp;</td>' for v in (old, new))
        word = f'<td style="color:{color}">{change_text(name, old, new)}</td>'
        rows.append(f"<tr><td>{measure.title}&nbsp;&nbsp;</td>{cells}{word}</tr>")
    if not rows:
        return ""
    titles = "".join(f'<td align="right">{t}&nbsp;&nbsp;</td>' for t in ("start", "new"))
    return f"<table><tr><td></td>{titles}<td></td></tr>{''.join(rows)}</table>"
