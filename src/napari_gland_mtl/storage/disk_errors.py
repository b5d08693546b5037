"""What goes wrong while a long job writes: in words, and with what can be done about it.

A full disk or a drive that is gone ends a run; what was written stays and can be gone on with,
and the message says so. On Windows a file cannot be replaced at the moment in which somebody
reads it, which is no reason to end anything: there it is tried again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import GlandMTLError, OutputNotWritableError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_LOST_NAMES = (
    *("EIO", "ENODEV", "ENOENT", "ENXIO", "ESTALE"),
    *("EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "ETIMEDOUT"),
)
_LOST = tuple(getattr(errno, name) for name in _LOST_NAMES if hasattr(errno, name))
_IN_USE = (5, 32)  # Windows' "access denied" and "used by another process"
_RESUME = "resume: what was written stays"
_PAUSES_S = (0.01, 0.03, 0.1, 0.3, 1.0)


@contextmanager
def writing(path: Path, advice: str = _RESUME) -> Iterator[None]:
    """Turn the system's errors while something is written below `path` into clear ones.

    Parameters
    ----------
    path : Path
    advice : str
        What to do once there is room again, and what is not lost.

    Raises
    ------
    OutputNotWritableError
    """
    try:
        yield
    except GlandMTLError:
        raise
    except OSError as error:
        raise OutputNotWritableError(_words(path, error, advice)) from error


def see_that_writable(folder: Path) -> None:
    """Make a folder, and a file in it that is gone at once.

    Raises
    ------
    OSError
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{os.getpid()}.probe"
    probe.touch()
    probe.unlink()


def patiently(write: Callable[[], None]) -> None:
    """Call `write`, again where Windows refuses because a file is being read. It must not mind."""
    for pause in _PAUSES_S:
        try:
            return write()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            time.sleep(pause)
    return write()


def _words(path: Path, error: OSError, advice: str) -> str:
    if error.errno in _FULL:
        reason, cure = "the disk is full", "Make room"
    elif error.errno in _FORBIDDEN:
        reason, cure = "writing there is not allowed", "Allow it"
    elif error.errno in _LOST:
        reason, cure = "the drive does not answer, or the folder is gone", "Check it"
    else:
        reason, cure = "the system refused", "Check the drive"
    return f"{path} cannot be written: {reason} ({error.strerror or error}). {cure} and {advice}."
