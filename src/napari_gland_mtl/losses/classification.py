"""Classification loss (Eq. 3-5): cross entropy of the image's class."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from .region_probabilities import at_least_float32
from .terms import LossTerms

UNKNOWN_CLASS = -1


def classification_loss(class_logits: Tensor, classes: Tensor) -> Tensor:
    """``L_c = mean_n -log softmax(f_c)[C_n]`` over the images whose class is known.

    Parameters
    ----------
    class_logits : Tensor, (N, K)
        ``f_c``, any floating type.
    classes : Tensor of int64, (N,)
        0 .. K-1, or ``UNKNOWN_CLASS`` (-1) where the image says nothing.

    Returns
    -------
    Tensor, scalar
        0 (with zero gradients) when no class is known.
    """
    return classification_terms(class_logits, classes).mean()


def classification_terms(class_logits: Tensor, classes: Tensor) -> LossTerms:
    """The classification loss of each image, (N,), before the mean; 0 where it is unknown."""
    logits = at_least_float32(class_logits)
    each = functional.cross_entropy(logits, classes, ignore_index=UNKNOWN_CLASS, reduction="none")
    return LossTerms((each,), (classes != UNKNOWN_CLASS).long())
