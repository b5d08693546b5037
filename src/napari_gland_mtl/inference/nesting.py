"""Connected components of an image that arrives strip by strip, and which lies inside which.

A slide is too large for one label image. Here only runs are kept: those of the last row, by
which the next strip is joined on, and one line of numbers per component that may still matter.
Solid components are connected through edges and corners, hollow ones (all the rest) through
edges only, so that every component but the outermost lies in exactly one other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.runs import Runs, components_of, concatenated, touching_pairs

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Index = npt.NDArray[np.int64]

HOLLOW, UNKNOWN, SOLID, MARKED = 0, 1, 2, 3
"""Values of pixels: not in the mask, not analysed, in the mask, in it and marked."""

NOWHERE = -1
"""In place of a component: the outside of the image, or one that is known to be open."""


@dataclass(frozen=True)
class Components:
    """One line per component.

    Attributes
    ----------
    solid, marked : ndarray of bool, (n,)
        `marked`: a solid one with a marked pixel.
    growing : ndarray of bool, (n,)
        Whether it touches the last row, below which the image goes on.
    open : ndarray of bool, (n,)
        A hollow one that is no hole: it touches the border of the image, holds a pixel that was
        not analysed, at whatever depth, or is larger than the limit. A solid one: an open one
        lies in it.
    around : ndarray of int64, (n,)
        The component that surrounds it, or `NOWHERE`.
    first : ndarray of int64, (n,)
        Its first pixel, row by row, as ``y * width + x``.
    area : ndarray of int64, (n,)
    y0, x0, y1, x1 : ndarray of int64, (n,)
        Bounding box, the ends excluded.
    """

    solid: Mask
    marked: Mask
    growing: Mask
    open: Mask
    around: Index
    first: Index
    area: Index
    y0: Index
    x0: Index
    y1: Index
    x1: Index

    def __len__(self) -> int:
        return len(self.solid)

    @property
    def is_hole(self) -> Mask:
        """Hollow ones that are closed for good."""
        return ~self.solid & ~self.growing & ~self.open

    @property
    def box_area(self) -> Index:
        """Pixels of the bounding box."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)

    def where(self, chosen: Mask | Index) -> Components:
        """The lines of a mask or of indices; `around` still counts the lines before."""
        return Components(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Step:
    """What a strip has changed.

    Attributes
    ----------
    runs : ndarray of int64, (r,)
        The component that each run of the strip belongs to.
    moved : ndarray of int64, (n,)
        The present number of each component of before.
    """

    runs: Index
    moved: Index


class Nesting:
    """The components of an image, of which so far the upper part is known.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the whole image.
    limit : int, optional
        A hollow component whose bounding box holds more pixels counts as open.

    Attributes
    ----------
    table : Components
        Those that were not dropped.
    """

    def __init__(self, shape: tuple[int, int], limit: int | None = None) -> None:
        self._shape = shape
        self._limit = limit
        self._rows = 0
        none, no_flag = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
        self.table = Components(*[no_flag] * 4, *[none] * 7)
        self._frontier = concatenated([])
        self._frontier_component = none

    def add(self, runs: Runs, rows: int) -> Step:
        """Join the next rows on.

        Parameters
        ----------
        runs : Runs
            Of these values, in order; they cover the rows completely.
        rows : int
            How many rows of the image are known with them.
        """
        known = len(self.table)
        joined = concatenated([self._frontier, runs])
        nodes = np.concatenate([self._frontier_component, known + np.arange(runs.size)])
        solid = joined.value >= SOLID
        first, second = touching_pairs(joined, solid, solid, self._shape[1])
        component = components_of(nodes[first], nodes[second], known + runs.size)
        step = Step(component[known:], component[:known])
        self._rows = rows
        last = runs.y == rows - 1
        self._frontier = runs.where(last)
        self._frontier_component = step.runs[last]
        self.table = self._merged(runs, step)
        return step

    def drop(self, gone: Mask) -> Index:
        """Forget components; what lies in them lies nowhere then.

        Returns
        -------
        ndarray of int64, (n + 1,)
            New number of each component, `NOWHERE` for those that are gone and at the end.
        """
        moved = np.where(gone, NOWHERE, np.cumsum(~gone) - 1)
        moved = np.append(moved, NOWHERE)
        kept = self.table.where(~gone)
        self.table = replace(kept, around=moved[kept.around])
        self._frontier_component = moved[self._frontier_component]
        return moved

    def _merged(self, runs: Runs, step: Step) -> Components:
        """The table after a strip."""
        strip = self._lines_of(runs, step.runs)
        before = replace(self.table, around=np.append(step.moved, NOWHERE)[self.table.around])
        owner = np.concatenate([step.moved, step.runs])
        number = int(owner.max(initial=-1)) + 1
        lines = Components(
            *(
                np.concatenate([getattr(before, field.name), getattr(strip, field.name)])
                for field in fields(Components)
            )
        )
        merged = _summed(lines, owner, number)
        if self._rows < self._shape[0]:
            merged.growing[self._frontier_component] = True
        if self._limit is not None:
            merged.open[~merged.solid & (merged.box_area > self._limit)] = True
        _pass_on_openness(merged)
        return merged

    def _lines_of(self, runs: Runs, component: Index) -> Components:
        """Each run of a strip as a component of its own."""
        height, width = self._shape
        y, start, stop = (column.astype(np.int64) for column in runs[:3])
        solid = runs.value >= SOLID
        border = (y == 0) | (y == height - 1) | (start == 0) | (stop == width)
        left = np.append(NOWHERE, component[:-1]) if runs.size else component
        return Components(
            solid=solid,
            marked=runs.value == MARKED,
            growing=np.zeros(runs.size, dtype=bool),
            open=~solid & (border | (runs.value == UNKNOWN)),
            around=np.where(start == 0, NOWHERE, left),
            first=y * width + start,
            area=stop - start,
            y0=y,
            x0=start,
            y1=y + 1,
            x1=stop,
        )


def _summed(lines: Components, owner: Index, number: int) -> Components:
    """Lines that belong together made one; `around` is that of the one with the first pixel."""

    def any_of(flags: Mask) -> Mask:
        result = np.zeros(number, dtype=bool)
        result[owner[flags]] = True
        return result

    def least(values: Index) -> Index:
        result = np.full(number, np.iinfo(np.int64).max)
        np.minimum.at(result, owner, values)
        return result

    def most(values: Index) -> Index:
        return -least(-values)

    first = least(lines.first)
    leading = lines.first == first[owner]
    around = np.full(number, NOWHERE)
    around[owner[leading]] = lines.around[leading]
    area = np.zeros(number, dtype=np.int64)
    np.add.at(area, owner, lines.area)
    return Components(
        solid=any_of(lines.solid),
        marked=any_of(lines.marked),
        growing=np.zeros(number, dtype=bool),
        open=any_of(lines.open),
        around=around,
        first=first,
        area=area,
        y0=least(lines.y0),
        x0=least(lines.x0),
        y1=most(lines.y1),
        x1=most(lines.x1),
    )


def _pass_on_openness(table: Components) -> None:
    """Mark what surrounds something open, in place: a hole with an unknown pixel is none.

    Only what has stopped growing is sure to stay where it is.
    """
    inside = np.flatnonzero(~table.growing & (table.around != NOWHERE))
    while True:
        around = table.around[inside[table.open[inside]]]
        if table.open[around].all():
            return
        table.open[around] = True
