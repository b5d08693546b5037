"""A map of class probability over a slide, from the class activations of its tiles.

The network's class activations are averaged over an image in training, so a single cell of 16
network pixels says little. The map gives, at each cell, the softmax of the activations averaged
over a square around it: what the network would say of that field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Activations = npt.NDArray[np.floating]
    Map = npt.NDArray[np.float32]

FIELD_UM = 400.0
"""Side of the square that is averaged over: a field of a few glands."""


def field_radius(mpp: float, stride: int, field_um: float = FIELD_UM) -> int:
    """Cells on each side of the middle one that make a field of `field_um`, at least 1."""
    return max(1, round((field_um / (mpp * stride) - 1) / 2))


def class_heatmap(activations: Activations, radius: int) -> Map:
    """Probability of each class in the field around each cell.

    Parameters
    ----------
    activations : ndarray of float, (K, h, w)
        Class activations; NaN where nothing was analysed.
    radius : int
        The field is a square of ``2 radius + 1`` cells; what of it was not analysed is left out.

    Returns
    -------
    ndarray of float32, (K, h, w)
        They sum to 1 over the classes; NaN where the cell itself was not analysed.
    """
    known = np.isfinite(activations[0])
    count = np.maximum(_field_sum(known.astype(np.float64), radius), 1)
    mean = np.stack(
        [_field_sum(np.where(known, layer, 0.0), radius) / count for layer in activations]
    )
    exponentials = np.exp(mean - mean.max(axis=0))
    probabilities: Map = (exponentials / exponentials.sum(axis=0)).astype(np.float32)
    probabilities[:, ~known] = np.nan
    return probabilities


def _field_sum(values: npt.NDArray[np.float64], radius: int) -> npt.NDArray[np.float64]:
    """Sum over the square around each cell; nothing lies beyond the edge."""
    for axis in (0, 1):
        size = values.shape[axis]
        padding = [(0, 0), (0, 0)]
        padding[axis] = (1, 0)
        total = np.pad(np.cumsum(values, axis=axis), padding)
        index = np.arange(size)
        last = total.take(np.minimum(index + radius + 1, size), axis=axis)
        values = last - total.take(np.maximum(index - radius, 0), axis=axis)
    return values
