"""What the network said of each tile, so that a run can be stopped, killed, and gone on with.

Probabilities are stored as bytes, class activations as they are, and for a tile that could not
be read, why. Tiles may come in any order and from several processes. All of it is removed when
a slide is complete.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError
from ..storage.disk_errors import writing
from ..storage.zarr_group import read_group, write_group
from .slide_layout import StoreLayout, Window
from .tile_array import Place, TileArray, create_tile_array

if TYPE_CHECKING:
    import zarr

WORK = "work"
_PROBABILITIES, _CLASS_MAP, _FAILED = "probabilities", "class_map", "failed"
_CORNER_NAME = re.compile(r"(\d+)_(\d+)")
# Labels are made from windows that overlap: the tiles of a neighbourhood stay decoded.
_CACHE_BYTES = 2**25

Corner = tuple[int, int]
"""(y0, x0) of a tile on the network's grid."""


class SlideTiles:
    """The network's output of a slide, tile by tile.

    Parameters
    ----------
    path : Path
        The store.
    layout : StoreLayout
    writable : bool
    """

    def __init__(self, path: Path, layout: StoreLayout, writable: bool) -> None:
        self._path = path
        self._layout = layout
        self._failures = path / WORK / _FAILED
        cached = max(2, _CACHE_BYTES // (layout.tile**2 * len(layout.hierarchy)))
        self._probabilities = TileArray(path / WORK / _PROBABILITIES, writable, cached)
        self._class_map = TileArray(path / WORK / _CLASS_MAP, writable)

    @staticmethod
    def create(root: zarr.Group, layout: StoreLayout) -> None:
        """Make the empty arrays in a new store."""
        group = root.create_group(WORK)
        shape = (len(layout.hierarchy), *layout.shape)
        create_tile_array(group, _PROBABILITIES, shape, layout.tile, "uint8", 0)
        shape = (len(layout.classes), *layout.coarse_shape)
        side = layout.tile // layout.stride
        create_tile_array(group, _CLASS_MAP, shape, side, "float32", np.nan)

    def write(
        self,
        core: Window,
        probabilities: npt.NDArray[np.uint8],
        class_map: npt.NDArray[np.float32],
    ) -> None:
        """Store a tile; see `SlideStore.write_tile`."""
        core = self._checked(core)
        self._check_arrays(core, probabilities, class_map)
        y0, x0, y1, x1 = self._layout.clipped(core)
        height, width = y1 - y0, x1 - x0
        stride = self._layout.stride
        with writing(self._path):
            self._class_map.write(
                self._place(core), class_map[:, : -(-height // stride), : -(-width // stride)]
            )
            self._probabilities.write(self._place(core), probabilities[:, :height, :width])
            shutil.rmtree(self._failure(core), ignore_errors=True)

    def fail(self, core: Window, reason: str) -> None:
        """Note why there is nothing for a tile."""
        folder = self._failure(self._checked(core))
        with writing(self._path):
            write_group(folder, {"reason": reason})

    def failed(self) -> dict[Corner, str]:
        """Reason of each tile that failed and was not stored since."""
        found = {}
        for folder in self._failures.iterdir() if self._failures.is_dir() else ():
            match = _CORNER_NAME.fullmatch(folder.name)
            if match is None:
                continue
            with suppress(OSError, ValueError, LookupError):  # being written at this moment
                found[int(match[1]), int(match[2])] = str(read_group(folder)["reason"])
        return dict(sorted(found.items()))

    def done(self) -> set[Corner]:
        """Corners of the tiles of which both arrays are stored."""
        side = self._layout.tile
        places = self._probabilities.stored() & self._class_map.stored()
        return {(row * side, column * side) for row, column in places}

    def any(self, window: Window) -> bool:
        """Whether any tile of a window is stored. Decodes nothing."""
        return any(
            self._probabilities.has(place) and self._class_map.has(place)
            for place in self._probabilities.places(window)
        )

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Probabilities of a window, (A, h, w); 0 where there is no tile."""
        return self._probabilities.read(window)

    def class_map(self, window: Window) -> npt.NDArray[np.float32]:
        """Class activations of a window of the coarse grid, (K, h, w); NaN where no tile is."""
        return self._class_map.read(window)

    def _place(self, core: Window) -> Place:
        return core[0] // self._layout.tile, core[1] // self._layout.tile

    def _failure(self, core: Window) -> Path:
        return self._failures / f"{core[0]}_{core[1]}"

    def _checked(self, core: Window) -> Window:
        """The core as plain numbers, if it is one tile of the layout."""
        y0, x0, y1, x1 = (int(value) for value in core)
        height, width = self._layout.shape
        side = self._layout.tile
        inside = 0 <= y0 < height and 0 <= x0 < width
        whole = y1 >= min(y0 + side, height) and x1 >= min(x0 + side, width)
        fits = y1 <= y0 + side and x1 <= x0 + side
        if not inside or y0 % side or x0 % side or not whole or not fits:
            raise InvalidInputError(
                f"{(y0, x0, y1, x1)} is no tile of a slide of {height} x {width} px in tiles of "
                f"{side} px."
            )
        return y0, x0, y1, x1

    def _check_arrays(
        self, core: Window, probabilities: npt.NDArray[Any], class_map: npt.NDArray[Any]
    ) -> None:
        layout = self._layout
        height, width = core[2] - core[0], core[3] - core[1]
        coarse = (-(-height // layout.stride), -(-width // layout.stride))
        for name, array, expected in (
            ("probabilities", probabilities, (len(layout.hierarchy), height, width)),
            ("class map", class_map, (len(layout.classes), *coarse)),
        ):
            if array.shape != expected:
                raise InvalidInputError(
                    f"The {name} of the tile {core} must have shape {expected}, not {array.shape}."
                )
        if probabilities.dtype != np.uint8:
            raise InvalidInputError(
                f"Probabilities are stored as bytes, not as {probabilities.dtype}."
            )
