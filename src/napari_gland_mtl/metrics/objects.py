"""Object measures of the GlaS contest: F1, object Dice and object Hausdorff distance.

With G_i the annotated and S_j the predicted glands, every measure follows from the table of
overlaps |G_i and S_j|, which is counted once per image. Source: Sirinukunwattana et al., Gland
segmentation in colon histology images: The GlaS challenge contest, Medical Image Analysis 35
(2017), section 3. Where overlaps are equal, the object with the lower label is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .components import check_same_shape, compact_labels
from .hausdorff import ObjectShapes, hausdorff_distance, nearest_hausdorff

if TYPE_CHECKING:
    import numpy.typing as npt

    from .components import Labels

    Counts = npt.NDArray[np.int64]
    Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Overlaps:
    """Sizes and overlaps of the annotated and predicted objects of one image.

    Attributes
    ----------
    annotated, predicted : ndarray of int32, (Y, X)
        The label images, renumbered 1 .. n and 1 .. m.
    annotated_area, predicted_area : ndarray of int64, (n,) and (m,)
        Pixels of each object.
    predicted_for, annotated_for : ndarray of int64, (n,) and (m,)
        Number of the other side's object of largest overlap, 0 if there is no overlap.
    annotated_overlap, predicted_overlap : ndarray of int64, (n,) and (m,)
        Pixels of that overlap.
    """

    annotated: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    annotated_area: Counts
    predicted_area: Counts
    predicted_for: Counts
    annotated_for: Counts
    annotated_overlap: Counts
    predicted_overlap: Counts


def overlaps(annotated: Labels, predicted: Labels) -> Overlaps:
    """Count the overlaps of two label images of the same shape (Y, X); background is 0."""
    check_same_shape(annotated, predicted, "The annotated and the predicted glands")
    truth, truth_names = compact_labels(annotated)
    found, found_names = compact_labels(predicted)
    n, m = len(truth_names) - 1, len(found_names) - 1
    both = (truth > 0) & (found > 0)
    pairs = (truth[both].astype(np.int64) - 1) * m + (found[both] - 1)
    keys, counts = np.unique(pairs, return_counts=True)
    rows, columns = np.divmod(keys, max(m, 1))
    predicted_for, annotated_overlap = _largest(rows, columns, counts, n)
    annotated_for, predicted_overlap = _largest(columns, rows, counts, m)
    return Overlaps(
        annotated=truth,
        predicted=found,
        annotated_area=np.bincount(truth.ravel(), minlength=n + 1)[1:],
        predicted_area=np.bincount(found.ravel(), minlength=m + 1)[1:],
        predicted_for=predicted_for,
        annotated_for=annotated_for,
        annotated_overlap=annotated_overlap,
        predicted_overlap=predicted_overlap,
    )


def true_positives(table: Overlaps) -> int:
    """Predicted objects that cover at least half of the annotated object they overlap most.

    An annotated object is found at most once: of two predictions that cover exactly half of
    it each, one counts. (Else the false negatives could turn negative and F1 exceed 1.)
    """
    hit = table.annotated_for > 0
    target = table.annotated_for[hit] - 1
    covers = 2 * table.predicted_overlap[hit] >= table.annotated_area[target]
    return len(np.unique(target[covers]))


def dice_of_objects(table: Overlaps) -> tuple[Values, Values]:
    """Dice coefficient of every annotated and every predicted object, 0 without overlap."""
    areas = np.concatenate(([0], table.predicted_area))
    annotated = 2 * table.annotated_overlap / (table.annotated_area + areas[table.predicted_for])
    areas = np.concatenate(([0], table.annotated_area))
    predicted = 2 * table.predicted_overlap / (table.predicted_area + areas[table.annotated_for])
    return annotated, predicted


def hausdorff_of_objects(table: Overlaps) -> tuple[Values, Values]:
    """Hausdorff distance of every annotated and every predicted object, in pixels.

    To the object of largest overlap, without overlap to the nearest object of the other side
    (the one whose Hausdorff distance is least). If the other side has no object at all the
    distance is the image diagonal, the largest that two pixels can have.
    """
    truth, found = ObjectShapes(table.annotated), ObjectShapes(table.predicted)
    diagonal = float(np.hypot(*(np.maximum(table.annotated.shape, 1) - 1.0)))
    return (
        _distances(truth, found, table.predicted_for, diagonal),
        _distances(found, truth, table.annotated_for, diagonal),
    )


def object_f1(annotated: Labels, predicted: Labels) -> float:
    """F1 score of detection, in 0 .. 1.

    ``2 TP / (2 TP + FP + FN)`` with TP as in `true_positives`, FP the other predicted and FN
    the other annotated objects. Two images without any object agree: 1.

    Parameters
    ----------
    annotated, predicted : ndarray of int, (Y, X)
        Instance labels, background 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ or an image holds no instance labels.
    """
    table = overlaps(annotated, predicted)
    n, m = len(table.annotated_area), len(table.predicted_area)
    return f1_score(true_positives(table), n, m)


def f1_score(found: int, annotated: int, predicted: int) -> float:
    """F1 from the numbers of true positives, annotated and predicted objects."""
    return 2 * found / (annotated + predicted) if annotated + predicted else 1.0


def object_dice(annotated: Labels, predicted: Labels) -> float:
    """Object Dice, in 0 .. 1.

    ``1/2 [sum_i g_i D(G_i, S*(G_i)) + sum_j s_j D(G*(S_j), S_j)]`` with S*, G* the object of
    largest overlap and g_i, s_j the shares of an object in the area of its side. Two images
    without any object agree (1); objects on one side only give 0.

    Parameters
    ----------
    annotated, predicted : ndarray of int, (Y, X)
        Instance labels, background 0.
    """
    table = overlaps(annotated, predicted)
    areas = table.annotated_area, table.predicted_area
    return weighted_dice(areas, dice_of_objects(table))


def weighted_dice(areas: tuple[Counts, Counts], dice: tuple[Values, Values]) -> float:
    """Object Dice from the areas and Dice coefficients of the objects of both sides."""
    sides = [_weighted(area, value) for area, value in zip(areas, dice, strict=True)]
    if sides == [None, None]:
        return 1.0
    return sum(side or 0.0 for side in sides) / 2


def object_hausdorff(annotated: Labels, predicted: Labels) -> float:
    """Object Hausdorff distance in pixels; multiply by um/px for micrometres.

    As `object_dice`, with the distances of `hausdorff_of_objects`. Two images without any
    object agree (0); with objects on one side only it is the image diagonal.

    Parameters
    ----------
    annotated, predicted : ndarray of int, (Y, X)
        Instance labels, background 0.
    """
    table = overlaps(annotated, predicted)
    areas = table.annotated_area, table.predicted_area
    return weighted_hausdorff(areas, hausdorff_of_objects(table))


def weighted_hausdorff(areas: tuple[Counts, Counts], distances: tuple[Values, Values]) -> float:
    """Object Hausdorff from the areas and distances of both sides; an empty side says nothing."""
    sides = [_weighted(area, value) for area, value in zip(areas, distances, strict=True)]
    known = [side for side in sides if side is not None]
    return sum(known) / len(known) if known else 0.0


def _weighted(area: Counts, value: Values) -> float | None:
    total = int(area.sum())
    return float((area * value).sum() / total) if total else None


def _largest(rows: Counts, columns: Counts, counts: Counts, n: int) -> tuple[Counts, Counts]:
    """For each of n rows the column (from 1) with the highest count, and the count."""
    order = np.lexsort((columns, -counts, rows))
    first, start = np.unique(rows[order], return_index=True)
    partner, overlap = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    partner[first] = columns[order][start] + 1
    overlap[first] = counts[order][start]
    return partner, overlap


def _distances(own: ObjectShapes, other: ObjectShapes, partner: Counts, none: float) -> Values:
    result = np.full(len(own), none)
    for index, match in enumerate(partner if len(other) else ()):
        result[index] = (
            hausdorff_distance(own, index + 1, other, int(match))
            if match
            else nearest_hausdorff(own, index + 1, other)
        )
    return result
