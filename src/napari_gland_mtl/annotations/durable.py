"""Bytes that are on the disk, not on their way to it.

After a power cut a file that was renamed into place may turn out to be empty, because the name
reached the disk before the content did. What a person drew by hand is worth the milliseconds
that it takes to wait for the content first.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..storage.atomic import new_file

_FILE = "zarr.json"
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


def write_group(folder: Path, attributes: Mapping[str, Any]) -> None:
    """Give a zarr group other attributes, in one step; the group is made if there is none.

    Raises
    ------
    OutputNotWritableError
    """
    group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    with new_file(folder / _FILE, overwrite=True) as partial:
        partial.write_text(json.dumps(group, allow_nan=False), "utf-8")
        flush_file(partial)
    flush_names(folder)


def read_group(folder: Path) -> dict[str, Any]:
    """The attributes of a zarr group.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError
        If there is none, or it is damaged.
    """
    attributes: dict[str, Any] = json.loads((folder / _FILE).read_text("utf-8"))["attributes"]
    return attributes
