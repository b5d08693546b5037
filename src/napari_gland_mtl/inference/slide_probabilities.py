"""What labelling a slide starts from: stored probabilities, and how they become labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import InvalidInputError
from ..metrics.topology import containers
from ..regions import NOT_ANNOTATED, RegionHierarchy
from .decoding import DecodingConfig, gland_probability, most_probable
from .tiling import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Regions = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]


class ProbabilitySource(Protocol):
    """What the network said of a slide, readable window by window."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""

    def read(self, window: Window) -> npt.NDArray[np.uint8]:
        """Probabilities of the valid assignments, (A, h, w), 255 for 1.

        A pixel where all are 0 was not analysed.
        """

    def any(self, window: Window) -> bool:
        """False if nothing in the window was analysed; cheap."""

    def class_map(self, window: Window) -> npt.NDArray[np.float32]:
        """Class activations, (K, h, w), of a window in cells; NaN where there are none."""


@dataclass(frozen=True)
class Recipe:
    """How labels are made.

    Attributes
    ----------
    hierarchy : RegionHierarchy
    mpp : float
        Micrometres per pixel.
    config : DecodingConfig
    classes : tuple of str
    stride : int
        Pixels per cell of the class map.
    tissue : callable, optional
        Which pixels of a window show tissue.
    """

    hierarchy: RegionHierarchy
    mpp: float
    config: DecodingConfig
    classes: tuple[str, ...] = ()
    stride: int = 16
    tissue: Callable[[Window], Mask] | None = None

    @property
    def reach(self) -> int:
        """How far (px) beyond the glands the labels depend on them.

        Nothing outside a gland does, unless regions around the glands contain others: their
        contents may be withdrawn twice, each time from one region inward.
        """
        inside = set(self.hierarchy.gland_codes)
        return 2 * sum(code not in inside for code in containers(self.hierarchy))

    @property
    def is_plain(self) -> bool:
        """Whether a pixel outside the glands can be of one region only."""
        return len(self.hierarchy) - len(self.hierarchy.gland_codes) == 1


@dataclass(frozen=True)
class Planes:
    """The network's output in a window.

    Attributes
    ----------
    probabilities : ndarray of uint8, (A, h, w)
    raw : ndarray of uint8, (h, w)
        Most probable codes, 0 where nothing was analysed.
    certainty : ndarray of float32, (h, w)
        Probability of lying in a gland.
    solid : ndarray of bool, (h, w)
        Where there may be a gland; elsewhere one may only fill its holes.
    """

    probabilities: npt.NDArray[np.uint8]
    raw: Regions
    certainty: npt.NDArray[np.floating]
    solid: Mask


def read_planes(source: ProbabilitySource, window: Window, recipe: Recipe) -> Planes:
    """Read a window and say where glands may be.

    Raises
    ------
    InvalidInputError
        If the source does not give one probability per region of the hierarchy.
    """
    probabilities, hierarchy = source.read(window), recipe.hierarchy
    if probabilities.shape != (len(hierarchy), *window.shape):
        raise InvalidInputError(
            f"The stored probabilities of window {tuple(window)} have shape "
            f"{probabilities.shape}, expected {(len(hierarchy), *window.shape)}: one for each of "
            f"{list(hierarchy.names)}. They were made by a model with other regions."
        )
    raw = most_probable(probabilities, range(1, len(hierarchy) + 1))
    raw[probabilities.max(axis=0) == 0] = NOT_ANNOTATED
    certainty = gland_probability(probabilities, hierarchy)
    solid = (certainty >= recipe.config.gland_threshold) & (raw != NOT_ANNOTATED)
    return Planes(probabilities, raw, certainty, solid)
