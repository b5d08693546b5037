"""The one way to ask a running job to stop, or to pause.

A job looks at its token between tiles or steps, ends as it would have anyway, and keeps what it
has done. Setting the token is safe from any thread and from a signal handler.
"""

from __future__ import annotations

import threading

LOOK_S = 0.2


class StopToken:
    """A flag that goes up once, and another one that may go up and down before that.

    Examples
    --------
    >>> token = StopToken()
    >>> token.stopped
    False
    >>> token.pause()
    >>> token.paused
    True
    >>> token.stop()
    >>> token.stopped, token.paused
    (True, False)
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._going = threading.Event()
        self._going.set()

    def stop(self) -> None:
        """Ask the job to stop at its next boundary, paused or not."""
        self._event.set()
        self._going.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, or the program is at its end and nobody is left to do so."""
        # The interpreter waits for the threads of jobs before it lets anybody else stop them.
        return self._event.is_set() or not threading.main_thread().is_alive()

    def pause(self) -> None:
        """Ask the job to wait at its next boundary until `unpause` or `stop`."""
        self._going.clear()

    def unpause(self) -> None:
        """Let a paused job go on."""
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether the job is to wait."""
        return not (self._going.is_set() or self.stopped)

    def wait_while_paused(self) -> None:
        """Return once the job is to go on or to stop; at once if it is not paused."""
        while self.paused:
            self._going.wait(LOOK_S)

    def patient(self) -> StopToken:
        """The token for work that asks for `stopped` alone: it waits there while paused."""
        return _PatientToken(self)


class _PatientToken(StopToken):
    """Another view of a token; see `StopToken.patient`."""

    def __init__(self, token: StopToken) -> None:
        super().__init__()
        self._event, self._going = token._event, token._going

    @property
    def stopped(self) -> bool:
        """Whether to stop, asked once the job is no longer paused."""
        self.wait_while_paused()
        return super().stopped

    @property
    def paused(self) -> bool:
        """Whether the job is to wait."""
        return not (self._going.is_set() or super().stopped)
