"""Open files that many threads read from, and that close only when the last read is done.

With one file pointer, threads would wait for one another, so files are read by position. And
the descriptor of a closed file may be another file's a moment later: what is being read must
not be closed, whoever asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock


class SharedHandle:
    """Something that is closed at once, or after the last of those who are using it.

    Parameters
    ----------
    close : callable
        Called once.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close
        self._lock = Lock()
        self._users = 0
        self._closing = False
        self._closed = False

    @contextmanager
    def using(self) -> Iterator[None]:
        """Put off closing.

        Raises
        ------
        ValueError
            If it was closed.
        """
        with self._lock:
            if self._closing:
                raise ValueError("the file was closed")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
            self._close_if_last()

    def close(self) -> None:
        """Close as soon as nobody uses it. Closing twice does no harm."""
        with self._lock:
            self._closing = True
        self._close_if_last()

    def _close_if_last(self) -> None:
        with self._lock:
            now = self._closing and self._users == 0 and not self._closed
            self._closed = self._closed or now
        if now:
            self._close()


class PositionalFile:
    """A file read at given offsets, from any number of threads.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    size : int
        Bytes, when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        self._handle = SharedHandle(self._file.close)
        self._pointer_lock = Lock()

    def read(self, offset: int, count: int) -> bytes:
        """Read `count` bytes at `offset`; fewer where the file ends.

        Raises
        ------
        ValueError
            If the file was closed.
        """
        with self._handle.using():
            if hasattr(os, "pread"):
                return os.pread(self._file.fileno(), count, offset)
            with self._pointer_lock:  # Windows
                self._file.seek(offset)
                return self._file.read(count) or b""

    def close(self) -> None:
        """Close the file, at once or after the reads under way."""
        self._handle.close()

    def __del__(self) -> None:
        # Not there if opening failed.
        if hasattr(self, "_handle"):
            self._handle.close()
