"""Start, Pause and Stop of a training, how far it is, and what it has reached so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..jobs.runner import JobState, JobStatus
from ..plots import LOSS_COLORS, LOSS_TITLES
from ._measure_text import measures_line
from ._result_text import duration_text

START, PAUSE, GO_ON = "Start", "Pause", "Go on"


class FinetunePanel(QWidget):
    """Buttons and progress of a training.

    Attributes
    ----------
    start_clicked, pause_clicked, go_on_clicked, stop_clicked : Signal
    """

    start_clicked = Signal()
    pause_clicked = Signal()
    go_on_clicked = Signal()
    stop_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = ""
        self._steps = ""
        self.start_button = self._create_button("start_button", START, "Train the new model.")
        self.pause_button = self._create_button(
            "pause_button",
            PAUSE,
            "Wait, with all that was learned; the computer is free meanwhile.",
        )
        self.stop_button = self._create_button(
            "stop_button", "Stop", "End the training now; the best model so far is kept."
        )
        self.bar = QProgressBar()
        self.bar.setObjectName("finetune_bar")
        self.status_label = self._create_label("finetune_status")
        self.losses_label = self._create_label("losses_line")
        self.losses_label.setTextFormat(Qt.TextFormat.RichText)
        self.losses_label.setToolTip("The losses of the last step, before they are weighed.")
        self.measures_label = self._create_label("measures_line")
        self.measures_label.setToolTip("Measured on the validation areas after the last epoch.")
        self._arrange()
        self._connect()
        self.show_idle()

    @property
    def paused(self) -> bool:
        """Whether the button says “Go on”."""
        return bool(self.pause_button.text() == GO_ON)

    def show_busy(self, text: str) -> None:
        """A training begins."""
        self.start_button.setEnabled(False)
        self.pause_button.setEnabled(True)
        self.stop_button.setEnabled(True)
        self.pause_button.setText(PAUSE)
        self._steps = ""
        self._show_line(self.losses_label, "")
        self._show_line(self.measures_label, "")
        self.bar.show()
        self.show_stage(text)

    def show_stage(self, text: str) -> None:
        """What is done that is no step."""
        self._stage = text
        if not self._steps:
            self.bar.setRange(0, 0)
        self._show_line(self.status_label, f"{text}…")

    def show_step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """A step of the training is done."""
        self._stage = ""
        self._steps = f"Epoch {epoch:,} of {epochs:,}"
        # A bar paints itself at once, and the window with it; this one is painted with the words.
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, steps)
        self.bar.setValue(step)
        self.bar.setUpdatesEnabled(True)

    def show_losses(self, losses: Mapping[str, float]) -> None:
        """The losses of the last step."""
        self._show_line(self.losses_label, losses_html(losses))

    def show_measures(self, measures: Mapping[str, Any], start: Mapping[str, Any]) -> None:
        """The validation measures, with the start model's."""
        self._show_line(self.measures_label, measures_line(measures, start))

    def show_status(self, status: JobStatus) -> None:
        """Whether it runs, waits or ends, and how long it will take."""
        if status.state is JobState.STOPPING:
            self.stop_button.setEnabled(False)
            self.pause_button.setEnabled(False)
            self._show_line(self.status_label, "Stopping; keeping the best so far…")
        elif status.state is JobState.PAUSED:
            self.pause_button.setText(GO_ON)
            self._show_line(self.status_label, " · ".join(filter(None, ["Paused", self._steps])))
        else:
            self.pause_button.setText(PAUSE)
            self._show_line(self.status_label, self._running_words(status))

    def show_idle(self, text: str = "") -> None:
        """No training runs."""
        self.start_button.setEnabled(True)
        self.pause_button.setEnabled(False)
        self.pause_button.setText(PAUSE)
        self.stop_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.reset()
        self.bar.hide()
        self._steps = self._stage = ""
        for label in (self.losses_label, self.measures_label):
            self._show_line(label, "")
        self._show_line(self.status_label, text)

    def _running_words(self, status: JobStatus) -> str:
        left = ""
        if status.remaining is not None and self._steps:
            left = f"about {duration_text(status.remaining)} left"
        stage = f"{self._stage}…" if self._stage else ""
        return " · ".join(filter(None, [self._steps, stage, left])) or "Starting…"

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button, 2)
        buttons.addWidget(self.pause_button, 1)
        buttons.addWidget(self.stop_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        for widget in (self.bar, self.status_label, self.measures_label, self.losses_label):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.start_button.clicked.connect(lambda: self.start_clicked.emit())
        self.stop_button.clicked.connect(lambda: self.stop_clicked.emit())
        self.pause_button.clicked.connect(lambda: self._on_pause())

    def _on_pause(self) -> None:
        (self.go_on_clicked if self.paused else self.pause_clicked).emit()

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

    def _show_line(self, label: QLabel, text: str) -> None:
        if label.text() != text:
            label.setText(text)
        label.setVisible(bool(text))


def losses_html(losses: Mapping[str, float]) -> str:
    """Each loss behind a square of its colour; the words keep the colour of the theme."""
    parts = []
    for name, value in losses.items():
        square = f'<span style="color:{LOSS_COLORS.get(name, "gray")}">■</span>'
        parts.append(f"{square}&nbsp;{LOSS_TITLES.get(name, name)}&nbsp;{value:.3f}")
    return "&nbsp; ".join(parts)
