"""The numbers of a training, row by row, in CSV files that any program reads.

``steps.csv`` has a row per optimiser step, ``epochs.csv`` one per epoch, ``images.csv`` one per
epoch and training image. Rows past the step a run resumes from are dropped, so that a killed and
resumed run leaves the same files as one that was not interrupted.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..storage.disk_errors import patiently
from ..storage.growing_table import GrowingTable
from ..storage.run_files import EPOCHS_FILE, IMAGES_FILE, STEPS_FILE

__all__ = ["EPOCHS_FILE", "IMAGES_FILE", "STEPS_FILE", "HistoryWriter", "read_history"]


class HistoryWriter:
    """Appends rows to one CSV file; the first row fixes the columns.

    Parameters
    ----------
    path : path
    key : str
        The counting column.
    keep_until : int
        Rows whose `key` is larger are dropped on opening; 0 starts afresh.
    """

    def __init__(self, path: Path, key: str, keep_until: int = 0) -> None:
        self._path = path
        self._columns: list[str] | None = None
        kept = _rows_until(path, key, keep_until) if keep_until else []
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            if kept:
                self._columns = list(kept[0])
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows(kept)
        # On Windows a figure that follows the run may just be reading it.
        patiently(lambda: os.replace(temporary, path))  # noqa: PTH105 - the same on all systems
        self._file = path.open("a", newline="", encoding="utf-8")

    def write(self, row: dict[str, float | int | str]) -> None:
        """Append one row; flushed to the file at once."""
        self.write_all([row])

    def write_all(self, rows: Sequence[Mapping[str, float | int | str]]) -> None:
        """Append rows of the same columns; flushed to the file at once."""
        if not rows:
            return
        if self._columns is None:
            self._columns = list(rows[0])
            csv.DictWriter(self._file, self._columns).writeheader()
        csv.DictWriter(self._file, self._columns, extrasaction="ignore").writerows(rows)
        self._file.flush()

    def sync(self) -> None:
        """Have the operating system write the file to disk."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _rows_until(path: Path, key: str, last: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    return [row for row in _whole_rows(path) if int(row[key]) <= last]


def _whole_rows(path: Path) -> list[dict[str, str]]:
    """All rows but a last one that a killed or still writing process left unfinished."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline="")))


def read_history(path: Path | str) -> dict[str, npt.NDArray[np.float64]]:
    """Read ``steps.csv`` or ``epochs.csv`` as columns of numbers (NaN where empty).

    Raises
    ------
    InvalidInputError
        If the file does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; is this a run folder of a training?")
    table = GrowingTable(path)
    table.poll_all()
    return dict(table.columns)
