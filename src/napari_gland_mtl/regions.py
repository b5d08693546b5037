"""Which regions a tissue has and which of them lie inside which.

Lumen lies inside the epithelial border, stroma lies outside both: a forest, one parent per
region. A pixel's *assignment* is the set of regions it belongs to. The valid assignments of a
forest are exactly one per region, the region with its ancestors, so a label image needs one
code per region: 0 is "not annotated", code ``c`` is ``regions[c - 1]`` and its ancestors.
Everything that knows about regions (losses, decoding, topology check, layer colours) reads it
from here, and nothing is written for three regions alone.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import InvalidInputError

NOT_ANNOTATED = 0


class Region(BaseModel):
    """One region of the tissue.

    Parameters
    ----------
    name : str
        The term shown to users, e.g. ``"lumen"``.
    parent : str or None
        The region that contains this one, or None for a region at the top.
    color : str
        ``#rrggbb``, used wherever the region is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    parent: str | None = None
    color: str = Field(default="#888888", pattern=r"^#[0-9a-fA-F]{6}$")


class RegionHierarchy(BaseModel):
    """A forest of regions, with the codes and valid assignments that follow from it.

    Parameters
    ----------
    regions : tuple of Region
        In the order of their codes: ``regions[0]`` has code 1. At most 255.
    gland : str
        The region whose connected extent, its descendants included, is a gland instance.
    background : str
        The region to which a pixel goes when a repair takes it out of a gland.

    Raises
    ------
    pydantic.ValidationError
        If names repeat, a parent does not exist, parents form a circle, or `background` lies
        in the tree of `gland`. It is a ``ValueError``, and its message says which.

    Examples
    --------
    >>> GLAND_REGIONS.names
    ('stroma', 'epithelium', 'lumen')
    >>> GLAND_REGIONS.assignments.astype(int).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: tuple[Region, ...] = Field(min_length=2, max_length=255)
    gland: str = "epithelium"
    background: str = "stroma"

    @model_validator(mode="after")
    def _check_forest(self) -> RegionHierarchy:
        names = [region.name for region in self.regions]
        if len(set(names)) != len(names):
            raise InvalidInputError(f"Region names must differ from each other, got {names}.")
        for region in self.regions:
            if region.parent is not None and region.parent not in names:
                raise InvalidInputError(
                    f"The parent {region.parent!r} of region {region.name!r} is not among the "
                    f"regions {names}. Add it or name another parent."
                )
        for name in names:
            self._ancestors(name)
        for role in (self.gland, self.background):
            if role not in names:
                raise InvalidInputError(f"{role!r} is not among the regions {names}.")
        if self.gland in self._ancestors(self.background):
            raise InvalidInputError(
                f"The background {self.background!r} must lie outside the gland {self.gland!r}."
            )
        return self

    def __eq__(self, other: object) -> bool:
        """Whether both have the same regions and roles, whatever was derived from them since."""
        # pydantic compares cached properties, too, and an array of them has no truth value.
        return isinstance(other, RegionHierarchy) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.regions, self.gland, self.background

    def _ancestors(self, name: str) -> list[str]:
        """The region itself, its parent, and so on up to the root."""
        parents = {region.name: region.parent for region in self.regions}
        chain: list[str] = []
        current: str | None = name
        while current is not None:
            if current in chain:
                raise InvalidInputError(f"Regions contain each other in a circle: {chain}.")
            chain.append(current)
            current = parents[current]
        return chain

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the codes."""
        return tuple(region.name for region in self.regions)

    def __len__(self) -> int:
        return len(self.regions)

    def code(self, name: str) -> int:
        """The code of a region in label images, from 1."""
        try:
            return self.names.index(name) + 1
        except ValueError:
            raise InvalidInputError(
                f"{name!r} is not among the regions {list(self.names)}."
            ) from None

    @cached_property
    def assignments(self) -> npt.NDArray[np.bool_]:
        """Valid assignments, shape (L, L): row ``a`` is region ``a`` with its ancestors."""
        matrix = np.zeros((len(self), len(self)), dtype=bool)
        for row, name in enumerate(self.names):
            for ancestor in self._ancestors(name):
                matrix[row, self.names.index(ancestor)] = True
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def gland_codes(self) -> tuple[int, ...]:
        """Codes of the pixels that belong to a gland: its region and all below it."""
        column = self.assignments[:, self.names.index(self.gland)]
        return tuple(int(code) for code in np.flatnonzero(column) + 1)

    def is_gland(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Mask of the gland pixels of a label image, same shape."""
        table = np.zeros(256, dtype=bool)
        table[list(self.gland_codes)] = True
        mask: npt.NDArray[np.bool_] = table[np.asarray(labels)]
        return mask

    def check_labels(self, labels: npt.NDArray[np.generic]) -> None:
        """Raise InvalidInputError unless `labels` is (Y, X) and holds codes 0 .. L only."""
        if labels.ndim != 2 or labels.dtype.kind not in "ui":
            raise InvalidInputError(
                f"A region label image has two axes (Y, X) and whole numbers; this one has "
                f"shape {labels.shape} and type {labels.dtype}."
            )
        if labels.size and (int(labels.max()) > len(self) or int(labels.min()) < 0):
            known = ", ".join(f"{i} {n}" for i, n in enumerate(self.names, 1))
            raise InvalidInputError(
                f"Label values must be 0 (not annotated), {known}; this image holds "
                f"{int(labels.min())} to {int(labels.max())}."
            )


# Okabe-Ito colours: told apart in every common kind of colour blindness.
GLAND_REGIONS = RegionHierarchy(
    regions=(
        Region(name="stroma", color="#cc79a7"),
        Region(name="epithelium", color="#0072b2"),
        Region(name="lumen", parent="epithelium", color="#f0e442"),
    )
)
