"""Saving the figure or its numbers: where to, and in a thread, as long trainings take seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QWidget

from ..errors import GlandMTLError
from ..jobs.events import JobFailed, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._error_text import error_text
from ._job_bridge import JobBridge
from ._message_box import MessageBox

logger = logging.getLogger(__name__)

PICTURES = "PNG picture (*.png);;SVG drawing (*.svg);;PDF page (*.pdf)"
TABLES = "Table (*.csv)"
KEPT = "The trainings are as they were."


@dataclass(frozen=True)
class Saved:
    """A file is written."""

    path: Path


class FileSaver(QObject):
    """Writes one file at a time and says so.

    Parameters
    ----------
    parent : QWidget
    message : MessageBox
        Says how it went.
    """

    def __init__(self, parent: QWidget, message: MessageBox) -> None:
        super().__init__(parent)
        self._message = message
        self.bridge = JobBridge(parent)
        self.bridge.event_arrived.connect(self._on_event)

    def save(self, write: Callable[[], Path]) -> None:
        """Call `write` in a thread; it returns where it wrote."""
        if self.bridge.running:
            self._message.show_notice("The last file is still being written. Save again then.")
            return
        self._message.show_notice("Saving…")
        self.bridge.start(_job(write), "gland-mtl save figure")

    def _on_event(self, event: Any) -> None:
        if isinstance(event, Saved):
            self._message.show_notice(f"Saved: {event.path}")
        elif isinstance(event, JobFailed):
            if not isinstance(event.error, (GlandMTLError, OSError)):
                logger.error("The figure could not be saved", exc_info=event.error)
            self._message.show_error(error_text(event.error, KEPT))


def ask_where(parent: QWidget, title: str, name: str, kinds: str) -> tuple[Path, bool] | None:
    """Ask for a file to save to.

    Parameters
    ----------
    parent : QWidget
    title : str
    name : str
        Proposed, without its ending.
    kinds : str
        In the words of Qt's file dialogs, each kind with one ending.

    Returns
    -------
    (Path, bool) or None
        The file, and whether the user agreed to replace what is there; None if there is none.
    """
    suffix = _ending(kinds)
    chosen, kind = QFileDialog.getSaveFileName(parent, title, f"{name}{suffix}", kinds)
    if not chosen:
        return None
    path = Path(chosen)
    if f"*{path.suffix.lower()})" in kinds:
        return path, True
    # With another ending it is not the file that the dialog asked about.
    return path.with_name(path.name + (_ending(kind) or suffix)), False


def _ending(kind: str) -> str:
    """``.png`` of ``PNG picture (*.png);;…``."""
    return kind.partition("*")[2].partition(")")[0]


def _job(write: Callable[[], Path]) -> Job:
    def job(stop: StopToken) -> Iterator[Any]:
        yield Stage("Saving")
        yield Saved(write())

    return job
