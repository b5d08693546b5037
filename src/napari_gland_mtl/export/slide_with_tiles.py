"""The tiles of a slide's store: what the network said of them, for as long as it is kept.

They may be written by several processes at once. From them labels are made, and made anew; a
complete slide keeps them only if that is asked for.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..storage.disk_errors import writing
from .slide_contents import SlideContents, complaining
from .slide_layout import Window
from .slide_state import read_state
from .slide_tiles import WORK, Corner, SlideTiles

_REMOVED = ".removed-work-"
_ENGINES = "engines"


class SlideWithTiles(SlideContents):
    """The part of a `SlideStore` that the network writes and that labels are made from."""

    def __init__(self, path: Path, writable: bool) -> None:
        super().__init__(path, writable)
        with complaining(path):
            self._tiles = SlideTiles(path, self.layout, writable) if self.has_work else None
        if writable:
            for left in path.glob(f"{_REMOVED}*"):  # by a run that was killed in its last second
                shutil.rmtree(left, ignore_errors=True)

    @property
    def has_work(self) -> bool:
        """Whether the network's output is there: then labels can be made (anew)."""
        return (self.path / WORK / "zarr.json").is_file()

    @property
    def failed(self) -> dict[Corner, str]:
        """(y0, x0) -> reason, for each tile that could not be computed."""
        if self.has_work:
            return self._work().failed()
        return {(int(y), int(x)): reason for y, x, reason in read_state(self.path)["failed"]}

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
        with complaining(self.path):
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

    def _work(self) -> SlideTiles:
        if self._tiles is None or not self.has_work:
            raise InvalidInputError(
                f"{self.path} is complete and keeps nothing of the network's output. Segment the "
                "slide again to change its labels."
            )
        return self._tiles

    def _remove_work(self) -> None:
        """Take the network's output away at once, then remove it, which may take long."""
        self._tiles = None
        old = self.path / f"{_REMOVED}{uuid4().hex[:8]}"
        with suppress(OSError):  # Windows does not rename what somebody reads
            (self.path / WORK).rename(old)
        shutil.rmtree(old if old.exists() else self.path / WORK, ignore_errors=True)
