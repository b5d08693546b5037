"""Cut an image of any size into tiles whose stitched results equal one pass over the whole.

Two things are needed for that: every window that the network sees starts at a multiple of its
stride, so that its pooling grid is the same everywhere, and every window reaches past the part
that is kept by at least the receptive radius, or to the border of the image. Windows at the
border are moved inwards instead of being cut, so that all have one size and can be batched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError


class Window(NamedTuple):
    """A half-open rectangle ``[y0, y1) x [x0, x1)`` in pixels."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index the last two axes of an array with."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def relative_to(self, y: int, x: int) -> Window:
        """The same rectangle counted from another origin."""
        return Window(self.y0 - y, self.x0 - x, self.y1 - y, self.x1 - x)

    def coarsened(self, stride: int) -> Window:
        """The rectangle on a grid `stride` times coarser; it must lie on that grid."""
        return Window(*(value // stride for value in self))

    def clipped(self, height: int, width: int) -> Window:
        """The part inside an image of this height and width."""
        return Window(max(self.y0, 0), max(self.x0, 0), min(self.y1, height), min(self.x1, width))

    def aligned(self, stride: int) -> Window:
        """The smallest rectangle around this one with all edges on multiples of `stride`."""
        return Window(
            self.y0 // stride * stride,
            self.x0 // stride * stride,
            round_up(self.y1, stride),
            round_up(self.x1, stride),
        )


@dataclass(frozen=True)
class Tile:
    """One piece of the work.

    Attributes
    ----------
    core : Window
        The part whose result is kept; the cores of a plan cover its region exactly once.
    window : Window
        What the network sees: `core` with its halo, inside the padded image.
    """

    core: Window
    window: Window

    @property
    def core_in_window(self) -> Window:
        """`core` counted from the corner of `window`."""
        return self.core.relative_to(self.window.y0, self.window.x0)


def round_up(value: int, multiple: int) -> int:
    """Smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple


def plan_tiles(
    shape: tuple[int, int],
    tile_size: int,
    halo: int,
    stride: int = 16,
    region: Window | None = None,
) -> list[Tile]:
    """Tiles that cover an image, or a region of it, row by row.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the padded image; multiples of `stride`.
    tile_size : int
        Side of the cores in px, a multiple of `stride`. The last of a row may be smaller.
    halo : int
        Least distance in px between the edge of a core and that of its window, where the image
        does not end before. At least the receptive radius; a multiple of `stride`.
    stride : int
        Coarsest grid of the network in px.
    region : Window, optional
        The part to cover, aligned to `stride` and inside `shape`. The whole image if not given.

    Returns
    -------
    list of Tile
        All windows have the same size.

    Raises
    ------
    InvalidInputError
        If a size is not a positive multiple of `stride`, or the region is empty or not inside
        the image.
    """
    region = region or Window(0, 0, *shape)
    _check_multiples(stride, height=shape[0], width=shape[1], tile_size=tile_size)
    if halo < 0 or halo % stride:
        raise InvalidInputError(f"halo must be a multiple of {stride} px, got {halo}.")
    if (
        region != region.aligned(stride)
        or region != region.clipped(*shape)
        or min(region.shape) < 1
    ):
        raise InvalidInputError(
            f"The region {tuple(region)} must lie inside the padded image {shape}, on multiples "
            f"of {stride} px."
        )
    rows = list(_spans(region.y0, region.y1, tile_size, halo, shape[0]))
    columns = list(_spans(region.x0, region.x1, tile_size, halo, shape[1]))
    return [
        Tile(
            core=Window(row.core_start, column.core_start, row.core_stop, column.core_stop),
            window=Window(row.start, column.start, row.stop, column.stop),
        )
        for row in rows
        for column in columns
    ]


class _Span(NamedTuple):
    core_start: int
    core_stop: int
    start: int
    stop: int


def _spans(first: int, last: int, tile_size: int, halo: int, length: int) -> Iterator[_Span]:
    """Cores along one axis from `first` to `last`, with their windows inside ``[0, length)``."""
    size = min(min(tile_size, last - first) + 2 * halo, length)
    for core_start in range(first, last, tile_size):
        start = min(max(core_start - halo, 0), length - size)
        yield _Span(core_start, min(core_start + tile_size, last), start, start + size)


def _check_multiples(stride: int, **sizes: int) -> None:
    for name, size in sizes.items():
        if size < stride or size % stride:
            raise InvalidInputError(
                f"{name.replace('_', ' ')} must be a positive multiple of {stride} px, got {size}."
            )


def pad_mirrored(image: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """Extend an image at its bottom and right by its mirror image.

    Parameters
    ----------
    image : ndarray, (Y, X, ...)
    height, width : int
        The wanted size, not less than the size of `image`.

    Returns
    -------
    ndarray, (height, width, ...)
        `image` itself where it has that size already.
    """
    missing = [(0, height - image.shape[0]), (0, width - image.shape[1])]
    if missing == [(0, 0), (0, 0)]:
        return image
    return np.pad(image, missing + [(0, 0)] * (image.ndim - 2), mode="symmetric")
