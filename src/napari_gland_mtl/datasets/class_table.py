"""Read ``labels.csv``: the class and, if known, the patient of every image of a folder.

Spreadsheets write it with commas, semicolons or tabs, with any line ends, with spaces and with
or without a byte order mark; all are understood.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatasetError
from ..slides.formats import slide_name
from .folder_layout import IMAGE_FOLDERS

TABLE_NAME = "labels.csv"


@dataclass(frozen=True)
class ClassRow:
    """One line: the class's name and the patient, None where not filled in."""

    kind: str | None
    patient: str | None


def read_class_table(path: Path) -> dict[str, ClassRow]:
    """Read a table with the columns ``image``, ``class`` and, if wanted, ``patient``.

    Returns
    -------
    dict
        Image name without ending -> row. A name with a folder keeps it (``Polyp/one``), except
        for the folder that holds all images (``images/``).

    Raises
    ------
    DatasetError
        If it is no table, a column is missing, or an image has two different lines.
    """
    lines = read_lines(path)
    header = lines[0].lower() if lines else ""
    delimiter = max(",;\t", key=header.count)
    columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    for needed in ("image", "class"):
        if needed not in columns:
            raise DatasetError(
                f"{path} has no column {needed!r} in its first line (found: "
                f"{', '.join(columns) or 'nothing'}). It needs: image,class[,patient]."
            )
    rows: dict[str, ClassRow] = {}
    for number, fields in enumerate(csv.reader(lines[1:], delimiter=delimiter), 2):
        cells = dict(zip(columns, (field.strip() for field in fields), strict=False))
        if not any(cells.values()):
            continue
        name = _key(cells["image"])
        row = ClassRow(cells.get("class") or None, cells.get("patient") or None)
        if rows.setdefault(name, row) != row:
            raise DatasetError(f"{path}, line {number}: {name!r} is there twice, and differs.")
    return rows


def _key(cell: str) -> str:
    *folders, file = cell.replace("\\", "/").split("/")
    kept = [name for name in folders if name.lower() not in (*IMAGE_FOLDERS, "", ".")]
    return "/".join([*kept, slide_name(file)])


def read_lines(path: Path) -> list[str]:
    """Lines of a text file with CR, LF or CRLF line ends.

    Raises
    ------
    DatasetError
        If it cannot be read, or is not text in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read as a table ({error}). Save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DatasetError(f"{path} is no text file. Save it as CSV in UTF-8.")
    return text.splitlines()
