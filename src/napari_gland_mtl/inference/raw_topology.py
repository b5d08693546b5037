"""Count the topology violations of the raw output of a whole slide while it arrives in strips.

The numbers of `metrics.topology.count_violations`, for an image that is never in memory as a
whole. A place that breaks a rule may run through many strips, and whether a clump of lumen lies
in a gland is known only where the clump ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..metrics.runs import Runs
from ..metrics.topology import any_of, containers, escapes
from ..regions import NOT_ANNOTATED, RegionHierarchy
from ..segmentation import TopologyViolations
from .nesting import HOLLOW, MARKED, NOWHERE, SOLID, UNKNOWN, Nesting

if TYPE_CHECKING:
    import numpy.typing as npt

    Regions = npt.NDArray[np.uint8]
    Index = npt.NDArray[np.int64]


class RawTopology:
    """Violations of region labels that come strip by strip.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the whole.
    hierarchy : RegionHierarchy

    Notes
    -----
    Where regions other than the gland contain something, places where their contents touch the
    outside are counted apart from places in glands, even if the two adjoin.
    """

    def __init__(self, shape: tuple[int, int], hierarchy: RegionHierarchy) -> None:
        self._glands = Nesting(shape)
        self._in_glands = Nesting(shape)
        self._elsewhere = Nesting(shape)
        self._contact = np.zeros(0, dtype=np.int64)  # ended places, per component of the glands
        self._owner = np.zeros(0, dtype=np.int64)  # the gland component of each place
        self._outside_parent = self._touches_outside = self._holes = 0
        self._width = shape[1]

    @property
    def counts(self) -> TopologyViolations:
        """What has been found; final once the last strip was added."""
        return TopologyViolations(
            outside_parent=self._outside_parent,
            touches_outside=self._touches_outside,
            holes=self._holes,
        )

    def add(self, glands: Runs, contacts: Runs, rows: int) -> None:
        """Count on.

        Parameters
        ----------
        glands, contacts : Runs
            Of the two planes of `planes_of`, for the next rows, in order.
        rows : int
            How many rows of the image are known with them.
        """
        step = self._glands.add(glands, rows)
        self._contact = np.bincount(
            step.moved, self._contact, minlength=len(self._glands.table)
        ).astype(np.int64)
        gland_keys = glands.y.astype(np.int64) * self._width + glands.start
        place_keys = contacts.y.astype(np.int64) * self._width + contacts.start
        owner = step.runs[np.searchsorted(gland_keys, place_keys, side="right") - 1]
        self._end_places(contacts, owner, step.moved, rows)
        self._end_elsewhere(contacts, rows)
        self._end_glands()

    def _end_places(self, contacts: Runs, owner: Index, moved: Index, rows: int) -> None:
        inside = contacts.with_values(np.where(contacts.value == IN_GLAND, SOLID, HOLLOW))
        step = self._in_glands.add(inside, rows)
        table = self._in_glands.table
        owners = np.full(len(table), NOWHERE)
        owners[step.moved] = np.append(moved, NOWHERE)[self._owner]
        owners[step.runs] = owner
        ended = ~table.growing
        np.add.at(self._contact, owners[ended & table.solid], 1)
        self._in_glands.drop(ended)
        self._owner = owners[~ended]

    def _end_elsewhere(self, contacts: Runs, rows: int) -> None:
        outside = contacts.with_values(np.where(contacts.value == ELSEWHERE, SOLID, HOLLOW))
        self._elsewhere.add(outside, rows)
        table = self._elsewhere.table
        self._touches_outside += int((table.solid & ~table.growing).sum())
        self._elsewhere.drop(~table.growing)

    def _end_glands(self) -> None:
        table = self._glands.table
        ended = ~table.growing
        self._holes += int(table.is_hole.sum())
        self._outside_parent += int((ended & table.solid & ~table.marked).sum())
        self._touches_outside += int(self._contact[ended & table.marked].sum())
        self._owner = self._glands.drop(ended)[self._owner]
        self._contact = self._contact[~ended]


IN_GLAND, ELSEWHERE = 1, 2
"""Values of contacts: contents of a region that touch its outside."""


def planes_of(raw: Regions, hierarchy: RegionHierarchy) -> tuple[Regions, Regions]:
    """The two planes whose runs are counted.

    Parameters
    ----------
    raw : ndarray of uint8, (Y, X)
        With one pixel around what is wanted of the result.

    Returns
    -------
    glands : ndarray of uint8, (Y, X)
        The values of `nesting`; marked is the gland region itself.
    contacts : ndarray of uint8, (Y, X)
        0, `IN_GLAND` or `ELSEWHERE`.
    """
    is_gland = any_of(raw, hierarchy.gland_codes)
    glands = np.where(is_gland, np.uint8(SOLID), np.uint8(HOLLOW))
    glands[raw == NOT_ANNOTATED] = UNKNOWN
    glands[raw == hierarchy.code(hierarchy.gland)] = MARKED
    touching = np.zeros(raw.shape, dtype=bool)
    for container in containers(hierarchy):
        touching |= escapes(raw, container, hierarchy)
    contacts = np.where(is_gland, np.uint8(IN_GLAND), np.uint8(ELSEWHERE))
    contacts[~touching] = 0
    return glands, contacts
