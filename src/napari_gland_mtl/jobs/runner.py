"""The one place that starts a thread.

A job is a generator of events. The runner advances it in a thread of its own and keeps the
events in a queue that any other thread may empty: a timer of the window, a test, a script.
Nothing here knows a toolkit. The thread is no daemon thread, so that it is never cut down in
the middle of writing a file; when the interpreter quits, the job is asked to stop instead.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from ..errors import InvalidInputError
from .events import JobFailed, Started
from .stop import StopToken

Job = Callable[[StopToken], Iterator[Any]]
"""What is run: called in the thread with the token that it has to look at."""


@runtime_checkable
class _Progress(Protocol):
    """An event that counts steps, of this package's jobs or of a training."""

    done: int
    total: int


@runtime_checkable
class _Steps(Protocol):
    """The same, in the words of a training."""

    step: int
    total_steps: int


class JobState(Enum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self in (JobState.FINISHED, JobState.STOPPED, JobState.FAILED)


@dataclass(frozen=True)
class JobStatus:
    """A snapshot of a job.

    Attributes
    ----------
    state : JobState
    done, total : int
        Steps finished, of how many; ``total`` is 0 while that is not known.
    elapsed : float
        Seconds since the job was started, without pauses; stands still once it has ended.
    remaining : float or None
        Estimated seconds of work until the last step, without pauses; None while nothing can be
        said.
    error : BaseException or None
        What the job raised.
    """

    state: JobState
    done: int = 0
    total: int = 0
    elapsed: float = 0.0
    remaining: float | None = None
    error: BaseException | None = None


class JobRunner:
    """Runs one job in one thread.

    Parameters
    ----------
    job : callable
        ``job(stop: StopToken)`` returns an iterator of events. Both the call and the iteration
        happen in the thread.
    name : str
        Name of the thread.

    Examples
    --------
    >>> from napari_gland_mtl.jobs.events import TileDone
    >>> runner = JobRunner(lambda stop: iter([Started(total=1), TileDone(1, 1)]))
    >>> runner.start()
    >>> runner.wait(5)
    True
    >>> runner.poll()
    [Started(total=1), TileDone(done=1, total=1)]
    >>> runner.status.state
    <JobState.FINISHED: 'finished'>
    """

    def __init__(self, job: Job, name: str = "gland-mtl job") -> None:
        self._job = job
        self._stop = StopToken()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._state = JobState.WAITING
        self._done = self._total = self._first_done = 0
        self._error: BaseException | None = None
        self._began = self._ended = self._first_step = self._last_step = 0.0
        self._clock = _Clock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=False)

    def start(self) -> None:
        """Begin. A runner is used once.

        Raises
        ------
        InvalidInputError
            If it was started before.
        """
        with self._lock:
            if self._state is not JobState.WAITING:
                raise InvalidInputError("This job was started before; make a new runner.")
            self._state = JobState.RUNNING
            self._began = self._clock.now()
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop at its next boundary; returns at once, and is safe to repeat."""
        self._stop.stop()
        with self._lock:
            if self._state in (JobState.RUNNING, JobState.PAUSED):
                self._clock.go_on()
                self._state = JobState.STOPPING

    def pause(self) -> None:
        """Ask a running job to wait at its next boundary; returns at once."""
        with self._lock:
            if self._state is JobState.RUNNING:
                self._stop.pause()
                self._clock.pause()
                self._state = JobState.PAUSED

    def go_on(self) -> None:
        """Let a paused job go on; returns at once."""
        with self._lock:
            if self._state is JobState.PAUSED:
                self._stop.unpause()
                self._clock.go_on()
                self._state = JobState.RUNNING

    def poll(self) -> list[Any]:
        """All events since the last call, in order; the last of a failed job is `JobFailed`.

        Look at `status` before: once it says that the job has ended, one more call gets the rest.
        """
        events: list[Any] = []
        while True:
            try:
                events.append(self._queue.get_nowait())
            except queue.Empty:
                return events

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the thread, at most `timeout` seconds; True if it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the job was started and has not ended."""
        state = self.status.state
        return state is not JobState.WAITING and not state.ended

    @property
    def status(self) -> JobStatus:
        """A snapshot; may be asked for from any thread."""
        with self._lock:
            now = self._ended or self._clock.now()
            elapsed = now - self._began if self._began else 0.0
            return JobStatus(
                self._state, self._done, self._total, elapsed, self._remaining(now), self._error
            )

    def _remaining(self, now: float) -> float | None:
        """Seconds left, counted from the first step done: the start-up says nothing of it."""
        if self._ended or self._done <= self._first_done:
            return None
        per_step = (self._last_step - self._first_step) / (self._done - self._first_done)
        return max(0.0, per_step * (self._total - self._done) - (now - self._last_step))

    def _run(self) -> None:
        try:
            self._advance()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the watcher must hear of it
            self._queue.put(JobFailed(error))
            self._finish(JobState.FAILED, error)
        else:
            self._finish(JobState.STOPPED if self._stop.stopped else JobState.FINISHED, None)

    def _advance(self) -> None:
        for event in self._job(self._stop):
            self._count(event)
            self._queue.put(event)
            self._stop.wait_while_paused()

    def _count(self, event: object) -> None:
        with self._lock:
            if isinstance(event, Started):
                self._done, self._total = 0, event.total
            elif isinstance(event, _Progress):
                self._advance_to(event.done, event.total)
            elif isinstance(event, _Steps):
                self._advance_to(event.step, event.total_steps)

    def _advance_to(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._last_step = self._clock.now()
        if not self._first_step:
            # A resumed training begins in the middle.
            self._first_step, self._first_done = self._last_step, done

    def _finish(self, state: JobState, error: BaseException | None) -> None:
        with self._lock:
            self._clock.go_on()
            self._state, self._error, self._ended = state, error, self._clock.now()


class _Clock:
    """Seconds since any moment, without those between `pause` and `go_on`."""

    def __init__(self) -> None:
        self._paused = 0.0
        self._since: float | None = None

    def now(self) -> float:
        """Stands still while paused."""
        now = time.monotonic() if self._since is None else self._since
        return now - self._paused

    def pause(self) -> None:
        """Stand still."""
        self._since = time.monotonic()

    def go_on(self) -> None:
        """Go on where it stood still."""
        if self._since is not None:
            self._paused += time.monotonic() - self._since
            self._since = None
