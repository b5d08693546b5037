"""Label images as objects: connected components, compact numbering, Euler numbers, holes.

Objects of this package (gland instances, clumps of lumen) are connected through edges and
corners (8-connected); what surrounds them is connected through edges only (4-connected), the
usual pair that keeps "inside" and "outside" apart. Everything works on the whole image or on
bounding boxes, never on one full-size mask per object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from .runs import Runs, boxes_of, components_of, encode, touching_pairs

if TYPE_CHECKING:
    import numpy.typing as npt

    Labels = npt.NDArray[np.integer[Any]]
    Mask = npt.NDArray[np.bool_]
    Box = tuple[slice, slice]


def instances_from_mask(mask: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Number the 8-connected components of a binary mask, as the GlaS contest does.

    Parameters
    ----------
    mask : ndarray, (Y, X)
        Object where it differs from zero.

    Returns
    -------
    ndarray of int32, (Y, X)
        0 outside, then 1 .. n in the order of their first pixel, row by row.

    Examples
    --------
    >>> instances_from_mask(np.array([[1, 0, 0, 9], [0, 1, 0, 9]])).tolist()
    [[1, 0, 0, 2], [0, 1, 0, 2]]
    """
    from scipy import ndimage

    _check_two_axes(mask)
    labels = np.zeros(mask.shape, dtype=np.int32)
    if labels.size:
        ndimage.label(mask != 0, structure=np.ones((3, 3), dtype=bool), output=labels)
    return labels


def compact_labels(labels: Labels) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Renumber the objects of a label image 1 .. n, keeping their order.

    Parameters
    ----------
    labels : ndarray of int, (Y, X)
        Background 0, objects any positive numbers.

    Returns
    -------
    compact : ndarray of int32, (Y, X)
    names : ndarray of int64, (n + 1,)
        ``names[i]`` is the number that object ``i`` had in `labels`; ``names[0]`` is 0.

    Raises
    ------
    InvalidInputError
        If `labels` does not have two axes, holds no whole numbers or negative ones.
    """
    check_instances(labels)
    highest = int(labels.max()) if labels.size else 0
    if highest > max(4 * labels.size, 1_000_000):  # numbers too sparse for a table of all
        present, inverse = np.unique(labels, return_inverse=True)
        missing = int(present[0] != 0)  # the background is object 0 even if it is nowhere
        compact = inverse.reshape(labels.shape) + missing
        return compact.astype(np.int32), np.pad(present.astype(np.int64), (missing, 0))
    flat = labels.ravel()
    if flat.dtype == np.uint64:  # bincount takes no type that int64 cannot hold
        flat = flat.astype(np.int64)
    counts = np.bincount(flat, minlength=highest + 1)
    counts[0] = 1  # the background is always there, in name
    names: npt.NDArray[np.int64] = np.flatnonzero(counts)
    if len(names) == highest + 1:
        return labels.astype(np.int32), names
    table = np.zeros(highest + 1, dtype=np.int32)
    table[names] = np.arange(len(names), dtype=np.int32)
    return table[labels], names


def connected_pieces(
    labels: Labels,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """8-connected pieces of every object of a label image.

    Returns
    -------
    pieces : ndarray of int32, (Y, X)
        Pieces 1 .. n, 0 in the background. Two objects never share a piece.
    owner, area : ndarray of int64, (n + 1,)
        The object that each piece belongs to, and its number of pixels.
    """
    runs, owner, area = pieces_as_runs(labels)
    return runs.paint(labels.shape), owner, area


def pieces_as_runs(
    labels: npt.NDArray[Any],
) -> tuple[Runs, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """8-connected pieces as `connected_pieces` gives them, without the image.

    Parameters
    ----------
    labels : ndarray of int or bool, (Y, X)

    Returns
    -------
    runs : Runs
        Of the pieces 1 .. n, in order; the background is left out.
    owner, area : ndarray of int64, (n + 1,)
        The object that each piece belongs to, and its number of pixels.
    """
    runs = encode(labels)
    present = runs.value != 0
    corners = np.ones(runs.size, dtype=bool)
    first, second = touching_pairs(runs, runs.value, corners, labels.shape[1])
    inside = present[first]
    number = np.cumsum(present) - 1
    ends = (number[first[inside]], number[second[inside]])
    kind, runs = runs.value[present], runs.where(present)
    piece = components_of(*ends, runs.size) + 1
    area = np.bincount(piece, runs.length, minlength=1).astype(np.int64)
    owner = np.zeros(len(area), dtype=np.int64)
    owner[piece] = kind
    return runs.with_values(piece), owner, area


def secondary_pieces(
    owner: npt.NDArray[np.int64], area: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Numbers of the pieces that are not the biggest of their object (the first, if equal)."""
    order = np.lexsort((np.arange(len(owner)), -area, owner))
    order = order[owner[order] > 0]
    first = np.ones(len(order), dtype=bool)
    first[1:] = owner[order][1:] != owner[order][:-1]
    extra: npt.NDArray[np.int64] = np.sort(order[~first])
    return extra


