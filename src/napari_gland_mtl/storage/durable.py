"""Bytes that are on the disk, not on their way to it.

After a power cut a file that was renamed into place may turn out to be empty, because the name
reached the disk before the content did. What a person drew by hand is worth the milliseconds
that it takes to wait for the content first.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

# Some network and FUSE file systems have no such call; writing there is not an error.
_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def flush_tree(folder: Path) -> None:
    """Wait until every file below `folder` is on the disk, and the names of all of them.

    Raises
    ------
    OSError
        If the disk turns out to be full or broken.
    """
    for parent, _, files in os.walk(folder):
        for name in files:
            flush_file(Path(parent) / name)
        flush_names(Path(parent))


def flush_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
    finally:
        os.close(descriptor)


def flush_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
