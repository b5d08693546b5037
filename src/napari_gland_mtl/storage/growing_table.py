"""Tables of numbers that grow while they are read: CSV files that another process appends to.

Only what is new is read, a piece at a time, so that following a training of a hundred thousand
steps costs next to nothing. A file that was written anew is noticed, because what was read last
is no longer where it was, and is read from its beginning. Half a row at the end is left for
later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

PIECE_BYTES = 1 << 16
REMEMBERED_BYTES = 512
_EMPTY = re.compile(r"^(?=,)|(?<=,)(?=,|$)", re.MULTILINE)

Columns = dict[str, npt.NDArray[np.float64]]


class GrowingTable:
    """Follows one CSV file whose first row names the columns.

    Parameters
    ----------
    path : path
        It need not exist yet.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "steps.csv"
    >>> _ = path.write_text(chr(10).join(["step,loss", "1,0.5", "2,0.2"]))
    >>> table = GrowingTable(path)
    >>> table.poll()
    True
    >>> table.columns["loss"].tolist()
    [0.5]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._begin_again()

    def _begin_again(self) -> None:
        self._offset, self._last = 0, b""
        self._names: list[str] = []
        self._cells = np.empty((0, 0))
        self._rows = 0
        self._columns: Columns = {}
        self.caught_up = False

    @property
    def columns(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """The columns as far as they were read; empty cells and words are NaN.

        What is given here does not change any more: it may be used in another thread.
        """
        return self._columns

    def poll(self, limit: int = PIECE_BYTES) -> bool:
        """Read at most `limit` more bytes; True if the columns changed.

        `caught_up` says whether the end of the file was reached.

        Raises
        ------
        OSError
            If the file is there and cannot be read.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self.caught_up = True
            return False
        state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self.caught_up and state == self._seen:
            return False
        self._seen = state
        before = self._rows
        piece = self._read(limit)
        if piece is None:
            self._begin_again()
            piece = self._read(limit) or b""
            self._take(piece, limit)
            return True
        self._take(piece, limit)
        return self._rows != before

    def poll_all(self) -> bool:
        """Read to the end of the file; True if the columns changed."""
        changed = self.poll()
        while not self.caught_up:
            changed = self.poll() or changed
        return changed

    def _read(self, limit: int) -> bytes | None:
        """What follows, or None where the file is no longer the one that was read."""
        with self.path.open("rb") as file:
            file.seek(self._offset - len(self._last))
            found = file.read(len(self._last) + limit)
        return found[len(self._last) :] if found.startswith(self._last) else None

    def _take(self, piece: bytes, limit: int) -> None:
        whole = piece[: piece.rfind(b"\n") + 1]
        # A row longer than the limit would never be whole.
        self.caught_up = len(piece) < limit
        if not whole:
            if not self.caught_up:
                self._take(self._read(2 * limit) or b"", 2 * limit)
            return
        self._offset += len(whole)
        self._last = (self._last + whole)[-REMEMBERED_BYTES:]
        text = whole.decode("utf-8", errors="replace").replace("\r\n", "\n")
        if not self._names:
            header, _, text = text.partition("\n")
            self._names = header.split(",")
            self._cells = np.empty((len(self._names), 0))
        self._append(self._parsed(text))

    def _parsed(self, text: str) -> npt.NDArray[np.float64]:
        """Whole lines of CSV as rows of numbers."""
        return _numbers(text, len(self._names))

    def _append(self, rows: npt.NDArray[np.float64]) -> None:
        needed = self._rows + len(rows)
        if needed > self._cells.shape[1]:
            # Twice as much room each time: the copies cost no more than the rows themselves.
            grown = np.empty((len(self._names), max(1024, 2 * needed)))
            grown[:, : self._rows] = self._cells[:, : self._rows]
            self._cells = grown
        self._cells[:, self._rows : needed] = rows.T
        self._rows = needed
        columns = {name: self._cells[i, :needed] for i, name in enumerate(self._names)}
        self._columns = columns if needed else {}


def _numbers(text: str, width: int) -> npt.NDArray[np.float64]:
    """Rows of numbers from whole lines of CSV."""
    if not text.strip():
        return np.empty((0, width))
    empty = any(part in text for part in (",,", ",\n", "\n,")) or text.startswith(",")
    filled = _EMPTY.sub("nan", text) if empty else text
    try:
        rows = np.loadtxt(filled.splitlines(), delimiter=",", ndmin=2, comments=None)
    except ValueError:
        rows = None
    return rows if rows is not None and rows.shape[1] == width else _one_by_one(text, width)


def _one_by_one(text: str, width: int) -> npt.NDArray[np.float64]:
    """The same, slowly: words become NaN, and rows that are too short or long are left out."""
    cells = [line.split(",") for line in text.splitlines()]
    rows = [[_number(cell) for cell in row] for row in cells if len(row) == width]
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
