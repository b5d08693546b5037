"""A field of tissue continued in all directions by its mirror images, glands included.

At a mirror line every pixel meets its own image, so there is no seam, and a gland that the
field's edge cut continues as its image: both are one gland. What may not be: a gland that
reaches from edge to edge would never end, and one that meets an edge twice would close a ring
around stroma. Slivers, which are no glands to anybody, become white gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects
from synthetic_tissue import SyntheticField

GLASS = (247, 246, 248)
_STROMA = 1
_SLIVER_UM2 = 600.0
_FRINGE_UM = 2.0
# Stroma this near a gland stays or goes with it, so that no gland touches glass.
_COLLAR_UM = 8.0
_NOISE = 1.5

Run = tuple[slice, slice, int]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class MirroredField:
    """A field, and what is known of each of its glands.

    Attributes
    ----------
    image : ndarray of uint8, (h, w, 3)
    regions : ndarray of uint8, (h, w)
    glands : ndarray of int32, (h, w)
        Pieces of glands from 1.
    owner : ndarray of int32, (h, w)
        The gland that a pixel belongs to, its collar of stroma included; 0 for other stroma.
    anchor : ndarray of float64, (2, pieces + 1)
        A point (y, x) of each gland's own: its centre, or on the mirror lines that it meets,
        so that a gland and its images share one.
    sides : ndarray of int64, (2, pieces + 1)
        Along y and x: -1 where the gland meets the first edge, 1 the last, 0 none.
    reach : int
        No pixel is further than this, px along an axis, from its owner's anchor.
    """

    image: npt.NDArray[np.uint8]
    regions: npt.NDArray[np.uint8]
    glands: Labels
    owner: Labels
    anchor: npt.NDArray[np.float64]
    sides: npt.NDArray[np.int64]
    reach: int

    @classmethod
    def of(cls, field: SyntheticField) -> MirroredField:
        """Prepare a field; `field` is left as it is.

        Raises
        ------
        ValueError
            If one of its glands cannot be continued; see the module.
        """
        problem = whole_glands_problem(field.glands)
        if problem is not None:
            raise ValueError(f"The field cannot be mirrored: {problem}. Take another seed or size.")
        sides = _sides(field.glands)
        image, regions, glands = _without_slivers(field, sides)
        owner = _owners(glands, _COLLAR_UM / field.mpp)
        anchor, reach = _anchors(owner, glands, sides)
        return cls(image, regions, glands, owner, anchor, sides, reach)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the field."""
        height, width = self.glands.shape
        return height, width

    @property
    def pieces(self) -> int:
        """The largest label."""
        return int(self.anchor.shape[1]) - 1

    def anchors(
        self, first: tuple[int, int], last: tuple[int, int]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Where the anchors are in a block of images of the field.

        Parameters
        ----------
        first, last : (int, int)
            Row and column of the block's first and last image.

        Returns
        -------
        y, x : ndarray, (rows, columns, pieces + 1)
        """
        along = []
        for start, stop, size, at in zip(first, last, self.shape, self.anchor, strict=True):
            index = np.arange(start, stop + 1)[:, None]
            along.append(index * size + np.where(index % 2, size - at, at))
        y, x = np.broadcast_arrays(along[0][:, None], along[1][None, :])
        return y, x

    def home(self, row: int, column: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Of all images that share a gland, the first: its row and column, (pieces + 1,)."""
        y, x = (
            index - np.where(side == 1, index % 2, np.where(side == -1, 1 - index % 2, 0))
            for index, side in zip((row, column), self.sides, strict=True)
        )
        return y, x


def mirrored_runs(start: int, stop: int, size: int) -> Iterator[Run]:
    """Cut an axis at the mirror lines.

    Yields
    ------
    target, source : slice
        Of the window from `start`, and of the field.
    index : int
        Which image of the field: odd ones are turned around.
    """
    position = start
    while position < stop:
        index = position // size
        end = min(stop, (index + 1) * size)
        first, last = position - index * size, end - index * size
        if index % 2:
            first, last = size - 1 - first, size - 1 - last
            source = slice(first, last if last >= 0 else None, -1)
        else:
            source = slice(first, last)
        yield slice(position - start, end - start), source, index
        position = end


def mirrored_window(
    array: npt.NDArray[Any],
    y0: int,
    x0: int,
    y1: int,
    x1: int,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """A window of an array (h, w, ...) that is continued by its mirror images, or into `out`."""
    window = out
    if window is None:
        window = np.empty((y1 - y0, x1 - x0, *array.shape[2:]), array.dtype)
    for rows, from_rows, _ in mirrored_runs(y0, y1, array.shape[0]):
        for columns, from_columns, _ in mirrored_runs(x0, x1, array.shape[1]):
            window[rows, columns] = array[from_rows, from_columns]
    return window


def whole_glands_problem(glands: Labels) -> str | None:
    """Why a field cannot be continued by its mirror images; None if it can."""
    edges = (glands[0], glands[-1], glands[:, 0], glands[:, -1])
    top, bottom, left, right = (set(np.unique(edge[edge > 0]).tolist()) for edge in edges)
    if top & bottom or left & right:
        return "a gland reaches from one edge to the opposite one"
    ring = "a gland and its mirror image would close a ring"
    if any(_meets_twice(edge) for edge in edges):
        return ring
    corners = (
        (top, left, 0, 0),
        (top, right, 0, -1),
        (bottom, left, -1, 0),
        (bottom, right, -1, -1),
    )
    for first, second, y, x in corners:
        if (first & second) - {int(glands[y, x])}:
            return ring
    return None


def _meets_twice(edge: Labels) -> bool:
    """Whether a gland has more than one run of pixels along an edge."""
    starts = edge[np.append(True, edge[1:] != edge[:-1])]
    starts = starts[starts > 0]
    return len(starts) > len(np.unique(starts))


def _sides(glands: Labels) -> npt.NDArray[np.int64]:
    sides = np.zeros((2, int(glands.max()) + 1), np.int64)
    for axis, (first, last) in enumerate(((glands[0], glands[-1]), (glands[:, 0], glands[:, -1]))):
        sides[axis, first], sides[axis, last] = -1, 1
    sides[:, 0] = 0
    return sides


def _without_slivers(
    field: SyntheticField, sides: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Labels]:
    """Image, regions and glands without glands that are tiny together with their images."""
    area = np.bincount(field.glands.ravel()) * 2.0 ** np.abs(sides).sum(axis=0)
    tiny = area * field.mpp**2 < _SLIVER_UM2
    tiny[0] = False
    gone = tiny[field.glands]
    image, regions, glands = field.image.copy(), field.regions.copy(), field.glands.copy()
    if gone.any():
        fringe = distance_transform_edt(~gone) <= _FRINGE_UM / field.mpp
        white = fringe & (gone | (glands == 0))
        image[white] = glass_noise(image.shape[:2])[white]
        regions[gone], glands[gone] = _STROMA, 0
    return image, regions, glands


def glass_noise(shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Empty glass under a camera, (h, w, 3); the same each time."""
    noise = np.random.default_rng(7).normal(0.0, _NOISE, (*shape, 1))
    return np.clip(np.rint(np.array(GLASS) + noise), 0, 255).astype(np.uint8)


def _owners(glands: Labels, collar: float) -> Labels:
    if not glands.any():
        return np.zeros_like(glands)
    distance, nearest = distance_transform_edt(glands == 0, return_indices=True)
    return np.where(distance <= collar, glands[nearest[0], nearest[1]], 0).astype(np.int32)


def _anchors(
    owner: Labels, glands: Labels, sides: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], int]:
    anchor = np.zeros(sides.shape)
    reach = 0
    for label, box in enumerate(find_objects(owner, sides.shape[1] - 1), 1):
        if box is None:
            continue
        within = np.argwhere(glands[box] == label) + 0.5
        for axis, (span, size) in enumerate(zip(box, glands.shape, strict=True)):
            centre = span.start + within[:, axis].mean()
            at = {0: centre, -1: 0.0, 1: float(size)}[int(sides[axis, label])]
            anchor[axis, label] = at
            reach = max(reach, int(np.ceil(max(at - span.start, span.stop - at))))
    return anchor, reach
