"""One process at a time makes the labels of a slide's store; the others are told to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InvalidInputError
from ..storage.disk_errors import writing

_LOCK = ".labels.lock"


@contextmanager
def label_lock(store: Path) -> Iterator[None]:
    """Keep every other process from labelling the store at `store` meanwhile.

    Raises
    ------
    InvalidInputError
        If another process does so.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(store / _LOCK, thread_local=False)
    with writing(store):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InvalidInputError(
                f"Another run is writing the labels of {store}. Wait until it has ended, or "
                "stop it."
            ) from error
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            (store / _LOCK).unlink(missing_ok=True)
