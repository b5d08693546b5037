"""A slide of any size with known glands, computed window by window and never held in memory.

It is one field of synthetic tissue and its mirror images, cut to irregular pieces on glass. A
gland lies wholly in a piece or is not there at all, so that every gland that is there can be
found and counted; coarser levels are means of the finest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from synthetic_tissue import Kind, SyntheticField

from napari_gland_mtl.slides import PixelSize, Slide

from .base_field import base_field
from .mirrored_field import (
    GLASS,
    MirroredField,
    glass_noise,
    mirrored_runs,
    mirrored_window,
)
from .outline import Outline
from .pen import pen_marks

SCAN_TILE = 256
_BLOCK = 512
_STRIP = 1024
_UNSCANNED = 255

Window = tuple[int, int, int, int]
Mask = npt.NDArray[np.bool_]
RGB = npt.NDArray[np.uint8]


class SyntheticSlide(Slide):
    """A slide of synthetic tissue.

    Parameters
    ----------
    height, width : int
        Px of the full resolution, up to 100,000 and more.
    mpp : float
        um per pixel. Of no effect if `field` is given, which has its own.
    kind : {"benign", "malignant"}
    seed : int
        Of the tissue and of the outlines.
    field : SyntheticField, optional
        To be repeated; `base_field` gives one and keeps it in a file. Drawn if left out.
    downsamples : sequence of int
        Of the levels, beginning with 1; the field's height and width are multiples of them.
        Levels that would have no pixel are left out.
    pieces : int
        Pieces of tissue; 0 covers the whole slide.
    pens : sequence of str
        Marks of felt pens beside the tissue: up to four of blue, green, red, black.
    sparse : bool
        Leave tiles without tissue out of the scan: pure white in place of glass.
    name : str

    Raises
    ------
    ValueError
        If a parameter is outside of its range or the field cannot be mirrored.

    Notes
    -----
    Windows are ``y0, x0, y1, x1`` in level-0 pixels (the last ones excluded), and agree to the
    last bit where they overlap. Any number of threads may read.

    Examples
    --------
    >>> slide = SyntheticSlide(100_000, 100_000, mpp=0.5)
    >>> slide.read_region(0, 50_000, 50_000, 512, 512).shape
    (512, 512, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        mpp: float = 0.5,
        *,
        kind: Kind = "benign",
        seed: int = 0,
        field: SyntheticField | None = None,
        downsamples: Sequence[int] = (1, 4, 16),
        pieces: int = 1,
        pens: Sequence[str] = (),
        sparse: bool = False,
        name: str = "synthetic",
    ) -> None:
        if min(height, width) < 1 or pieces < 0:
            raise ValueError(
                "A slide has a height and width of 1 px or more, and 0 pieces or more."
            )
        downsamples = tuple(d for d in downsamples if d <= min(height, width))
        _check_downsamples(downsamples)
        field = field or base_field(kind, 1024, mpp, seed)
        if any(size % d for size in field.glands.shape for d in downsamples):
            raise ValueError(
                f"The field's size {field.glands.shape} must be a multiple of every downsample."
            )
        super().__init__(
            name=name,
            format="synthetic",
            shapes=[(height // d, width // d) for d in downsamples],
            pixel_size=PixelSize(field.mpp, None),
        )
        self.kind = field.kind
        self.downsamples = downsamples
        self.sparse = sparse
        self._field = MirroredField.of(field)
        self._outline = Outline(height, width, pieces, seed)
        self._pens = pen_marks(tuple(pens), height, width)
        self._images = {d: _reduced(self._field.image, d) for d in downsamples}
        self._owners = {d: self._field.owner[d // 2 :: d, d // 2 :: d] for d in downsamples}
        glass = glass_noise((_BLOCK, _BLOCK))
        self._glass = {d: glass if d == 1 else np.full_like(glass, GLASS) for d in downsamples}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the full resolution."""
        return self._shapes[0]

    def tissue(self, window: Window | None = None) -> Mask:
        """Where tissue is, bool (Y, X)."""
        y, x, bottom, right = window or (0, 0, *self.shape)
        tissue = np.empty((bottom - y, right - x), np.bool_)
        for y0, x0, y1, x1 in _blocks(y, x, bottom, right):
            tissue[y0 - y : y1 - y, x0 - x : x1 - x] = self._tissue(0, y0, x0, y1, x1)
        return tissue

    def regions(self, window: Window | None = None) -> npt.NDArray[np.uint8]:
        """The true regions: 0 glass, 1 stroma, 2 epithelium, 3 lumen."""
        window = window or (0, 0, *self.shape)
        regions: npt.NDArray[np.uint8] = mirrored_window(self._field.regions, *window)
        return regions * self.tissue(window)

    def glands(self, window: Window | None = None) -> npt.NDArray[np.int32]:
        """The true glands: numbers that are unique on the slide, 0 elsewhere.

        On glass-framed tissue each is one 4-connected piece. Where the tissue fills the slide
        (``pieces=0``) its edge may cut a gland into several pieces of one number.

        Raises
        ------
        ValueError
            If there are more glands than 31 bits can number.
        """
        window = window or (0, 0, *self.shape)
        numbers = np.zeros((window[2] - window[0], window[3] - window[1]), np.int32)
        for target, source, place in self._images_of_field(window, 1):
            numbers[target] = self._numbers(*place)[self._field.glands[source]]
        return numbers * self.tissue(window)

    def gland_numbers(self, window: Window | None = None) -> npt.NDArray[np.int32]:
        """The numbers of all glands in a window, sorted; goes through it strip by strip."""
        y0, x0, y1, x1 = window or (0, 0, *self.shape)
        found = [
            np.unique(self.glands((y, x0, min(y + _STRIP, y1), x1))) for y in range(y0, y1, _STRIP)
        ]
        numbers = np.unique(np.concatenate(found))
        return numbers[numbers > 0]

    def is_scanned(self, level: int, row: int, column: int) -> bool:
        """Whether a tile of `SCAN_TILE` px of a level was stored: not sparse, or not empty."""
        if not self.sparse:
            return True
        window = self.scan_tile(level, row, column)
        return bool(self._tissue(level, *window).any() or self._ink(level, window).any())

    def _read(self, level: int, y: int, x: int, height: int, width: int) -> RGB:
        image = np.empty((height, width, 3), np.uint8)
        for y0, x0, y1, x1 in _blocks(y, x, y + height, x + width):
            self._draw(level, (y0, x0, y1, x1), image[y0 - y : y1 - y, x0 - x : x1 - x])
        return image

    def _draw(self, level: int, window: Window, image: RGB) -> None:
        """Draw a window, which lies in one block, into `image`."""
        downsample = self.downsamples[level]
        tissue = self._tissue(level, *window)
        image[...] = self._glass[downsample][_within_block(window)]
        if tissue.all():
            mirrored_window(self._images[downsample], *window, out=image)
        elif tissue.any():
            image[tissue] = mirrored_window(self._images[downsample], *window)[tissue]
        for mark in self._pens:
            covered = mark.covers(*window, downsample)
            if covered is not None:
                image[covered & ~tissue] = mark.ink
        if self.sparse:
            self._leave_out(level, window, image)

    def _leave_out(self, level: int, window: Window, image: RGB) -> None:
        y0, x0, y1, x1 = window
        for row in range(y0 // SCAN_TILE, (y1 - 1) // SCAN_TILE + 1):
            for column in range(x0 // SCAN_TILE, (x1 - 1) // SCAN_TILE + 1):
                if not self.is_scanned(level, row, column):
                    top, left = max(row * SCAN_TILE - y0, 0), max(column * SCAN_TILE - x0, 0)
                    bottom, right = (row + 1) * SCAN_TILE - y0, (column + 1) * SCAN_TILE - x0
                    image[top:bottom, left:right] = _UNSCANNED

    def scan_tile(self, level: int, row: int, column: int) -> Window:
        """The window of a tile of `SCAN_TILE` px, cut to the level."""
        height, width = self._shapes[level]
        y, x = row * SCAN_TILE, column * SCAN_TILE
        return y, x, min(y + SCAN_TILE, height), min(x + SCAN_TILE, width)

    def _ink(self, level: int, window: Window) -> Mask:
        ink = np.zeros((window[2] - window[0], window[3] - window[1]), np.bool_)
        for mark in self._pens:
            covered = mark.covers(*window, self.downsamples[level])
            if covered is not None:
                ink |= covered
        return ink

    def _tissue(self, level: int, y0: int, x0: int, y1: int, x1: int) -> Mask:
        """Where tissue is, in a window in px of a level."""
        downsample, shape = self.downsamples[level], (y1 - y0, x1 - x0)
        reach = self._field.reach + 1
        lowest, highest = self._outline.lattice_range(
            max(y0 * downsample - reach, 0),
            max(x0 * downsample - reach, 0),
            min(y1 * downsample + reach, self.shape[0]),
            min(x1 * downsample + reach, self.shape[1]),
        )
        if lowest > self._outline.slack:
            return np.ones(shape, np.bool_)
        if highest < -self._outline.slack:
            return np.zeros(shape, np.bool_)
        tissue = self._outline.inside(y0, x0, y1, x1, downsample)
        owners = self._owners[downsample]
        first = (y0 // owners.shape[0], x0 // owners.shape[1])
        last = ((y1 - 1) // owners.shape[0], (x1 - 1) // owners.shape[1])
        present = self._outline.value(*self._field.anchors(first, last)) > 0
        for target, source, (row, column) in self._images_of_field((y0, x0, y1, x1), downsample):
            owner = owners[source]
            kept = present[row - first[0], column - first[1]][owner]
            tissue[target] = np.where(owner > 0, kept, tissue[target])
        return tissue

    def _images_of_field(self, window: Window, downsample: int) -> Iterator[Any]:
        """For each image of the field in a window: slices of both, and its row and column."""
        y0, x0, y1, x1 = window
        height, width = (size // downsample for size in self._field.shape)
        for rows, from_rows, row in mirrored_runs(y0, y1, height):
            for columns, from_columns, column in mirrored_runs(x0, x1, width):
                yield (rows, columns), (from_rows, from_columns), (row, column)

    def _numbers(self, row: int, column: int) -> npt.NDArray[np.int32]:
        """The slide-wide number of each gland of an image of the field, (pieces + 1,)."""
        per_row = self.shape[1] // self._field.shape[1] + 2
        rows = self.shape[0] // self._field.shape[0] + 2
        labels = self._field.pieces + 1
        if rows * per_row * labels >= 2**31:
            raise ValueError("The slide has more glands than can be numbered; take a larger field.")
        home_row, home_column = self._field.home(row, column)
        numbers = ((home_row + 1) * per_row + home_column + 1) * labels + np.arange(labels)
        numbers[0] = 0
        return np.asarray(numbers, np.int32)


def _check_downsamples(downsamples: tuple[int, ...]) -> None:
    if downsamples[:1] != (1,) or sorted(set(downsamples)) != list(downsamples):
        raise ValueError(f"Levels begin with downsample 1 and get coarser, not {downsamples}.")


def _reduced(image: RGB, downsample: int) -> RGB:
    height, width = (size // downsample for size in image.shape[:2])
    blocks = image.reshape(height, downsample, width, downsample, 3)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)), np.uint8)


def _blocks(y0: int, x0: int, y1: int, x1: int) -> Iterator[Window]:
    """Cut a window at the multiples of `_BLOCK`: most blocks are all tissue or all glass."""
    for y in range(y0 // _BLOCK * _BLOCK, y1, _BLOCK):
        for x in range(x0 // _BLOCK * _BLOCK, x1, _BLOCK):
            yield max(y, y0), max(x, x0), min(y + _BLOCK, y1), min(x + _BLOCK, x1)


def _within_block(window: Window) -> tuple[slice, slice]:
    y0, x0, y1, x1 = window
    y, x = y0 // _BLOCK * _BLOCK, x0 // _BLOCK * _BLOCK
    return slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
