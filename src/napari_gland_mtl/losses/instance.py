"""The learned objective with an uncertainty for each image, or each pixel, rather than each loss.

One image may be annotated worse than another. Where the network says how uncertain a loss is of
the image at hand (Kendall and Gal 2017, "What uncertainties do we need in Bayesian deep learning
for computer vision?"), what it cannot explain counts less there, and everything else counts on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def instance_objective(
    sums: Tensor, counts: Tensor, log_vars: Tensor, whole: Tensor | None = None
) -> Tensor:
    """``sum_n [exp(-s_n) S_n + c_n s_n] / sum_n c_n`` of one loss.

    With ``L_n = S_n / c_n`` it is the mean of ``exp(-s_n) L_n + s_n`` over the images, each as
    often as it has annotated pixels (as its class is known): the same mean as the loss itself, and
    with one s for all, exactly ``exp(-s) L + s``. Pixels instead of images make no difference:
    ``S_n`` is then the loss of a pixel, and ``c_n`` 1 where it is annotated.

    Parameters
    ----------
    sums : Tensor, (N, ...)
        ``S_n``, 0 or more; 0 where ``c_n`` is 0.
    counts : Tensor, (N, ...)
        ``c_n``.
    log_vars : Tensor, (N, ...)
        ``s_n = log sigma_n^2``.
    whole : scalar Tensor, optional
        ``sum_n c_n`` of a larger batch of which these are a part, for the objectives of all parts
        to add up to that of the batch.

    Returns
    -------
    Tensor, scalar
        It may be negative; 0 where nothing counts.
    """
    number = counts.sum() if whole is None else whole
    total = torch.exp(-log_vars) * sums + counts * log_vars
    return total.sum() / number.clamp(min=1)


def bounded(values: Tensor, minimum: float | None, maximum: float | None) -> Tensor:
    """``clamp(values)`` with a gradient that still leads back from beyond a bound.

    The gradient of ``torch.clamp`` is 0 out there. An image of which the network once was too
    certain would then never be doubted again, whatever its loss.

    Parameters
    ----------
    values : Tensor
    minimum, maximum : float or None
        None for no bound.
    """
    low = -torch.inf if minimum is None else minimum
    high = torch.inf if maximum is None else maximum
    result: Tensor = _Bounded.apply(values, low, high)  # type: ignore[no-untyped-call]
    return result


class _Bounded(Function):
    @staticmethod
    def forward(context: Any, values: Tensor, low: float, high: float) -> Tensor:
        context.save_for_backward(values)
        context.bounds = low, high
        return values.clamp(low, high)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (values,) = context.saved_tensors
        low, high = context.bounds
        # Descent goes against the gradient: a negative one raises the value.
        further = ((values < low) & (gradient > 0)) | ((values > high) & (gradient < 0))
        return torch.where(further, 0, gradient), None, None
