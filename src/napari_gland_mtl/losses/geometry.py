"""Geometry loss (Eq. 9): neighbours of one kind should be predicted alike.

The paper's text speaks of log-sigmoid probabilities where its equation has the topology
marginal Pt; Pt is the default here and the log-sigmoid a setting of the caller, who passes
either in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..regions import NOT_ANNOTATED, RegionHierarchy
from .segmentation import region_targets
from .terms import LossTerms


def geometry_loss(log_probabilities: Tensor, labels: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """Penalise differences between equally labelled 4-neighbours.

    ``L_g = mean_p sum_r sum_{q in N4(p)} S_p^r |log Pt(S_p^r) - log Pt(S_q^r)| B_pq`` over the
    annotated pixels p, with B_pq = 1 where p and q carry the same code and are annotated.
    Each ordered pair counts, and both orders have the same value: every edge is taken twice.

    Parameters
    ----------
    log_probabilities : Tensor, (N, L, H, W)
        ``log Pt(S_r = 1)``, or log-sigmoid activations.
    labels : Tensor of integers, (N, H, W)
        Region codes; 0 is ignored.
    hierarchy : RegionHierarchy
        With L regions.

    Returns
    -------
    Tensor, scalar
        0 (with zero gradients) when nothing is annotated.
    """
    return geometry_terms(log_probabilities, labels, hierarchy).mean()


def geometry_terms(
    log_probabilities: Tensor, labels: Tensor, hierarchy: RegionHierarchy
) -> LossTerms:
    """The geometry loss of the edges down, (N, L, H - 1, W), and to the right, before the mean."""
    inside = region_targets(labels, hierarchy, torch.bool)
    annotated = labels != NOT_ANNOTATED
    parts = []
    for axis in (-2, -1):
        size = labels.shape[axis]
        first = (labels.narrow(axis, 0, size - 1), labels.narrow(axis, 1, size - 1))
        alike = (first[0] == first[1]) & annotated.narrow(axis, 0, size - 1)
        step = log_probabilities.diff(dim=axis).abs()
        counted = inside.narrow(axis, 0, size - 1) & alike.unsqueeze(1)
        parts.append(torch.where(counted, step, 0))
    return LossTerms(tuple(parts), annotated.sum(dim=(1, 2)), factor=2)
