"""Where the time of a long job goes: seconds by stage, over several threads.

What is measured here are CPU seconds of the thread that works on the stage, so that waiting for
another stage counts for neither. The network's part comes from the predictor, in seconds by the
clock. Stages that overlap add up to more than the job took.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

Item = TypeVar("Item")


class StageClock:
    """Adds up seconds by stage; may be used from several threads.

    Examples
    --------
    >>> clock = StageClock()
    >>> with clock.spent("write"):
    ...     pass
    >>> list(clock.seconds)
    ['write']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = Lock()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage so far."""
        with self._lock:
            return dict(self._seconds)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds measured elsewhere, in whatever way."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    @contextmanager
    def spent(self, stage: str) -> Iterator[None]:
        """Count what the block costs."""
        began = time.thread_time()
        try:
            yield
        finally:
            self.add(stage, time.thread_time() - began)

    def each(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Count what it costs to make the items, not what is done with them."""
        iterator = iter(items)
        while True:
            with self.spent(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
