"""Compare only where something was annotated.

Of a sparse annotation nobody knows what lies beside it: a gland predicted there is neither right
nor wrong. A prediction that lies mostly on such pixels is left out, another is cut to the pixels
of which something is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .components import check_same_shape, compact_labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from .components import Labels, Mask


def cut_to_annotated(labels: Labels, annotated: Mask) -> npt.NDArray[np.int32]:
    """Objects as far as they can be compared.

    Parameters
    ----------
    labels : ndarray of int, (Y, X)
        Instances, background 0.
    annotated : ndarray of bool, (Y, X)

    Returns
    -------
    ndarray of int32, (Y, X)
        Objects of which more than half was not annotated are gone; pixels that were not
        annotated are 0. Where everything was, nothing changes.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2, 2, 2]])
    >>> cut_to_annotated(labels, np.array([[1, 0, 1, 1, 0, 0]], dtype=bool)).tolist()
    [[1, 0, 0, 0, 0, 0]]
    """
    check_same_shape(labels, annotated, "The labels and the annotated part")
    compact, names = compact_labels(labels)
    if annotated.all():
        return names.astype(np.int32)[compact]
    area = np.bincount(compact.ravel(), minlength=len(names))
    known = np.bincount(compact[annotated], minlength=len(names))
    kept = np.where(2 * known >= area, names, 0).astype(np.int32)
    return np.where(annotated, kept[compact], 0).astype(np.int32)
