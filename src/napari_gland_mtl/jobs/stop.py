"""The one way to ask a running job to stop.

A job looks at its token between tiles or steps, ends as it would have anyway, and keeps what it
has done. Setting the token is safe from any thread and from a signal handler.
"""

from __future__ import annotations

import threading


class StopToken:
    """A flag that goes up once.

    Examples
    --------
    >>> token = StopToken()
    >>> token.stopped
    False
    >>> token.stop()
    >>> token.stopped
    True
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        """Ask the job to stop at its next boundary."""
        self._event.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._event.is_set()
