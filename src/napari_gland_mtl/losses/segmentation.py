"""Segmentation loss (Eq. 6): sigmoid cross entropy of every region.

The printed equation shows only the positive half, which alone is minimised by f -> infinity;
both halves are used here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..regions import NOT_ANNOTATED, RegionHierarchy
from .region_probabilities import at_least_float32
from .terms import LossTerms


def region_targets(labels: Tensor, hierarchy: RegionHierarchy, dtype: torch.dtype) -> Tensor:
    """``S_r`` in {0, 1} of every pixel, shape (N, L, ...); all 0 where not annotated."""
    table = torch.zeros((len(hierarchy) + 1, len(hierarchy)), dtype=dtype, device=labels.device)
    table[1:] = torch.from_numpy(hierarchy.assignments.copy()).to(table)
    return table[labels.long()].movedim(-1, 1)


def over_annotated(per_pixel: Tensor, annotated: Tensor) -> LossTerms:
    """Values (N, H, W) of which those count where `annotated` is True."""
    return LossTerms((torch.where(annotated, per_pixel, 0),), annotated.sum(dim=(1, 2)))


def segmentation_loss(logits: Tensor, labels: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """``L_s = mean_p sum_r BCE(sigmoid(f_r), S_r)`` over the annotated pixels p.

    Parameters
    ----------
    logits : Tensor, (N, L, H, W)
        ``f_s``, any floating type.
    labels : Tensor of integers, (N, H, W)
        Region codes; 0 is ignored.
    hierarchy : RegionHierarchy
        With L regions.

    Returns
    -------
    Tensor, scalar
        0 (with zero gradients) when nothing is annotated.
    """
    return segmentation_terms(logits, labels, hierarchy).mean()


def segmentation_terms(logits: Tensor, labels: Tensor, hierarchy: RegionHierarchy) -> LossTerms:
    """The segmentation loss of each pixel, (N, H, W), before the mean."""
    logits = at_least_float32(logits)
    targets = region_targets(labels, hierarchy, logits.dtype)
    per_region = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return over_annotated(per_region.sum(dim=1), labels != NOT_ANNOTATED)
