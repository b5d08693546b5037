"""The result of a whole slide on disk, while it grows and when it is complete.

``NAME.ome.zarr`` is OME-Zarr (NGFF 0.5) at any time: the slide in small, and over it region
labels, gland instances, tissue and maps of class probability, with a table of glands. Below
``work`` lies what the network said of each tile: from it the labels are made, and a run that was
stopped or killed goes on. No part of it is ever held in memory as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnreadableImageError
from ..segmentation import GlandTable
from ..storage.atomic import new_folder
from ..storage.disk_errors import patiently, writing
from .ome_zarr import ATTRIBUTE, GLANDS
from .pyramid import PyramidWriter
from .slide_images import RGB, TISSUE, SlideImages, Tissue, create_images, write_block
from .slide_layout import LATTICE, StoreLayout, Window
from .slide_state import (
    KIND,
    SLIDE_FORMAT_VERSION,
    check_json,
    is_slide_store,
    read_state,
    update_state,
)
from .slide_tiles import WORK, Corner, SlideTiles
from .store import check_replaceable
from .table_stream import TableStream

_REMOVED = ".removed-work-"
_ENGINES = "engines"
_LOCK = ".labels.lock"

__all__ = ["LATTICE", "SlideStore", "StoreLayout", "is_slide_store"]


class SlideStore:
    """A slide's result; made by `create` or `open`.

    Its tiles may be written by several processes at once, its labels by one, from any thread;
    anybody may read meanwhile. Windows are (y0, x0, y1, x1), half open, in px of the labels.

    Attributes
    ----------
    path : Path
    layout : StoreLayout
    record : dict
        Where the result comes from, as it was given to `create`.
    """

    def __init__(self, path: Path, writable: bool) -> None:
        import zarr

        state = read_state(path)
        self.path = path
        self._writable = writable
        self._lock = RLock()
        with _complaining(path):
            self.layout = StoreLayout.from_json(state["layout"])
            self.record: dict[str, Any] = state["record"]
            self._root = zarr.open_group(path, mode="r+" if writable else "r")
            self._images = SlideImages(self._root, self.layout)
            self._table = TableStream(self._root)
            self._tiles = SlideTiles(path, self.layout, writable) if self.has_work else None
        if writable:
            for left in path.glob(f"{_REMOVED}*"):  # by a run that was killed in its last second
                shutil.rmtree(left, ignore_errors=True)

    @classmethod
    def create(
        cls,
        path: Path | str,
        layout: StoreLayout,
        record: Mapping[str, Any],
        overview: RGB | None = None,
        overview_downsample: float = 1.0,
        tissue: Tissue | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make an empty store.

        Parameters
        ----------
        path : path
            By convention ``NAME.ome.zarr``. Its folder is made if it does not exist.
        layout : StoreLayout
        record : dict
            JSON-able: the slide, the model, the settings. ``record["slide"]`` says by ``path``,
            ``name`` and ``bytes`` which file it is; see `slide_origin`.
        overview : ndarray of uint8, (y, x, 3), optional
            The slide in small; any OME-Zarr viewer shows it below the labels.
        overview_downsample : float
            Level-0 pixels per pixel of `overview`.
        tissue : tuple of (ndarray of bool (y, x), float), optional
            Mask, and level-0 pixels per pixel of it.
        overwrite : bool
            Whether an OME-Zarr that is there may be replaced. It stays until the new one exists.

        Raises
        ------
        InvalidInputError
            If `record` is no JSON.
        OutputExistsError
            If something is there and `overwrite` is False, or it is no OME-Zarr.
        OutputNotWritableError
            If the folder cannot be written to or the disk is full.
        """
        path = Path(path)
        state: dict[str, Any] = {
            "kind": KIND,
            "format_version": SLIDE_FORMAT_VERSION,
            "layout": layout.to_json(),
            "record": check_json(record, "record"),
            "complete": False,
            "summary": None,
            "failed": [],
            "tissue_downsample": None if tissue is None else float(tissue[1]),
            "overview_downsample": None if overview is None else float(overview_downsample),
        }
        check_replaceable(path, overwrite)
        with new_folder(path, overwrite=overwrite) as partial:
            import zarr

            root = zarr.create_group(partial, zarr_format=3)
            root.attrs[ATTRIBUTE] = state
            picture = None if overview is None else (overview, float(overview_downsample))
            create_images(root, layout, picture, tissue)
            SlideTiles.create(root, layout)
            TableStream(root).reset()
        return cls(path, writable=True)

    @classmethod
    def open(cls, path: Path | str, writable: bool = False) -> Self:
        """Open a store, complete or not.

        Raises
        ------
        UnreadableImageError
            If it is none, damaged, or was written by a newer version.
        """
        return cls(Path(path), writable)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._writable)

    # ------------------------------------------------------------------ how far it is

    @property
    def complete(self) -> bool:
        """Whether the slide was segmented to the end."""
        return bool(read_state(self.path)["complete"])

    @property
    def summary(self) -> dict[str, Any] | None:
        """What was found, as it was given to `write_summary` or `finish`; None before."""
        summary: dict[str, Any] | None = read_state(self.path)["summary"]
        return summary

    @property
    def failed(self) -> dict[Corner, str]:
        """(y0, x0) -> reason, for each tile that could not be computed."""
        if self.has_work:
            return self._work().failed()
        return {(int(y), int(x)): reason for y, x, reason in read_state(self.path)["failed"]}

    @property
    def has_work(self) -> bool:
        """Whether the network's output is there: then labels can be made (anew)."""
        return (self.path / WORK / "zarr.json").is_file()

    @contextmanager
    def labelling(self) -> Iterator[None]:
        """Keep every other process from labelling the same store meanwhile.

        Raises
        ------
        InvalidInputError
            If another process does so.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / _LOCK, thread_local=False)
        with writing(self.path):
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise InvalidInputError(
                    f"Another run is writing the labels of {self.path}. Wait until it has "
                    "ended, or stop it."
                ) from error
        try:
            yield
        finally:
            lock.release()
            with suppress(OSError):
                (self.path / _LOCK).unlink(missing_ok=True)

    # ------------------------------------------------------------------ tiles

    def note_engine(self, name: str) -> None:
        """Remember what computed tiles of this store, in words; from any process."""
        with writing(self.path):
            folder = self.path / WORK / _ENGINES
            folder.mkdir(exist_ok=True)
            (folder / name).touch()

    @property
    def engines(self) -> list[str]:
        """What computed the tiles that are stored; empty once the work is removed."""
        folder = self.path / WORK / _ENGINES
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def write_tile(
        self,
        core: Window,
        probabilities: npt.NDArray[np.uint8],
        class_map: npt.NDArray[np.float32],
    ) -> None:
        """Store what the network said of a tile. It is there as a whole or not at all.

        Parameters
        ----------
        core : tuple of int
            The tile; it may reach beyond the slide at the lower and right border.
        probabilities : ndarray of uint8, (A, h, w)
            ``round(255 p)`` of each valid assignment; all 0 where a pixel was not analysed.
        class_map : ndarray of float32, (K, ceil(h / stride), ceil(w / stride))
            Class activations.

        Raises
        ------
        InvalidInputError
            If it is no tile of the layout, or an array does not fit it.
        OutputNotWritableError
        """
        self._work().write(core, probabilities, class_map)

    def fail_tile(self, core: Window, reason: str) -> None:
        """Note that a tile could not be computed. Storing it later takes that back."""
        self._work().fail(core, reason)

    def done_tiles(self) -> set[Corner]:
        """(y0, x0) of the tiles that are stored; none once the work is removed."""
        if not self.has_work:
            return set()
        with _complaining(self.path):
            return self._work().done()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the labels."""
        return self.layout.shape

    def any(self, window: Window) -> bool:
        """Whether any tile of a window is stored. Decodes nothing."""
        return self._work().any(window)

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Probabilities of a window as bytes, (A, h, w); 0 where no tile is stored.

        Raises
        ------
        InvalidInputError
            If the window leaves the slide.
        UnreadableImageError
            If a tile is damaged.
        """
        return self._work().read(window)

    def class_map(self, window: Window) -> npt.NDArray[np.float32]:
        """Class activations, (K, h, w); the window counts cells. NaN where no tile is stored."""
        return self._work().class_map(window)

    # ------------------------------------------------------------------ labels

    def start_labels(self) -> None:
        """Before labels are made from the tiles: forget the glands and rows of an earlier time."""
        self._work()
        with self._lock, writing(self.path):
            update_state(self.path, complete=False, summary=None)
            for level in range(len(self._images.glands.factors)):
                shutil.rmtree(self.path / "labels" / GLANDS / str(level) / "c", ignore_errors=True)
            self._images.glands.clear_buffers()
            self._images.add_uncertainty()
            patiently(self._table.reset)

    def write_regions(self, window: Window, codes: npt.NDArray[np.uint8]) -> None:
        """Write regions that are provisional, for those who watch; see `write_block`."""
        self._write(self._images.regions, window, codes)

    def write_block(
        self, window: Window, regions: npt.NDArray[np.uint8], glands: npt.NDArray[np.int32]
    ) -> None:
        """Write final labels to all levels.

        Parameters
        ----------
        window : tuple of int
            It begins and ends on multiples of 512, or where the slide ends; what reaches beyond
            the slide is left out. Blocks of 1024 are written fastest.
        regions : ndarray of uint8, (h, w)
        glands : ndarray of int32, (h, w)

        Raises
        ------
        InvalidInputError
            If the window does not lie so, or an array has another size.
        OutputNotWritableError
        """
        self._write(self._images.regions, window, regions)
        self._write(self._images.glands, window, glands)

    def append_rows(self, table: GlandTable) -> None:
        """Add the rows of glands; they go to disk a few thousand at a time."""
        with self._lock, writing(self.path):
            patiently(lambda: self._table.append(table))

    def write_heatmap(self, window: Window, maps: npt.NDArray[np.float32]) -> None:
        """Write a part of the maps of class probability.

        Parameters
        ----------
        window : tuple of int
            In cells; it begins and ends on multiples of 512, or where the map ends.
        maps : ndarray of float32, (K, h, w)
            Probability of each class; that of the first is not stored. NaN for not analysed.
        """
        if len(maps) != len(self.layout.classes):
            raise InvalidInputError(
                f"There are {len(self.layout.classes)} classes, but {len(maps)} maps."
            )
        for writer, values in zip(self._images.maps.values(), maps[1:], strict=True):
            self._write(writer, window, values)

    def write_uncertainty(self, window: Window, uncertainty: npt.NDArray[np.float32]) -> None:
        """Write a part of the map of uncertainty.

        Parameters
        ----------
        window : tuple of int
            In px of the labels: a block, as for `write_block`.
        uncertainty : ndarray of float32, (ceil(h / stride), ceil(w / stride))
            0 .. 1, one value per cell; NaN for not analysed.
        """
        stride, writer = self.layout.stride, self._images.uncertainty
        if writer is None:
            raise InvalidInputError(f"{self.path} has no map of uncertainty; start the labels.")
        y0, x0, y1, x1 = self.layout.clipped(window)
        cells = y0 // stride, x0 // stride, -(-y1 // stride), -(-x1 // stride)
        self._write(writer, cells, uncertainty)

    # ------------------------------------------------------------------ the end

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Store what was found so far, in a slide that stays incomplete. It must be JSON."""
        found = check_json(summary, "summary")
        with self._lock, writing(self.path):
            patiently(self._table.flush)
            update_state(self.path, summary=found)

    def finish(self, summary: Mapping[str, Any], keep_work: bool = False) -> None:
        """Store what was found, and that the slide is complete.

        Parameters
        ----------
        summary : dict
            JSON-able.
        keep_work : bool
            Keep the network's output, so that labels can be made anew with other settings.
        """
        found = check_json(summary, "summary")
        failed = [[*corner, reason] for corner, reason in self.failed.items()]
        with self._lock, writing(self.path):
            patiently(self._table.flush)
            update_state(self.path, summary=found, failed=failed, complete=True)
            if not keep_work:
                self._tiles = None
                self._remove_work()
            for left in self.path.rglob("*.partial"):
                with suppress(OSError):
                    left.unlink()

    def _remove_work(self) -> None:
        """Take the network's output away at once, then remove it, which may take long."""
        old = self.path / f"{_REMOVED}{uuid4().hex[:8]}"
        with suppress(OSError):  # Windows does not rename what somebody reads
            (self.path / WORK).rename(old)
        shutil.rmtree(old if old.exists() else self.path / WORK, ignore_errors=True)

    # ------------------------------------------------------------------ reading

    def read_table(self) -> GlandTable:
        """All rows, columns as they were appended; memory grows with them."""
        parts = list(self.table_chunks())
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def table_chunks(self) -> Iterator[GlandTable]:
        """The rows in parts of some thousands; at least one, which may have none."""
        if self._writable:
            with self._lock, writing(self.path):
                patiently(self._table.flush)
        with _complaining(self.path):
            yield from self._table.chunks()

    def labels(self, name: str) -> list[Any]:
        """The levels of ``"regions"``, ``"glands"`` or ``"tissue"`` as zarr arrays (y, x)."""
        with _complaining(self.path):
            return self._images.levels(f"labels/{name}")

    def maps(self) -> dict[str, list[Any]]:
        """The levels of the map of each class but the first, as zarr arrays (y, x)."""
        return {name: list(writer.arrays) for name, writer in self._images.maps.items()}

    def uncertainty(self) -> list[Any] | None:
        """The levels of the map of uncertainty as zarr arrays (y, x); None in earlier stores."""
        writer = self._images.uncertainty
        return None if writer is None else list(writer.arrays)

    def overview(self) -> tuple[list[Any], float] | None:
        """Levels of the slide in small as zarr arrays (c, y, x), and its level-0 px per px."""
        downsample = read_state(self.path)["overview_downsample"]
        with _complaining(self.path):
            return None if downsample is None else (self._images.levels(), float(downsample))

    def tissue(self) -> Tissue | None:
        """The tissue mask and its level-0 pixels per pixel; None if there is none."""
        downsample = read_state(self.path)["tissue_downsample"]
        if downsample is None:
            return None
        mask = self.labels(TISSUE)[0]
        with _complaining(self.path):
            return np.asarray(mask[...]) > 0, float(downsample)

    def _work(self) -> SlideTiles:
        if self._tiles is None or not self.has_work:
            raise InvalidInputError(
                f"{self.path} is complete and keeps nothing of the network's output. Segment the "
                "slide again to change its labels."
            )
        return self._tiles

    def _write(self, writer: PyramidWriter, window: Window, values: npt.NDArray[Any]) -> None:
        with self._lock, writing(self.path):
            patiently(lambda: write_block(writer, window, values))


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    try:
        yield
    except (InvalidInputError, UnreadableImageError):
        raise
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UnreadableImageError(
            f"{path} is damaged or incomplete ({error}). Segment the slide again."
        ) from error
