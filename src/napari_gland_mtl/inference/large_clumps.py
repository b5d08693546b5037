"""Label clumps that are too large for one window, in windows that overlap.

Dense mucosa or a solid tumour may be one clump over many millimetres. Each window is decoded as
an image of its own, and of its glands those that reach into its core are taken, unless an
earlier window has done so. One that goes on beyond the window is decoded again in a window with
it in the middle; only what does not fit into that either is cut, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.components import connected_pieces, hole_labels
from ..metrics.runs import Runs, boxes_of, concatenated, encode
from ..metrics.topology import any_of
from ..regions import NOT_ANNOTATED
from .canvas import unpack
from .clump_labels import Labelled, decode_members, finish_labels, mask_of, window_around
from .repair import outside_code, repair
from .separation import drop_small, widened
from .slide_probabilities import ProbabilitySource, Recipe, read_planes
from .tiling import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    from .canvas import Canvas

    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]
    Mask = npt.NDArray[np.bool_]
    Flags = npt.NDArray[np.bool_]

SAME_SHARE = 0.5
"""A gland of which this share was painted before is one of those that were painted."""

CUT_SHARE = 0.1
"""A gland that loses more to those painted before is cut; two windows may see the line between
touching glands a few pixels apart."""


RECENTRED = 2
"""Windows that are tried at most to have all of a gland in one."""


@dataclass(frozen=True)
class View:
    """One window, decoded as an image of its own.

    Attributes
    ----------
    window : Window
    raw, regions : ndarray of uint8, (h, w)
        Most probable codes, and those after decoding.
    glands : ndarray of int32, (h, w)
        Instances 1 .. n.
    before : ndarray of int32, (h, w)
        What earlier windows painted.
    rim : ndarray of bool, (h, w)
        The edge of the window where the slide goes on.
    """

    window: Window
    raw: Regions
    regions: Regions
    glands: Instances
    before: Instances
    rim: Mask

    @property
    def open(self) -> Flags:
        """Which glands go on beyond the window, by their number."""
        return self.meeting(self.rim)

    @property
    def known(self) -> Flags:
        """Which glands were mostly painted before."""
        return self.painted_share >= SAME_SHARE

    @property
    def painted_share(self) -> npt.NDArray[np.float64]:
        """Share of each gland that was painted before."""
        number = int(self.glands.max(initial=0)) + 1
        area = np.bincount(self.glands.ravel(), minlength=number)
        painted = np.bincount(self.glands[self.before > 0], minlength=number)
        return painted / np.maximum(area, 1)

    def meeting(self, mask: Mask) -> Flags:
        """Which glands have pixels in a mask."""
        flags = np.bincount(self.glands[mask], minlength=int(self.glands.max(initial=0)) + 1) > 0
        flags[0] = False
        return flags

    def middle(self, number: int) -> tuple[int, int]:
        """The middle of the box around a gland, in px of the slide."""
        [(_, (rows, columns))] = boxes_of(encode(self.glands), np.array([number]))
        y, x = rows.start + rows.stop, columns.start + columns.stop
        return self.window.y0 + y // 2, self.window.x0 + x // 2


class LargeClumps:
    """Pixels of large clumps, and how far they were labelled.

    Parameters
    ----------
    source : ProbabilitySource
    recipe : Recipe
    max_window : int
        Pixels of a window.

    Attributes
    ----------
    half : int
        Half the side of a window.
    core : int
        Side of the part of a window whose glands are taken from it.
    """

    def __init__(self, source: ProbabilitySource, recipe: Recipe, max_window: int) -> None:
        self._source = source
        self._recipe = recipe
        step = recipe.stride
        self.half = max(math.isqrt(max_window) // (2 * step), 2) * step
        self._margin = max(self.half // (4 * step), 1) * step
        self.core = 2 * (self.half - self._margin)
        self._runs = concatenated([])
        self._next_row = 0  # the first row of cores that was not labelled

    @property
    def top(self) -> int:
        """First row that the windows to come may paint."""
        return self._next_row * self.core - self.half

    @property
    def waiting(self) -> bool:
        """Whether pixels are held that were not labelled."""
        rows = self._runs.y
        return bool(rows.size) and int(rows.max()) >= self._next_row * self.core

    @property
    def nbytes(self) -> int:
        """Memory that the pixels take."""
        return self._runs.nbytes

    def add(self, runs: Runs, rows: int, canvas: Canvas) -> Iterator[Labelled]:
        """Take pixels in and label what can be labelled.

        Parameters
        ----------
        runs : Runs
            Pixels newly known to belong to large clumps.
        rows : int
            How many rows of the slide are known.
        canvas : Canvas
            What was painted; whatever is yielded must be painted there before the next.
        """
        runs = runs.in_order()
        # What joins a large clump late touches nothing of it in the windows that are done.
        for row in range(int(runs.y.min(initial=rows)) // self.core, self._next_row):
            yield from self._label_row(row, runs, canvas)
        self._runs = concatenated([self._runs, runs]).in_order()
        height = self._source.shape[0]
        while self._next_row * self.core < height:
            if min((self._next_row + 1) * self.core + self.half, height) > rows:
                break
            yield from self._label_row(self._next_row, self._runs, canvas)
            self._next_row += 1
        self._runs = self._runs.where(self._runs.y >= self.top)

    def _label_row(self, row: int, runs: Runs, canvas: Canvas) -> Iterator[Labelled]:
        height, width = self._source.shape
        y0 = row * self.core
        around = runs.within(y0 - self.half, 0, y0 + self.core + self.half, width)
        for x0 in range(0, width, self.core):
            core = Window(y0, x0, y0 + self.core, x0 + self.core).clipped(height, width)
            if around.within(*core).size:
                yield from self._label_core(core, around, canvas)

    def _label_core(self, core: Window, runs: Runs, canvas: Canvas) -> Iterator[Labelled]:
        """Label the glands that reach into one core."""
        view = self._view((core.y0 + core.y1) // 2, (core.x0 + core.x1) // 2, runs, canvas)
        in_core = np.zeros(view.glands.shape, dtype=bool)
        in_core[core.relative_to(view.window.y0, view.window.x0).slices] = True
        fresh = view.meeting(in_core) & ~view.known
        yield from self._take(view, fresh & ~view.open)
        for number in np.flatnonzero(fresh & view.open):
            y, x = view.middle(int(number))
            if y >= core.y1 < self._source.shape[0]:
                continue  # it lies rather in the cores below, and waits for them
            left = (view.glands == number) & in_core & (canvas.read(view.window) == 0)
            if left.any():
                own = encode(left)
                own = own.where(own.value > 0).shifted(view.window.y0, view.window.x0)
                yield from self._label_open(own, (y, x), core, runs, canvas)

    def _label_open(
        self, own: Runs, point: tuple[int, int], core: Window, runs: Runs, canvas: Canvas
    ) -> Iterator[Labelled]:
        """Label the gland that these pixels belong to, in a window with it in the middle."""
        for _ in range(RECENTRED):
            y = min(max(point[0], core.y0), core.y1 - 1)
            view = self._view(y, point[1], runs, canvas)
            wanted = view.meeting(mask_of(own.within(*view.window), view.window)) & ~view.known
            if not (wanted & view.open).any():
                break
            point = view.middle(int(np.flatnonzero(wanted & view.open)[0]))
        yield from self._take(view, wanted)

    def _view(self, y: int, x: int, runs: Runs, canvas: Canvas) -> View:
        """The window around a point."""
        step, half = self._recipe.stride, self.half
        y, x = y // step * step, x // step * step
        window = Window(y - half, x - half, y + half, x + half).clipped(*self._source.shape)
        planes = read_planes(self._source, window, self._recipe)
        members = mask_of(runs.within(*window), window)
        regions, glands = decode_members(planes, members, self._recipe)
        rim = _rim(window, self._source.shape, self._recipe.reach + 1)
        return View(window, planes.raw, regions, glands, canvas.read(window), rim)

    def _take(self, view: View, chosen: Flags) -> Iterator[Labelled]:
        """Measure the chosen glands of a window, without what others have painted."""
        if not chosen.any():
            return
        recipe = self._recipe
        lost = (view.before > 0) | view.rim
        regions, taken = _taken(view, chosen, lost, recipe)
        cut = chosen & (view.open | (view.painted_share > CUT_SHARE))
        is_cut = cut[view.glands] & (taken > 0)
        regions, glands = _shown(view.raw, regions, taken, view.before, recipe)
        mine = (taken > 0) | (glands > 0)
        window = self._bounds(mine, view.window)
        part = window.relative_to(view.window.y0, view.window.x0).slices
        labels = (regions[part], glands[part], mine[part])
        labelled = finish_labels(self._source, window, *labels, recipe, is_cut[part])
        if labelled is not None:
            yield labelled

    def _bounds(self, mask: Mask, window: Window) -> Window:
        """The part of a window that is needed to measure what a mask of it covers."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return window
        box = Window(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        needed = window_around(
            box.relative_to(-window.y0, -window.x0), self._source.shape, self._recipe
        )
        return (
            needed.relative_to(window.y0, window.x0)
            .clipped(*window.shape)
            .relative_to(-window.y0, -window.x0)
        )


def _taken(view: View, chosen: Flags, lost: Mask, recipe: Recipe) -> tuple[Regions, Instances]:
    """The chosen glands without their lost pixels.

    Returns
    -------
    regions : ndarray of uint8, (Y, X)
        Of what was taken; elsewhere it means nothing.
    taken : ndarray of int32, (Y, X)
        Instances, numbered as before.
    """
    cut = chosen & view.meeting(lost)
    taken = np.where((chosen & ~cut)[view.glands], view.glands, 0)
    codes = view.regions.copy()
    for number, tight in boxes_of(encode(view.glands), np.flatnonzero(cut)):
        box = widened(tight, taken.shape)
        piece = (view.glands[box] == number) & ~lost[box]
        fixed, piece = _reshaped(piece, view.regions[box], recipe)
        codes[box][piece] = fixed[piece]
        taken[box][piece] = number
    return codes, taken


def _shown(
    raw: Regions, regions: Regions, taken: Instances, before: Instances, recipe: Recipe
) -> tuple[Regions, Instances]:
    """What was taken, amid what will be shown around it.

    Where regions around the glands contain others, a gland may lose pixels to them, as it
    would in the decoding of the whole.
    """
    hierarchy = recipe.hierarchy
    shown = np.where(any_of(raw, hierarchy.gland_codes), np.uint8(outside_code(hierarchy)), raw)
    np.copyto(shown, regions, where=taken > 0)
    codes, others = unpack(before)
    np.copyto(shown, codes, where=before > 0)
    if recipe.reach:
        shown[others > 0] = NOT_ANNOTATED
        shown, taken = repair(shown, taken, hierarchy)
    shown[others > 0] = hierarchy.code(hierarchy.gland)
    return shown, drop_small(taken, 1)


def _reshaped(piece: Mask, regions: Regions, recipe: Recipe) -> tuple[Regions, Mask]:
    """What is left of a gland as a gland: connected, without holes, its lumen closed."""
    hierarchy = recipe.hierarchy
    unknown = regions == NOT_ANNOTATED
    while True:
        piece = _biggest_piece(piece)
        holes, count = hole_labels(piece, unknown)
        if count == 0:
            break
        _cut_open(piece, holes)
    if piece.sum() < recipe.config.min_gland_area_um2 / recipe.mpp**2:
        piece[...] = False
    alone = np.where(piece, regions, np.uint8(outside_code(hierarchy)))
    alone[unknown] = NOT_ANNOTATED
    fixed, glands = repair(alone, piece.astype(np.int32), hierarchy)
    return fixed, glands == 1


def _biggest_piece(mask: Mask) -> Mask:
    pieces, _, area = connected_pieces(mask.astype(np.int32))
    area[0] = 0
    biggest: Mask = pieces == int(area.argmax())
    return biggest & mask


def _cut_open(piece: Mask, holes: Instances) -> None:
    """Cut from the first hole straight up to where the gland ends, in place."""
    y, x = np.argwhere(holes == 1)[0]
    above = np.flatnonzero(~piece[:y, x])
    piece[(above[-1] + 1 if above.size else 0) : y, x] = False


def _rim(window: Window, shape: tuple[int, int], width: int) -> Mask:
    """The edge of a window, where the slide goes on beyond it."""
    rim = np.zeros(window.shape, dtype=bool)
    if window.y0 > 0:
        rim[:width] = True
    if window.x0 > 0:
        rim[:, :width] = True
    if window.y1 < shape[0]:
        rim[-width:] = True
    if window.x1 < shape[1]:
        rim[:, -width:] = True
    return rim
