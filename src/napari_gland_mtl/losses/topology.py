"""Topology loss (Eq. 7-8): only assignments that respect containment have probability."""

from __future__ import annotations

import torch
from torch import Tensor

from ..regions import NOT_ANNOTATED, RegionHierarchy
from .segmentation import over_annotated, region_targets
from .terms import LossTerms


def topology_loss(log_marginals: Tensor, labels: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """``L_t = mean_p sum_r -S_r log Pt(S_r = 1)`` over the annotated pixels p.

    Parameters
    ----------
    log_marginals : Tensor, (N, L, H, W)
        ``log Pt(S_r = 1)`` from
        :func:`~napari_gland_mtl.losses.region_probabilities.log_region_marginals`.
    labels : Tensor of integers, (N, H, W)
        Region codes; 0 is ignored.
    hierarchy : RegionHierarchy
        With L regions.

    Returns
    -------
    Tensor, scalar
        0 (with zero gradients) when nothing is annotated.
    """
    return topology_terms(log_marginals, labels, hierarchy).mean()


def topology_terms(log_marginals: Tensor, labels: Tensor, hierarchy: RegionHierarchy) -> LossTerms:
    """The topology loss of each pixel, (N, H, W), before the mean."""
    inside = region_targets(labels, hierarchy, torch.bool)
    per_pixel = -torch.where(inside, log_marginals, 0).sum(dim=1)
    return over_annotated(per_pixel, labels != NOT_ANNOTATED)
