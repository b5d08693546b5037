"""What segmenting one image gives: the value that decoding makes, layers show, exports write.

It lies below inference, export and the widgets, so that none of them imports another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .regions import RegionHierarchy

LEAST_GLAND_SHARE = 0.02
"""Share of the analysed area that glands must cover for the image's class to mean something."""

UNDECIDED_BELOW = 0.6
"""Probability of the likelier class below which nothing is said for it."""

# Sky blue, vermillion, bluish green, orange: told apart in every common colour blindness, and
# none of them is the colour of a default region.
CLASS_COLORS = ("#56b4e9", "#d55e00", "#009e73", "#e69f00")
"""Of the classes, in their order, wherever glands are drawn."""

GlandTable = dict[str, npt.NDArray[Any]]
"""Column name -> values, one row per gland, first column ``label``."""


def probability_text(value: float) -> str:
    """Two decimals, and never a certainty: ``0.93``, ``over 0.99``, ``under 0.01``."""
    if value > 0.99:
        return "over 0.99"
    return "under 0.01" if value < 0.01 else f"{value:.2f}"


@dataclass(frozen=True)
class TopologyViolations:
    """How often a labelling breaks each rule; one violation is one connected place.

    Attributes
    ----------
    outside_parent : int
        Rule 1: clumps of a contained region (lumen) that lie in no gland.
    touches_outside : int
        Rule 2: clumps of a contained region (lumen) that touch (4-neighbour) a pixel outside
        their parent (stroma).
    extra_pieces : int
        Rule 3: pieces of gland instances beyond the first.
    holes : int
        Rule 3: holes in gland instances.
    """

    outside_parent: int = 0
    touches_outside: int = 0
    extra_pieces: int = 0
    holes: int = 0

    @property
    def total(self) -> int:
        """Sum over the rules."""
        return self.outside_parent + self.touches_outside + self.extra_pieces + self.holes


@dataclass(frozen=True)
class Segmentation:
    """Topology-respecting labels of one image, with what was measured on them.

    Attributes
    ----------
    regions : ndarray of uint8, (Y, X)
        Codes of `hierarchy`; 0 where nothing was analysed.
    glands : ndarray of int32, (Y, X)
        Gland instances 1 .. n; 0 elsewhere.
    table : dict of str to ndarray
        One row per gland, in the order of their labels.
    class_probabilities : dict of str to float
        Probability of each class for the tissue that was analysed; they sum to 1.
    mpp : float
        Micrometres per pixel of the label images.
    hierarchy : RegionHierarchy
    violations_raw, violations : TopologyViolations
        Counted in the network's output before repair, and in `regions` and `glands`.
    provenance : dict
        JSON-able: model name, weights' sha256, package version, um/px, log-variances ...
    complete : bool
        False if the run was stopped before the last tile.
    uncertainty : ndarray of float32, (Y, X), or None
        Entropy of the network's answer at each pixel, 0 (certain) .. 1 (all valid assignments
        equally likely); NaN where nothing was analysed. None where it is not known: in results
        of earlier versions.
    """

    regions: npt.NDArray[np.uint8]
    glands: npt.NDArray[np.int32]
    table: GlandTable
    class_probabilities: dict[str, float]
    mpp: float
    hierarchy: RegionHierarchy
    violations_raw: TopologyViolations
    violations: TopologyViolations
    provenance: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
    uncertainty: npt.NDArray[np.float32] | None = None

    @property
    def gland_share(self) -> float:
        """Share (0..1) of the analysed area that lies in glands; 0 where nothing was analysed."""
        analysed = np.count_nonzero(self.regions)
        return float(np.count_nonzero(self.glands) / analysed) if analysed else 0.0

    @property
    def class_is_supported(self) -> bool:
        """Whether there is enough gland tissue to judge the image's class by.

        The class is learned from fields of glands; of a field without any the network says
        something all the same, often with a probability near 1.
        """
        return self.gland_share >= LEAST_GLAND_SHARE
