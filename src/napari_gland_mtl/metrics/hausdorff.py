"""Hausdorff distances between the objects of two label images, exactly and without waste.

The directed distance from A to B is the largest distance that a pixel of A has to its nearest
pixel of B. Pixels of A that lie in B have none, so only the rest of A is looked up, and in the
boundary of B alone: the pixel of B that is nearest to one outside is always on it. (Looking up
only the boundary of A would be wrong where B surrounds A: there the inside of A is farthest.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from .components import Box, Mask

    Points = npt.NDArray[np.int64]


class ObjectShapes:
    """The objects 1 .. n of a compact label image, each looked at in its bounding box.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
        As `compact_labels` gives them.
    """

    def __init__(self, labels: npt.NDArray[np.int32]) -> None:
        from scipy import ndimage

        self.labels = labels
        self.boxes: list[Box] = ndimage.find_objects(labels) if labels.size else []
        corners = [(y.start, x.start, y.stop, x.stop) for y, x in self.boxes]
        self.corners = np.asarray(corners, dtype=np.int64).reshape(-1, 4)

    def __len__(self) -> int:
        """Count the objects."""
        return len(self.boxes)

    def points(self, number: int) -> Points:
        """Pixels of object `number`, (n, 2)."""
        box = self.boxes[number - 1]
        return _pixels(self.labels[box] == number, box)

    def boundary(self, number: int) -> Points:
        """Pixels of object `number` with a 4-neighbour outside it, (n, 2)."""
        box = self.boxes[number - 1]
        mask = self.labels[box] == number
        padded = np.pad(mask, 1)
        inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return _pixels(mask & ~inside, box)


def hausdorff_distance(a: ObjectShapes, number_a: int, b: ObjectShapes, number_b: int) -> float:
    """Hausdorff distance in pixels between an object of `a` and one of `b`.

    Both label images must have the same shape.
    """
    forward = _directed(a, number_a, b, number_b)
    return max(forward, _directed(b, number_b, a, number_a))


def nearest_hausdorff(a: ObjectShapes, number: int, b: ObjectShapes) -> float:
    """Distance from an object of `a` to that object of `b` whose Hausdorff distance is least.

    The sides of two bounding boxes are at most one Hausdorff distance apart. So objects are
    tried in the order of this lower bound, until it exceeds the best distance found.
    """
    bounds = np.abs(b.corners - a.corners[number - 1]).max(axis=1)
    best = np.inf
    for index in np.argsort(bounds, kind="stable"):
        if bounds[index] >= best:
            break
        best = min(best, hausdorff_distance(a, number, b, int(index) + 1))
    return float(best)


def _directed(a: ObjectShapes, number_a: int, b: ObjectShapes, number_b: int) -> float:
    from scipy.spatial import KDTree

    points = a.points(number_a)
    outside = points[b.labels[points[:, 0], points[:, 1]] != number_b]
    if len(outside) == 0:
        return 0.0
    distances, _ = KDTree(b.boundary(number_b)).query(outside)
    return float(distances.max())


def _pixels(mask: Mask, box: Box) -> Points:
    points: Points = np.argwhere(mask)
    points += (box[0].start, box[1].start)
    return points
