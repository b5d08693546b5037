"""The sizes in a slide's store: what lies on which grid, fixed when the store is created.

Labels lie on the network's grid, which has the slide's corner and the model's um/px; results of
the network are stored tile by tile on the same grid, its class activations on one that is
`stride` times coarser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InvalidInputError
from ..regions import GLAND_REGIONS, RegionHierarchy

Window = tuple[int, int, int, int]
"""(y0, x0, y1, x1), half open, in pixels."""
LATTICE = 512
"""Blocks of labels begin on multiples of this."""


@dataclass(frozen=True, kw_only=True)
class StoreLayout:
    """Where everything in a slide's store lies.

    Attributes
    ----------
    shape : tuple of int
        (H, W) of the labels and the network's grid.
    mpp : float
        Micrometres per pixel of that grid.
    slide_shape : tuple of int
        (height, width) of the slide's level 0.
    slide_mpp : float
        Micrometres per pixel of the slide's level 0.
    tile : int
        Side of a tile's core in px of the network; a multiple of 512.
    stride : int
        Px of the network per cell of its class activations.
    hierarchy : RegionHierarchy
    classes : tuple of str
        In the model's order; at least one.

    Raises
    ------
    InvalidInputError
        If a size is not possible.
    """

    shape: tuple[int, int]
    mpp: float
    slide_shape: tuple[int, int]
    slide_mpp: float
    tile: int
    stride: int = 16
    hierarchy: RegionHierarchy = GLAND_REGIONS
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if min(*self.shape, *self.slide_shape) < 1 or min(self.mpp, self.slide_mpp) <= 0:
            raise InvalidInputError(
                f"A slide of {self.slide_shape} px at {self.slide_mpp} um, with labels of "
                f"{self.shape} px at {self.mpp} um, is not possible: sizes must be positive."
            )
        if self.tile < LATTICE or self.tile % LATTICE:
            raise InvalidInputError(
                f"The tiles of a slide must be a multiple of {LATTICE} px, not {self.tile}."
            )
        if self.stride < 1 or LATTICE % self.stride:
            raise InvalidInputError(f"The stride must divide {LATTICE}, not be {self.stride}.")
        if not self.classes:
            raise InvalidInputError("The classes of the model are missing.")

    @property
    def scale(self) -> float:
        """Pixels of the slide's level 0 per pixel of the labels."""
        return self.mpp / self.slide_mpp

    @property
    def coarse_shape(self) -> tuple[int, int]:
        """(h, w) of the class activations and the heat map."""
        return -(-self.shape[0] // self.stride), -(-self.shape[1] // self.stride)

    def clipped(self, window: Window) -> Window:
        """The part of a window of the network's grid that is not padding."""
        y0, x0, y1, x1 = (int(value) for value in window)
        return y0, x0, min(y1, self.shape[0]), min(x1, self.shape[1])

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and text."""
        fields = asdict(self)
        return {**fields, "hierarchy": self.hierarchy.model_dump(mode="json")}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> StoreLayout:
        """The inverse of `to_json`; ValueError, TypeError or KeyError if it is none."""
        return cls(
            shape=_pair(fields["shape"]),
            mpp=float(fields["mpp"]),
            slide_shape=_pair(fields["slide_shape"]),
            slide_mpp=float(fields["slide_mpp"]),
            tile=int(fields["tile"]),
            stride=int(fields["stride"]),
            hierarchy=RegionHierarchy.model_validate(fields["hierarchy"]),
            classes=tuple(str(name) for name in fields["classes"]),
        )


def check_window(window: Window, shape: tuple[int, int]) -> Window:
    """The window as plain numbers; InvalidInputError unless it lies inside `shape`."""
    y0, x0, y1, x1 = (int(value) for value in window)
    if not (0 <= y0 < y1 <= shape[0] and 0 <= x0 < x1 <= shape[1]):
        raise InvalidInputError(
            f"The window {(y0, x0, y1, x1)} (y0, x0, y1, x1) is empty or leaves {shape}."
        )
    return y0, x0, y1, x1


def _pair(values: Any) -> tuple[int, int]:
    height, width = values
    return int(height), int(width)
