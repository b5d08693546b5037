"""The folder that the results of several slides go to, with a table and a page of all of them.

``NAME.ome.zarr`` and ``NAME.csv`` for each slide, ``summary.csv`` with a row per slide, and
``report.html``. Table and page are rewritten as a whole after every slide, so that a killed run
leaves them right, and rows of slides that an earlier run put into the same folder stay.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import (
    GlandMTLError,
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
)
from ..export.report import is_report, write_report
from ..export.slide_store import SlideStore, is_slide_store
from ..export.tables import write_table_parts
from ..export.thumbnails import write_thumbnail
from ..segmentation import TopologyViolations
from ..slides.formats import slide_name
from ..storage.atomic import new_file
from .events import BatchDone
from .slide_plan import check_new

SUMMARY = "summary.csv"
REPORT = "report.html"
THUMBNAILS = "thumbnails"

COMPLETE, INCOMPLETE, FAILED = "complete", "incomplete", "failed"

Row = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchItem:
    """One slide of a batch.

    Attributes
    ----------
    index : int
        Counted from 1.
    path : Path
    name : str
        Also that of its outputs.
    store, table : Path
    """

    index: int
    path: Path
    name: str
    store: Path
    table: Path


class BatchFolder:
    """Keeps account of a batch in the folder of its results.

    Parameters
    ----------
    folder : path
    inputs : sequence of path
        The slides, in the order of the table.
    overwrite : bool
        Whether a table or page that is not of this program may be replaced.

    Attributes
    ----------
    items : list of BatchItem

    Raises
    ------
    InvalidInputError
        If there is nothing to segment.
    """

    def __init__(
        self, folder: Path | str, inputs: Sequence[Path | str], overwrite: bool = False
    ) -> None:
        if not inputs:
            raise InvalidInputError("There is no slide to segment. Give at least one.")
        self.folder = Path(folder)
        self.items = [self._item(index, Path(path)) for index, path in enumerate(inputs, 1)]
        self._overwrite = overwrite
        self._rows: dict[str, Row] = {}
        self._sources: dict[str, Path] = {}
        self._counts = {"done": 0, "failed": 0, "skipped": 0}

    def _item(self, index: int, path: Path) -> BatchItem:
        name = slide_name(path)
        return BatchItem(
            index, path, name, self.folder / f"{name}.ome.zarr", self.folder / f"{name}.csv"
        )

    @property
    def summary_csv(self) -> Path:
        """The table of all slides."""
        return self.folder / SUMMARY

    @property
    def report_html(self) -> Path:
        """The page of all slides."""
        return self.folder / REPORT

    def make(self) -> None:
        """Make the folder if it does not exist, and see that table and page may be written.

        Raises
        ------
        OutputExistsError
            If a table or page is there that was not made by this program, or is damaged.
        OutputNotWritableError
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputNotWritableError(
                f"The output folder {self.folder} cannot be made ({error.strerror or error}). "
                "Choose another one."
            ) from error
        self._earlier_rows()
        if self.report_html.exists() and not (self._overwrite or is_report(self.report_html)):
            raise _not_ours(self.report_html)

    def check(self, item: BatchItem, resume: bool, overwrite: bool) -> None:
        """Raise before any work what would go wrong when an item's results are written.

        Raises
        ------
        InvalidInputError
            If two slides have one name, or the slide is itself a result.
        OutputExistsError
        """
        other = self._sources.setdefault(item.name.casefold(), item.path)
        if other != item.path:
            raise InvalidInputError(
                f"{other} and {item.path} would both be written to {item.store}. Segment them into "
                "different folders."
            )
        if item.store.exists() and item.path.exists() and item.store.samefile(item.path):
            raise OutputExistsError(
                f"{item.path} would be replaced by its own result. Choose another folder with -o."
            )
        if is_slide_store(item.path):
            raise InvalidInputError(
                f"{item.path} is a result of a segmentation, with a small picture of its slide. "
                "Give the slide itself."
            )
        for output in (item.store, item.table):
            check_new(output, resume, overwrite)

    def begin(self, item: BatchItem) -> None:
        """Remove the table and picture of an earlier result, which is about to be replaced.

        Raises
        ------
        OutputNotWritableError
        """
        for path in (item.table, self._thumbnail(item)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputNotWritableError(
                    f"{path} belongs to an earlier result and cannot be removed "
                    f"({error.strerror or error}). Close what shows it, and resume."
                ) from error

    def slide_done(self, item: BatchItem, seconds: float, skipped: bool = False) -> Row:
        """Take a slide's result into account: its table, picture and row.

        Parameters
        ----------
        item : BatchItem
        seconds : float
            That it took.
        skipped : bool
            It was complete before.
        """
        store = SlideStore.open(item.store)
        picture = self._thumbnail(item)
        if store.complete and not (skipped and item.table.exists()):
            write_table_parts(item.table, store.table_chunks(), overwrite=True)
        if not (skipped and picture.exists()):
            self._draw(picture, store)
        earlier = self._all_rows().get(item.name, {}).get("seconds") if skipped else seconds
        row = _row(item, store, earlier)
        if store.complete:
            self._counts["skipped" if skipped else "done"] += 1
        return self._add(row)

    def slide_failed(self, item: BatchItem, reason: str) -> Row:
        """Take into account that a slide could not be segmented."""
        self._counts["failed"] += 1
        earlier = self._all_rows().get(item.name, {})
        if self._sources.get(item.name.casefold(), item.path) != item.path or (
            earlier.get("status") == COMPLETE and _is_complete(item.store)
        ):
            # It is about the other slide of that name, or what it says of this one still holds.
            return earlier
        row = {"name": item.name, "status": FAILED, "error": reason, "slide": str(item.path)}
        return self._add(row)

    def result(self) -> BatchDone:
        """The last event."""
        self._write()
        return BatchDone(self.folder, self.summary_csv, self.report_html, **self._counts)

    def _add(self, row: Row) -> Row:
        self._rows[row["name"]] = row
        self._write()
        return row

    def _write(self) -> None:
        order = {item.name: item.index for item in self.items}
        rows = sorted(
            self._all_rows().values(), key=lambda row: (order.get(row["name"], 0), row["name"])
        )
        _write_rows(self.summary_csv, rows)
        shown = [{**row, **self._links(row["name"])} for row in rows]
        write_report(self.report_html, shown, _classes(rows), f"Glands in {self.folder.name}")

    def _links(self, name: str) -> Row:
        """What there is of a slide, relative to the page."""
        paths = {
            "store": f"{name}.ome.zarr",
            "table": f"{name}.csv",
            "thumbnail": f"{THUMBNAILS}/{name}.jpg",
        }
        return {key: path for key, path in paths.items() if (self.folder / path).exists()}

    def _thumbnail(self, item: BatchItem) -> Path:
        return self.folder / THUMBNAILS / f"{item.name}.jpg"

    def _draw(self, picture: Path, store: SlideStore) -> None:
        try:
            write_thumbnail(picture, store.path, store.table_chunks(), store.layout.classes)
        except (GlandMTLError, OSError) as error:  # the labels are there, whatever the picture does
            logger.warning("No picture of %s: %s", store.path, error)

    def _all_rows(self) -> dict[str, Row]:
        """By name; those on disk are read again: another batch may have added some meanwhile."""
        return {row["name"]: row for row in self._earlier_rows()} | self._rows

    def _earlier_rows(self) -> list[Row]:
        """Rows on disk whose results are still there.

        Raises
        ------
        OutputExistsError
            If there is a file that is not such a table, unless it may be replaced.
        """
        try:
            rows = _read_rows(self.summary_csv)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputNotWritableError(
                f"{self.summary_csv} cannot be read ({error.strerror or error}), and its rows "
                "would be lost. Check it, or choose another folder."
            ) from error
        except (ValueError, csv.Error) as error:
            if self._overwrite:
                return []
            raise _not_ours(self.summary_csv) from error
        here = {item.name for item in self.items}
        return [
            row
            for row in rows
            if row["name"] in here or (self.folder / f"{row['name']}.ome.zarr").exists()
        ]


def _read_rows(path: Path) -> list[Row]:
    """The rows of a table that `_write_rows` wrote; ValueError if it is none."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        if not {"name", "status", "error"} <= set(reader.fieldnames or ()):
            raise ValueError("other columns")
        rows = [dict(row) for row in reader]
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("rows of another length than the header")
    return [row for row in rows if row["name"]]


def _not_ours(path: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{path} was not written by this program, or is damaged, and would be replaced. Move it "
        "away, choose another folder, or give --overwrite."
    )


def _is_complete(store: Path) -> bool:
    return is_slide_store(store) and SlideStore.open(store).complete


def _row(item: BatchItem, store: SlideStore, seconds: Any) -> Row:
    """A slide's row of the table; the columns are those of the summary stored with it."""
    summary, layout = store.summary or {}, store.layout
    # Without glands, the classes are equally likely by convention only.
    probabilities = summary.get("class_probabilities") if summary.get("glands") else None
    return {
        "name": item.name,
        "status": COMPLETE if store.complete else INCOMPLETE,
        "statement": summary.get("statement", ""),
        "glands": summary.get("glands", ""),
        **_by_class("glands", summary.get("glands_by_class"), layout.classes),
        "gland_area_um2": _number(summary.get("gland_area_um2")),
        **_by_class("gland_area_um2", summary.get("gland_area_um2_by_class"), layout.classes),
        "analysed_area_um2": _number(summary.get("analysed_area_um2")),
        **_by_class("probability", probabilities, layout.classes),
        "violations_raw": _violations(summary.get("violations_raw")),
        "violations": _violations(summary.get("violations")),
        "cut_glands": summary.get("cut_glands", ""),
        "tiles": summary.get("tiles", ""),
        "tiles_done": summary.get("tiles_done", ""),
        "tiles_failed": summary.get("tiles_failed", ""),
        "seconds": f"{float(seconds):.1f}" if seconds else "",
        "model": store.record.get("model", ""),
        "slide": str(item.path),
        "error": unread_words(summary),
    }


def unread_words(summary: Mapping[str, Any]) -> str:
    """What to do about tiles that could not be read; empty if there is none."""
    failed = summary.get("tiles_failed") or 0
    if not failed:
        return ""
    tiles, them = ("1 tile", "it") if failed == 1 else (f"{failed} tiles", "them")
    return f"{tiles} could not be read; --resume tries {them} again."


def _by_class(prefix: str, values: Mapping[str, Any] | None, classes: Iterable[str]) -> Row:
    return {f"{prefix}_{name}": _number((values or {}).get(name)) for name in classes}


def _number(value: Any) -> Any:
    """A number as the tables of glands have it: seven digits at most."""
    if value is None:
        return ""
    return f"{value:.7g}" if isinstance(value, float) else value


def _violations(counts: Mapping[str, int] | None) -> int | str:
    return "" if counts is None else TopologyViolations(**counts).total


def _classes(rows: Sequence[Row]) -> list[str]:
    """The classes of the first slide that has any, in the model's order."""
    prefix = "probability_"
    for row in rows:
        names = [column.removeprefix(prefix) for column in row if column.startswith(prefix)]
        if names:
            return names
    return []


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    """The table, with the columns of all rows in the order in which a full row has them."""
    full = max(rows, key=len, default={"name": "", "status": "", "error": ""})
    columns = list(dict.fromkeys([*full, *(column for row in rows for column in row)]))
    with (
        new_file(path, overwrite=True) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
