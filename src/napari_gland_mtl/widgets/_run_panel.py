"""Run, Cancel, how far it is and how long it will take."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..jobs.runner import JobState, JobStatus
from ._result_text import duration_text

RUN = "Run"
SHARES = 1000


class RunPanel(QWidget):
    """Buttons and progress of one job."""

    run_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._in_stage = self._stopping = False
        self.run_button = self._create_run_button()
        self.cancel_button = self._create_cancel_button()
        self.bar = QProgressBar()
        self.bar.setObjectName("progress_bar")
        self.status_label = QLabel()
        self.status_label.setObjectName("status_label")
        self.status_label.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status_label)
        self.show_idle()

    def set_run_text(self, text: str) -> None:
        """What pressing the first button does."""
        self.run_button.setText(text)

    def show_busy(self, text: str, cancellable: bool = True) -> None:
        """A job has started; how much there is to do is not known yet."""
        self.run_button.setEnabled(False)
        self.cancel_button.setEnabled(cancellable)
        self._stopping = False
        self.bar.show()
        self.show_stage(text)

    def show_text(self, text: str) -> None:
        """What is being done."""
        self.status_label.setText(text)
        self.status_label.setVisible(bool(text))

    def show_status(self, status: JobStatus) -> None:
        """How far the job is."""
        if status.state is JobState.STOPPING:
            if not self._stopping:  # once: what is still done after it is said, too
                self.show_text("Stopping after this tile…")
            self._stopping = True
        elif status.done and not self._in_stage:
            left = "" if status.remaining is None else f", {_left(status.remaining)}"
            self.bar.setValue(status.done)
            self.show_text(f"{status.done:,} of {status.total:,} tiles done{left}")

    def show_total(self, total: int) -> None:
        """The tiles begin."""
        self._in_stage = False
        self.bar.setRange(0, total)
        self.bar.setValue(0)
        self.show_text(f"{total:,} tiles to do" if total != 1 else "One tile to do")

    def show_tiles(self, done: int, total: int) -> None:
        """Tiles are done, whatever was said last."""
        self._in_stage = False
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def show_stage(self, text: str) -> None:
        """A part without a known length."""
        self._in_stage = True
        self.bar.setRange(0, 0)
        self.show_text(f"{text}…")

    def show_share(self, share: float) -> None:
        """How much of the present stage is done, 0 to 1; tiles say more."""
        if self._in_stage:
            self.bar.setRange(0, SHARES)
            self.bar.setValue(round(SHARES * share))

    def show_idle(self, text: str = "") -> None:
        """No job runs."""
        self.run_button.setEnabled(True)
        self.cancel_button.setEnabled(False)
        self.bar.setRange(0, 1)
        self.bar.reset()
        self.bar.hide()
        self.show_text(text)

    def _create_run_button(self) -> QPushButton:
        button = QPushButton(RUN)
        button.setObjectName("run_button")
        button.setToolTip("Segment the chosen part of the image.")
        button.clicked.connect(lambda: self.run_clicked.emit())
        return button

    def _create_cancel_button(self) -> QPushButton:
        button = QPushButton("Cancel")
        button.setObjectName("cancel_button")
        button.setToolTip("Stop after the tile being computed, and show what is done.")
        button.clicked.connect(lambda: self.cancel_clicked.emit())
        return button


def _left(seconds: float) -> str:
    return f"about {duration_text(seconds)} left" if seconds >= 1 else "nearly done"
