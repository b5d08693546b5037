"""Find the clumps of a slide: parts that can be decoded each on its own, as if it were all.

Whatever decoding does to a gland depends on the clump of gland pixels it belongs to, on what
lies in the holes of that clump, and on nothing else. So a slide can be decoded clump by clump,
exactly as the whole at once, and no gland is ever cut by the border of a tile. The mask comes
strip by strip; a clump is handed out when it is complete.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.runs import Runs, concatenated
from .nesting import NOWHERE, Components, Nesting
from .tiling import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Clumps near to each other, to be decoded together.

    Attributes
    ----------
    box : Window
        Around all of them.
    runs : Runs
        Their pixels with their holes and all that lies in these, in order.
    """

    box: Window
    runs: Runs


@dataclass(frozen=True)
class Found:
    """What a strip has brought to an end.

    Attributes
    ----------
    groups : list of Group
        Complete clumps that may hold a gland; each clump of the slide once.
    large : Runs
        Pixels that have turned out to belong to a clump above the limit, whether or not that
        is complete; each pixel once. Not in order.
    """

    groups: list[Group]
    large: Runs


class ClumpFinder:
    """Clumps of a mask that arrives strip by strip.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the whole.
    max_box : int
        A clump whose bounding box holds more pixels is large, and handed out piece by piece.
    min_pixels : float
        Clumps are left out if neither they nor any in their holes have as many pixels.
    cell : int
        Clumps whose middles lie in one square of this side are grouped.
    """

    def __init__(
        self, shape: tuple[int, int], max_box: int, min_pixels: float, cell: int = 1024
    ) -> None:
        self._shape = shape
        self._max_box = max_box
        self._min_pixels = min_pixels
        self._cell = cell
        self._nesting = Nesting(shape, limit=max_box)
        self._pending = concatenated([])
        self._owner = np.zeros(0, dtype=np.int64)
        self._top = shape[0]
        self._any_large = False

    @property
    def top(self) -> int:
        """First row of the clumps that are waited for, those known to be large left out."""
        return self._top

    @property
    def any_large(self) -> bool:
        """Whether more of a large clump is to come."""
        return self._any_large

    @property
    def nbytes(self) -> int:
        """Memory that waiting clumps take."""
        return self._pending.nbytes + self._owner.nbytes

    def add(self, runs: Runs, rows: int) -> Found:
        """Take the next rows in.

        Parameters
        ----------
        runs : Runs
            Of the values of `nesting`, in order; they cover the rows completely.
        rows : int
            How many rows are known with them.
        """
        step = self._nesting.add(runs, rows)
        table = self._nesting.table
        self._owner = np.concatenate([step.moved[self._owner], step.runs])
        self._pending = concatenated([self._pending, runs])
        root = _roots(table)
        large = table.solid & (table.box_area > self._max_box)
        surroundings = np.where(table.around == NOWHERE, True, table.open[table.around])
        decided = table.solid & ~table.growing & surroundings
        done = decided & ~large & self._may_hold_gland(table, root)
        groups = self._groups(table, root, done)
        found = Found(groups, self._pending.where(self._of(root, large, table.solid)))
        gone = decided[root] | (table.open & ~table.solid & ~table.growing)
        waiting = table.solid & ~gone & ~large[root]
        self._top = int(table.y0[waiting].min(initial=self._shape[0]))
        self._any_large = bool((large & ~gone).any())
        self._forget(table, root, gone, large)
        return found

    def _of(self, root: Index, chosen: Mask, kind: Mask) -> Mask:
        """Pending runs of components of a kind whose root is chosen."""
        mask: Mask = (chosen[root] & kind)[self._owner]
        return mask

    def _may_hold_gland(self, table: Components, root: Index) -> Mask:
        """Roots with a solid component that is large enough; a gland never exceeds its clump."""
        largest = np.zeros(len(table), dtype=np.int64)
        np.maximum.at(largest, root[table.solid], table.area[table.solid])
        mask: Mask = largest >= max(self._min_pixels, 1)
        return mask

    def _groups(self, table: Components, root: Index, done: Mask) -> list[Group]:
        """Complete clumps, those near to each other together."""
        numbers = np.flatnonzero(done)
        boxes = np.stack([table.y0, table.x0, table.y1, table.x1])[:, numbers]
        group = np.full(len(table), NOWHERE)
        group[numbers] = _grouped(boxes, self._cell)
        member = group[root[self._owner]]
        chosen = np.flatnonzero(member != NOWHERE)
        chosen = chosen[np.argsort(member[chosen], kind="stable")]
        count = int(group.max(initial=NOWHERE)) + 1
        ends = np.searchsorted(member[chosen], np.arange(count + 1))
        return [
            Group(
                _union(boxes[:, group[numbers] == index]),
                self._pending.where(chosen[start:stop]).in_order(),
            )
            for index, (start, stop) in enumerate(itertools.pairwise(ends))
        ]

    def _forget(self, table: Components, root: Index, gone: Mask, large: Mask) -> None:
        """Keep the runs that are still waited for, and what may yet become a hole of them."""
        kept = ~gone & ~large[root] & (table.solid | ~table.open)
        chosen = kept[self._owner]
        moved = self._nesting.drop(gone)
        self._pending = self._pending.where(chosen)
        self._owner = moved[self._owner[chosen]]


def _roots(table: Components) -> Index:
    """Of each component the outermost clump whose holes, at whatever depth, it lies in."""
    hole = np.append(table.is_hole, False)
    up = np.arange(len(table))
    enclosed = table.solid & ~table.growing & hole[table.around]
    inward = hole[:-1] | enclosed
    up[inward] = table.around[inward]
    while True:
        further = up[up]
        if np.array_equal(further, up):
            return up
        up = further


def _grouped(boxes: Index, cell: int) -> Index:
    """Number of the group of each box (y0, x0, y1, x1), so that the groups overlap little.

    A box larger than a cell takes those that lie in it; the others go by the cell in which
    their middle lies.
    """
    y0, x0, y1, x1 = boxes
    group = np.full(boxes.shape[1], NOWHERE)
    count = 0
    large = np.flatnonzero(np.maximum(y1 - y0, x1 - x0) > cell)
    for box in large[np.argsort(-((y1 - y0) * (x1 - x0))[large], kind="stable")]:
        if group[box] == NOWHERE:
            inside = (y0 >= y0[box]) & (x0 >= x0[box]) & (y1 <= y1[box]) & (x1 <= x1[box])
            group[inside & (group == NOWHERE)] = count
            count += 1
    rest = np.flatnonzero(group == NOWHERE)
    cells = np.stack([(y0 + y1)[rest], (x0 + x1)[rest]]) // (2 * cell)
    group[rest] = count + np.unique(cells, axis=1, return_inverse=True)[1].ravel()
    return group


def _union(boxes: Index) -> Window:
    y0, x0, y1, x1 = boxes
    return Window(int(y0.min()), int(x0.min()), int(y1.max()), int(x1.max()))
