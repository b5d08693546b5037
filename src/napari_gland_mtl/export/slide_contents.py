"""What a slide's store holds, read by name or by window: labels, maps, rows and how far it is.

Whoever reads may do so while others write. What is damaged or missing is said in words that name
the store; no image is ever read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Self

import numpy as np

from ..errors import InvalidInputError, UnreadableImageError
from ..segmentation import GlandTable
from ..storage.disk_errors import patiently, writing
from .slide_images import TISSUE, SlideImages, Tissue
from .slide_layout import StoreLayout
from .slide_state import read_state
from .table_stream import TableStream


class SlideContents:
    """The part of a `SlideStore` that is there to be read.

    Attributes
    ----------
    path : Path
    layout : StoreLayout
    record : dict
        Where the result comes from, as it was given to `SlideStore.create`.
    """

    def __init__(self, path: Path, writable: bool) -> None:
        import zarr

        state = read_state(path)
        self.path = path
        self._writable = writable
        self._lock = RLock()
        with complaining(path):
            self.layout = StoreLayout.from_json(state["layout"])
            self.record: dict[str, Any] = state["record"]
            self._root = zarr.open_group(path, mode="r+" if writable else "r")
            self._images = SlideImages(self._root, self.layout)
            self._table = TableStream(self._root)

    def __repr__(self) -> str:
        height, width = self.layout.shape
        try:
            state = "complete" if self.complete else "not complete"
        except OSError:  # moved or removed since: a repr is no place to complain
            state = "no longer there"
        size = f"{height} x {width} at {self.layout.mpp:.4g} um/px"
        return f"<{type(self).__name__} {str(self.path)!r} {size}, {state}>"

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

    @property
    def complete(self) -> bool:
        """Whether the slide was segmented to the end."""
        return bool(read_state(self.path)["complete"])

    @property
    def summary(self) -> dict[str, Any] | None:
        """What was found, as it was given to `write_summary` or `finish`; None before."""
        summary: dict[str, Any] | None = read_state(self.path)["summary"]
        return summary

    def labels(self, name: str) -> list[Any]:
        """The levels of ``"regions"``, ``"glands"`` or ``"tissue"`` as zarr arrays (y, x)."""
        with complaining(self.path):
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
        with complaining(self.path):
            return None if downsample is None else (self._images.levels(), float(downsample))

    def tissue(self) -> Tissue | None:
        """The tissue mask and its level-0 pixels per pixel; None if there is none."""
        downsample = read_state(self.path)["tissue_downsample"]
        if downsample is None:
            return None
        mask = self.labels(TISSUE)[0]
        with complaining(self.path):
            return np.asarray(mask[...]) > 0, float(downsample)

    def read_table(self) -> GlandTable:
        """All rows, columns as they were appended; memory grows with them."""
        parts = list(self.table_chunks())
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def table_chunks(self) -> Iterator[GlandTable]:
        """The rows in parts of some thousands; at least one, which may have none."""
        if self._writable:
            with self._lock, writing(self.path):
                patiently(self._table.flush)
        with complaining(self.path):
            yield from self._table.chunks()


@contextmanager
def complaining(path: Path) -> Iterator[None]:
    """Errors of damaged files in words that name the store."""
    try:
        yield
    except (InvalidInputError, UnreadableImageError):
        raise
    except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UnreadableImageError(
            f"{path} is damaged or incomplete ({error}). Segment the slide again."
        ) from error
