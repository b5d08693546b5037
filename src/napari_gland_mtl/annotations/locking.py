"""One writer at a time in a project, whatever window, thread or program it is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputNotWritableError
from ..storage.disk_errors import writing
from .place import LOCK

LONGEST_WAIT_S = 15.0
"""Others hold the lock for a fraction of a second; what takes so long hangs."""

_ADVICE = "save again: what was saved before is still there"


@contextmanager
def sole_writer(path: Path, patience_s: float | None = None, make: bool = False) -> Iterator[None]:
    """Keep every other writer out of a project, and say what goes wrong in words.

    Parameters
    ----------
    path : Path
        The project's folder.
    patience_s : float, optional
        How long to wait for another writer; `LONGEST_WAIT_S` unless given.
    make : bool
        Whether the folder is made if there is none. One that was there and is gone is on a
        drive that was unplugged, and must not be made anew in its place.

    Raises
    ------
    OutputNotWritableError
        If another one does not end, or the system refuses to write.
    """
    from filelock import FileLock, Timeout

    patience = LONGEST_WAIT_S if patience_s is None else patience_s
    with writing(path, _ADVICE):
        if make:
            path.mkdir(parents=True, exist_ok=True)
        elif not path.is_dir():
            raise OutputNotWritableError(
                f"{path} is gone. Plug its drive in again or put the folder back, or save the "
                "annotations in another place."
            )
        lock = FileLock(path / LOCK)
        try:
            lock.acquire(timeout=patience, poll_interval=0.02)
        except Timeout as error:
            raise OutputNotWritableError(
                f"Another program has been writing to {path} for more than {patience:.0f} s. Close "
                "it there, then save again."
            ) from error
        except NotImplementedError as error:
            raise OutputNotWritableError(
                f"The drive of {path} cannot keep two programs apart. Choose a folder on another "
                "drive."
            ) from error
        try:
            yield
        finally:
            lock.release()
