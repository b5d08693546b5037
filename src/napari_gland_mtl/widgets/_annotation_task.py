"""One function at a time in a thread, its result in the window's thread.

For what takes a moment and would make the window stutter: saving, checking, a proposal of the
lumen. If more is asked for while one runs, only the last request counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal

from ..jobs.events import JobFailed
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._job_bridge import JobBridge


@dataclass(frozen=True)
class _Result:
    value: Any


class Task(QObject):
    """Runs functions in a thread.

    Parameters
    ----------
    name : str
        Of the thread.
    parent : QObject
        The thread is waited for when it goes away.

    Attributes
    ----------
    done, failed : Signal(object)
        What the function returned, or raised.
    """

    done = Signal(object)
    failed = Signal(object)

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = f"gland-mtl {name}"
        self._next: Callable[[], Any] | None = None
        self._outcome: tuple[Any, Any] | None = None
        self.bridge = JobBridge(self)
        self.bridge.event_arrived.connect(self._on_event)
        self.bridge.ended.connect(self._on_ended)

    @property
    def running(self) -> bool:
        """Whether a function runs or its result has not been passed on."""
        return self.bridge.running

    def start(self, function: Callable[[], Any]) -> None:
        """Call `function` in a thread, after the one that runs."""
        if self.bridge.running:
            self._next = function
        else:
            self._outcome = None
            self.bridge.start(_job(function), self._name)

    def forget(self) -> None:
        """Start nothing more."""
        self._next = None

    def _on_event(self, event: Any) -> None:
        self._outcome = (
            (self.failed, event.error) if isinstance(event, JobFailed) else (self.done, event.value)
        )

    def _on_ended(self, status: Any) -> None:
        outcome, self._outcome = self._outcome, None
        following, self._next = self._next, None
        if following is not None:
            self.start(following)
        if outcome is not None:
            signal, value = outcome
            signal.emit(value)


def _job(function: Callable[[], Any]) -> Job:
    def job(stop: StopToken) -> Iterator[_Result]:
        yield _Result(function())

    return job
