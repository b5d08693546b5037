"""A training that was cut off is offered again: by a crash, a power cut, a kill.

The run folder has all there is to go on from; one that the user does not want is not offered
again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ._message_box import NOTICE_COLOR

if TYPE_CHECKING:
    from ..jobs.runs import RunEntry

DISMISSED = "not-resumed"
ENDS = {
    "interrupted": "was cut off",
    "failed": "ended with an error",
    "stopped": "was stopped",
}
"""States of a run that can be gone on with. One that the user has stopped is put away then."""


class ResumeOffer(QFrame):
    """Says which training was cut off, and asks what to do; hidden if there is none.

    Attributes
    ----------
    resume_clicked : Signal(object)
        With the run folder.
    """

    resume_clicked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("resume_offer")
        self.setStyleSheet(
            f"#resume_offer {{ border: 1px solid {NOTICE_COLOR}; border-radius: 3px; }}"
        )
        self._run: RunEntry | None = None
        self.label = QLabel()
        self.label.setObjectName("resume_label")
        self.label.setWordWrap(True)
        self.resume_button = QPushButton("Resume")
        self.resume_button.setObjectName("resume_button")
        self.resume_button.setToolTip("Go on with it exactly where it was, with its own settings.")
        self.resume_button.clicked.connect(lambda: self._resume())
        self.dismiss_button = QPushButton("Not now")
        self.dismiss_button.setObjectName("dismiss_button")
        self.dismiss_button.setToolTip("Do not offer it again; its folder stays as it is.")
        self.dismiss_button.clicked.connect(lambda: self.dismiss())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.label)
        buttons = QHBoxLayout()
        buttons.addWidget(self.resume_button)
        buttons.addWidget(self.dismiss_button)
        layout.addLayout(buttons)
        self.hide()

    def refresh(self) -> None:
        """Look for a fine-tuning that was cut off."""
        self._run = interrupted_run()
        if self._run is None:
            self.hide()
            return
        run = self._run
        how_far = f"after epoch {run.epoch} of {run.epochs}" if run.epoch else "in its first epoch"
        self.label.setText(f"The training of “{run.name}” {ENDS[run.state]} {how_far}.")
        self.label.setToolTip("\n".join(filter(None, [run.error, str(run.path)])))
        self.show()

    def dismiss(self) -> None:
        """Do not offer this one again."""
        if self._run is not None and put_away(self._run.path):
            self.refresh()
        else:
            self.hide()

    def _resume(self) -> None:
        if self._run is not None:
            self.resume_clicked.emit(self._run.path)


def interrupted_run() -> RunEntry | None:
    """The newest fine-tuning that did not come to its end and can be gone on with."""
    from ..jobs.runs import list_runs

    for run in list_runs():
        if run.kind == "finetune" and run.state in ENDS and can_resume(run.path):
            return run
    return None


def can_resume(folder: Path) -> bool:
    """Whether there is a state to go on from, and the user has not put the offer away."""
    from ..jobs.run_folder import STATE_FILE

    return (folder / STATE_FILE).is_file() and not (folder / DISMISSED).exists()


def put_away(folder: Path) -> bool:
    """Do not offer a run again; False if that cannot be noted down."""
    try:
        (folder / DISMISSED).touch()
    except OSError:
        return False
    return True


def take_back(folder: Path) -> None:
    """Offer a run again, should it be cut off once more."""
    with suppress(OSError):
        (folder / DISMISSED).unlink(missing_ok=True)