def euler_numbers(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Euler number (8-connected pieces minus holes) of every object, in one pass.

    Gray's count over 2 x 2 windows: with Q1 and Q3 the windows that hold one and three
    pixels of the object, and QD those that hold two on a diagonal,
    ``E = (Q1 - Q3 - 2 QD) / 4``.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
        Objects 1 .. n, as `compact_labels` gives them.

    Returns
    -------
    ndarray of int64, (n + 1,)
        Entry 0 means nothing.
    """
    padded = np.pad(labels, 1)
    width = padded.shape[1]
    first = padded[:-1, :-1]
    mixed = (first != padded[:-1, 1:]) | (first != padded[1:, :-1]) | (first != padded[1:, 1:])
    corner = np.flatnonzero(mixed)
    corner += corner // (width - 1)  # from the grid of windows to that of `padded`
    flat = padded.ravel()
    windows = [flat[corner + step] for step in (0, 1, width, width + 1)]
    twelvefold = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int64)
    for k, own in enumerate(windows):
        opposite = windows[3 - k] == own
        beside = (windows[k ^ 1] == own).view(np.int8) + (windows[k ^ 2] == own).view(np.int8)
        # An object with m pixels in a window is met m times: weights of 12 E divided by m.
        weight = np.select(
            [(beside == 0) & ~opposite, (beside == 0) & opposite, beside + opposite == 2],
            [3, -3, -1],
        )
        counted = weight != 0
        twelvefold += np.bincount(own[counted], weight[counted], minlength=len(twelvefold)).astype(
            np.int64
        )
    return twelvefold // 12


def hole_labels(mask: Mask, unknown: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Holes of one object: closed 4-connected components of its complement.

    Parameters
    ----------
    mask : ndarray of bool, (y, x)
        The object, cut out at its bounding box: what reaches the edge of the box is open.
    unknown : ndarray of bool, (y, x)
        Pixels that were not analysed; a component that holds one is no hole.

    Returns
    -------
    holes : ndarray of int32, (y, x)
        Holes 1 .. n.
    n : int
    """
    from scipy import ndimage

    complement, count = ndimage.label(~mask)
    closed = np.ones(count + 1, dtype=bool)
    closed[0] = False
    for edge in (complement[0], complement[-1], complement[:, 0], complement[:, -1]):
        closed[edge] = False
    closed[complement[unknown]] = False
    table = np.where(closed, np.cumsum(closed), 0).astype(np.int32)
    return table[complement], int(closed.sum())


def objects_with_holes(
    labels: npt.NDArray[np.int32], owner: npt.NDArray[np.int64] | None = None
) -> list[tuple[int, Box]]:
    """Objects whose Euler number tells of a hole, with their bounding boxes.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
        Objects 1 .. n; numbers may be missing.
    owner : ndarray of int64, optional
        As `connected_pieces` gives it; without it each object is one piece.
    """
    euler = euler_numbers(labels)
    pieces = np.ones_like(euler) if owner is None else np.bincount(owner, minlength=len(euler))
    # A number without pixels has an Euler number of 0, and no box.
    holed = np.flatnonzero(pieces[1:] > euler[1:]) + 1
    return boxes_of(encode(labels), holed) if holed.size else []


def check_instances(labels: npt.NDArray[Any]) -> None:
    """Raise InvalidInputError unless `labels` is (Y, X) and holds whole numbers >= 0."""
    _check_two_axes(labels)
    if labels.dtype.kind not in "uib":
        raise InvalidInputError(
            f"An instance label image holds whole numbers, this one has type {labels.dtype}. "
            "Convert it, or use instances_from_mask for a binary mask."
        )
    if labels.size and int(labels.min()) < 0:
        raise InvalidInputError(
            f"Instance labels must be 0 (background) or positive; found {int(labels.min())}."
        )


def check_same_shape(first: npt.NDArray[Any], second: npt.NDArray[Any], names: str) -> None:
    """Raise InvalidInputError unless both images have one shape; `names` says what they are."""
    if first.shape != second.shape:
        raise InvalidInputError(
            f"{names} must have the same shape, got {first.shape} and {second.shape}. "
            "Resample one of them to the pixel size of the other."
        )


def _check_two_axes(image: npt.NDArray[Any]) -> None:
    if image.ndim != 2:
        raise InvalidInputError(
            f"A label image or mask has two axes (Y, X); this one has shape {image.shape}."
        )
