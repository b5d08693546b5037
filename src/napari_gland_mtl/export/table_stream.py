"""A gland table that grows on disk, so that memory does not grow with the number of glands.

It ends as the table of any result does: a group with one array per column. Rows are collected
until it is worth writing them; the attribute ``rows`` says how many are there in all columns,
whatever a killed process has left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from ..segmentation import GlandTable
from .store import TABLE, stored_text
from .tables import check_table

if TYPE_CHECKING:
    import zarr

CHUNK_ROWS = 2**14
_ROWS_AT_ONCE = 2**12


class TableStream:
    """The table of a slide's glands.

    Parameters
    ----------
    root : zarr.Group
        Of the store.
    """

    def __init__(self, root: zarr.Group) -> None:
        self._root = root
        self._pending: list[GlandTable] = []
        self._pending_rows = 0

    def reset(self) -> None:
        """Begin anew, without columns."""
        self._pending, self._pending_rows = [], 0
        if TABLE in self._root:
            del self._root[TABLE]
        self._root.create_group(TABLE).attrs.update({"columns": {}, "rows": 0})

    def append(self, table: GlandTable) -> None:
        """Add rows; the first table gives the columns, even without rows.

        Raises
        ------
        InvalidInputError
            If the columns are others than before, or not equally long.
        """
        if not table:
            return
        columns = {name: np.asarray(column) for name, column in table.items()}
        check_table(columns)
        known = self._columns()
        if known and list(known) != list(columns):
            raise InvalidInputError(
                f"The table has the columns {list(known)}; rows with {list(columns)} cannot be "
                "added."
            )
        if not known:
            self._create(columns)
        for name, dtype in known.items():
            _widened(name, np.dtype(dtype), columns[name].dtype)
        self._pending.append(columns)
        self._pending_rows += len(next(iter(columns.values())))
        if self._pending_rows >= _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were collected."""
        if not self._pending_rows:
            self._pending = []
            return
        group: Any = self._root[TABLE]
        rows = int(group.attrs["rows"])
        dtypes = self._columns()
        for name, dtype in dtypes.items():
            values = np.concatenate([table[name] for table in self._pending])
            dtypes[name] = _widened(name, np.dtype(dtype), values.dtype).str
            array = group[name]
            array.resize((rows + len(values),))
            array[rows:] = stored_text(values).astype(array.dtype, copy=False)
        group.attrs.update({"columns": dtypes, "rows": rows + self._pending_rows})
        self._pending, self._pending_rows = [], 0

    def chunks(self) -> Iterator[GlandTable]:
        """The rows that were written, `CHUNK_ROWS` at a time; one table at least."""
        group: Any = self._root[TABLE]
        rows, dtypes = int(group.attrs["rows"]), self._columns()
        arrays = {name: group[name] for name in dtypes}
        for start in range(0, max(rows, 1), CHUNK_ROWS):
            part = slice(start, min(start + CHUNK_ROWS, rows))
            yield {
                name: np.asarray(array[part]).astype(dtypes[name]) for name, array in arrays.items()
            }

    def _columns(self) -> dict[str, str]:
        """Type of each column as it is to be read."""
        group: Any = self._root[TABLE]
        return dict(group.attrs["columns"])

    def _create(self, columns: GlandTable) -> None:
        group: Any = self._root[TABLE]
        for name, values in columns.items():
            dtype = stored_text(values[:0]).dtype
            group.create_array(name, shape=(0,), chunks=(CHUNK_ROWS,), dtype=dtype)
        group.attrs["columns"] = {name: values.dtype.str for name, values in columns.items()}


def _widened(name: str, known: np.dtype[Any], new: np.dtype[Any]) -> np.dtype[Any]:
    """The type of a column after rows of another type were added."""
    if known.kind == "U" and new.kind == "U":
        return max(known, new, key=lambda dtype: dtype.itemsize)
    if not np.can_cast(new, known, "same_kind"):
        raise InvalidInputError(f"The column {name!r} holds {known}; {new} cannot be added to it.")
    return known
