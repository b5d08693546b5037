"""Locks between the processes of several commands on one folder.

The system lets go of a lock however its holder ends. Some file systems of clusters know no locks:
there nobody is kept waiting, and shards see to it that no two processes do the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from napari_gland_mtl.storage.disk_errors import writing

ADVICE = "give the same command again: what is done stays"


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether no other process holds this lock, which then stays so; without waiting.

    Raises
    ------
    OutputNotWritableError
        If writing beside the lock goes wrong; so does `in_turn`.
    """
    with writing(path.parent, ADVICE):
        path.parent.mkdir(parents=True, exist_ok=True)
        free, lock = _acquired(path, timeout=0)
        try:
            yield free
        finally:
            if lock is not None:
                lock.release()


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until no other process holds this lock, and hold it."""
    with writing(path.parent, ADVICE):
        path.parent.mkdir(parents=True, exist_ok=True)
        _, lock = _acquired(path, timeout=-1)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()


def _acquired(path: Path, timeout: float) -> tuple[bool, FileLock | None]:
    """Whether it is free, and the lock where there is one to be released."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False, None
    except (OSError, NotImplementedError):
        return True, None
    return True, lock
