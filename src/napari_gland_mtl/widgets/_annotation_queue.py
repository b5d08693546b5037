"""What is still to be written of areas that are not open: in order, each once, all at the end.

A thread takes one request after the other; when everything has to be on disk now, whoever needs it
takes the rest himself. It calls nothing of Qt: it must still work while the window is destroyed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import GlandMTLError, OutputNotWritableError
from ..jobs.stop import StopToken
from ._annotate_files import Changed, Identity
from ._error_text import error_text

logger = logging.getLogger(__name__)

LONGEST_S = 30.0
"""What is waited for when everything has to be on disk now."""


@dataclass(frozen=True)
class Work:
    """Something to be done to an area on disk.

    Attributes
    ----------
    identity : tuple
    run : callable
        Does it, in any thread.
    request : object
        What was asked for, for whoever asked.
    """

    identity: Identity
    run: Callable[[], Changed]
    request: Any = None


Outcome = tuple[Work, Changed | BaseException]


class WriteQueue:
    """Does one thing after the other, in whatever thread asks for it."""

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._turn = threading.Lock()
        self._held = False
        self._written: set[Identity] = set()

    @property
    def waiting(self) -> bool:
        """Whether something has not been begun."""
        return bool(self._waiting)

    @property
    def held(self) -> bool:
        """Whether nothing is begun for the moment."""
        return self._held

    def add(self, work: Work) -> None:
        """Ask for something."""
        self._waiting.append(work)

    def hold(self) -> None:
        """Begin nothing more, until everything has to be on disk."""
        self._written.clear()
        self._held = True

    def release(self) -> list[Work]:
        """Go on; gives what has waited, to be asked for again."""
        waited: list[Work] = []
        while self._held and self._waiting:  # the thread takes nothing: it is held
            waited.append(self._waiting.popleft())
        self._held = False
        return waited

    def written_meanwhile(self, identity: Identity) -> bool:
        """Whether an area was written since `hold` all the same."""
        return identity in self._written

    def job(self, stop: StopToken) -> Iterator[Work]:
        """Do what waits; says what was done. A stop is not heeded: it must be written."""
        while (work := self._do_next()) is not None:
            yield work

    def finish(self, longest_s: float = LONGEST_S) -> None:
        """Do all there is, and wait for what is being done.

        Raises
        ------
        GlandMTLError
            If something could not be written (the rest was), or not in time.
        """
        until = time.monotonic() + longest_s
        while self._waiting:
            self._take_turn(until)
            try:
                self._begin_next()
            finally:
                self._turn.release()
        self._take_turn(until)  # the thread may be at the last one
        self._turn.release()
        for _, outcome in tuple(self._outcomes):
            if isinstance(outcome, BaseException):
                raise said(outcome)

    def outcomes(self) -> Iterator[Outcome]:
        """What became of what was asked for; each is given once."""
        while self._outcomes:
            yield self._outcomes.popleft()

    def _take_turn(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0 or not self._turn.acquire(timeout=left):
            raise OutputNotWritableError(
                "A name or a patient that you gave to an area is not written yet. Its drive is "
                "slow, or another program is writing there: wait a moment and try again."
            )

    def _do_next(self) -> Work | None:
        with self._turn:
            return None if self._held else self._begin_next()

    def _begin_next(self) -> Work | None:
        if not self._waiting:
            return None
        work = self._waiting.popleft()
        if self._held:
            self._written.add(work.identity)
        self._outcomes.append((work, _done(work)))
        return work


def _done(work: Work) -> Changed | BaseException:
    try:
        return work.run()
    except GlandMTLError as error:
        logger.warning("%s", error)  # the dock that would show it may be closed
        return error
    except Exception as error:  # whatever it is, the user must hear of it
        logger.error("An area could not be changed", exc_info=error)
        return error


def said(error: BaseException) -> GlandMTLError:
    """An error in words for the user."""
    return error if isinstance(error, GlandMTLError) else GlandMTLError(error_text(error, ""))
