"""Outputs that are there in full or not at all.

A file or folder is written beside its final place, under a name that starts with a dot, and
renamed when it is complete: a killed program leaves no half result that looks like one, and
what is being replaced stays until its successor is ready.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ..errors import GlandMTLError, OutputExistsError, OutputNotWritableError
from .disk_errors import patiently


@contextmanager
def new_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file as a whole.

    Parameters
    ----------
    path : Path
        Its folder is made if it does not exist.
    overwrite : bool
        Whether a file may be replaced.

    Yields
    ------
    Path
        Where to write. It becomes `path` if the block ends without an error.

    Raises
    ------
    OutputExistsError
        If something is there and `overwrite` is False, or it is a folder.
    OutputNotWritableError
        If the folder cannot be written to or the disk is full.
    """
    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder. Choose another name.")
    refuse_existing(path, overwrite)
    with _beside(path) as partial:
        yield partial
        patiently(lambda: os.replace(partial, path))  # noqa: PTH105 - the same on all systems


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder as a whole; see `new_file`.

    The caller makes sure that a folder that is there may be replaced.
    """
    refuse_existing(path, overwrite)
    with _beside(path) as partial:
        partial.mkdir()
        yield partial
        _exchange(partial, path)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise OutputExistsError if something is at `path` and may not be replaced."""
    if not overwrite and (path.exists() or path.is_symlink()):
        raise OutputExistsError(
            f"{path} exists already. Choose another name, or allow it to be overwritten."
        )


def _exchange(partial: Path, path: Path) -> None:
    """Rename `partial` to `path`; a folder that is there goes only once that has worked."""
    old = _sibling(path, "old")
    replaces = path.exists()
    if replaces:
        path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        if replaces:
            old.rename(path)
        raise
    if replaces:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A free name next to `path`; whatever is left there afterwards is removed."""
    partial = _sibling(path, "partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except GlandMTLError:
        raise
    except OSError as error:
        raise OutputNotWritableError(
            f"{path} cannot be written ({error.strerror or error}). Choose another folder, or "
            "make room and allow writing there."
        ) from error
    finally:
        _remove(partial)


def _sibling(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.{kind}")


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
