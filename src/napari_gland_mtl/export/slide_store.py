"""The result of a whole slide on disk, while it grows and when it is complete.

``NAME.ome.zarr`` is OME-Zarr (NGFF 0.5) at any time: the slide in small, and over it region
labels, gland instances, tissue and maps of class probability, with a table of glands. Below
``work`` lies what the network said of each tile: from it the labels are made, and a run that was
stopped or killed goes on. No part of it is ever held in memory as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..segmentation import GlandTable
from ..storage.atomic import new_folder
from ..storage.disk_errors import patiently, writing
from .label_lock import label_lock
from .ome_zarr import ATTRIBUTE, GLANDS
from .pyramid import PyramidWriter
from .slide_images import RGB, Tissue, create_images, write_block
from .slide_layout import LATTICE, StoreLayout, Window
from .slide_state import KIND, SLIDE_FORMAT_VERSION, check_json, is_slide_store, update_state
from .slide_tiles import SlideTiles
from .slide_with_tiles import SlideWithTiles
from .store import check_replaceable
from .table_stream import TableStream

__all__ = ["LATTICE", "SlideStore", "StoreLayout", "is_slide_store"]


class SlideStore(SlideWithTiles):
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

    def labelling(self) -> AbstractContextManager[None]:
        """Keep every other process from labelling the same store meanwhile.

        Raises
        ------
        InvalidInputError
            If another process does so.
        """
        return label_lock(self.path)

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

    def _write(self, writer: PyramidWriter, window: Window, values: npt.NDArray[Any]) -> None:
        with self._lock, writing(self.path):
            patiently(lambda: write_block(writer, window, values))

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
                self._remove_work()
            for left in self.path.rglob("*.partial"):
                with suppress(OSError):
                    left.unlink()
