"""Pixel accuracy over the regions, and class accuracy over the images.

Two conventions exist for the first, all pixels of all images together ("pooled") and the mean
of the images' own values ("mean"); both are given. Pixels that nobody annotated (code 0 in the
truth) count for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from .components import check_same_shape

if TYPE_CHECKING:
    import numpy.typing as npt

    from .components import Labels

Measure = dict[str, float | None]
"""``{"pooled": x, "mean": y}``; None where nothing was there to be measured."""


def confusion_matrix(
    truth: Labels, predicted: Labels, hierarchy: RegionHierarchy = GLAND_REGIONS
) -> npt.NDArray[np.int64]:
    """Count annotated pixels by true and predicted region.

    Parameters
    ----------
    truth, predicted : ndarray of int, (Y, X)
        Codes of `hierarchy`. Pixels of code 0 in `truth` are left out.
    hierarchy : RegionHierarchy

    Returns
    -------
    ndarray of int64, (L, L + 1)
        Row: code - 1 of the truth. Column: code of the prediction, column 0 what the
        prediction left out although it was annotated.

    Raises
    ------
    InvalidInputError
        If the images differ in shape or hold other codes.
    """
    hierarchy.check_labels(truth)
    hierarchy.check_labels(predicted)
    check_same_shape(truth, predicted, "The annotated and the predicted regions")
    n = len(hierarchy)
    annotated = truth != NOT_ANNOTATED
    pairs = (truth[annotated].astype(np.int64) - 1) * (n + 1) + predicted[annotated]
    return np.bincount(pairs, minlength=n * (n + 1)).reshape(n, n + 1)


@dataclass
class PixelScores:
    """Pixel accuracy over a set of images.

    Examples
    --------
    >>> scores = PixelScores()
    >>> scores.add(np.array([[1, 1, 2, 0]]), np.array([[1, 2, 2, 3]]))
    0.6666666666666666
    """

    hierarchy: RegionHierarchy = GLAND_REGIONS
    matrices: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, truth: Labels, predicted: Labels) -> float | None:
        """Add one image and return its own accuracy, None if nothing is annotated."""
        matrix = confusion_matrix(truth, predicted, self.hierarchy)
        self.matrices.append(matrix)
        return _accuracy(matrix)

    @property
    def accuracy(self) -> Measure:
        """Pooled and mean accuracy; images without an annotated pixel are left out."""
        each = [value for value in map(_accuracy, self.matrices) if value is not None]
        if not each:
            return {"pooled": None, "mean": None}
        return {
            "pooled": _accuracy(np.sum(self.matrices, axis=0)),
            "mean": float(np.mean(each)),
        }


def classification_accuracy(truth: Sequence[str | int], predicted: Sequence[str | int]) -> Measure:
    """Share of the images whose class was found; pooled and mean are the same here.

    Parameters
    ----------
    truth, predicted : sequence of str or int
        One class per image.

    Raises
    ------
    InvalidInputError
        If the lengths differ.
    """
    if len(truth) != len(predicted):
        raise InvalidInputError(
            f"Each image needs a true and a predicted class, got {len(truth)} and {len(predicted)}."
        )
    if not truth:
        return {"pooled": None, "mean": None}
    share = sum(a == b for a, b in zip(truth, predicted, strict=True)) / len(truth)
    return {"pooled": share, "mean": share}


def _accuracy(matrix: npt.NDArray[np.int64]) -> float | None:
    total = int(matrix.sum())
    return int(np.trace(matrix[:, 1:])) / total if total else None
