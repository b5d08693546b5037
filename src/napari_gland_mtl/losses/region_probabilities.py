"""Probabilities over valid region assignments (Eq. 7), shared by topology and geometry.

With f_r the activation of region r and a running over the valid assignments,
``P(a) = exp(sum_r a_r f_r) / Z``, Z the same sum over all valid a. The marginal of a region is
``Pt(S_r = 1) = sum of P(a) over valid a with a_r = 1``. A forest has one valid assignment per
region, so P is a softmax over L linear combinations of the activations. All of it stays in the
log domain and in float32 at least, so that extreme activations and half precision are safe.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..regions import RegionHierarchy


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision widened; float32 and float64 as they are."""
    return values.float() if values.element_size() < 4 else values


def assignment_logits(logits: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """Sum the activations of each valid assignment's regions.

    Parameters
    ----------
    logits : Tensor, (N, L, ...)
        ``f_r``, any floating type.
    hierarchy : RegionHierarchy
        With L regions.

    Returns
    -------
    Tensor, (N, L, ...)
        ``sum_r a_r f_r`` for every valid a, in the order of the region codes; float32 or wider.
    """
    columns = at_least_float32(logits).unbind(dim=1)
    sums = []
    for row in hierarchy.assignments:
        members = [column for column, belongs in zip(columns, row, strict=True) if belongs]
        total = members[0]
        for member in members[1:]:
            total = total + member
        sums.append(total)
    return torch.stack(sums, dim=1)


def log_assignment_probabilities(logits: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """``log P(a)`` of every valid assignment, shape (N, L, ...), in the order of the codes."""
    return torch.log_softmax(assignment_logits(logits, hierarchy), dim=1)


def log_region_marginals(log_probabilities: Tensor, hierarchy: RegionHierarchy) -> Tensor:
    """``log Pt(S_r = 1)`` of every region from ``log P(a)``; shapes (N, L, ...).

    A region's marginal sums the assignments of the region itself and of everything inside it.
    """
    columns = log_probabilities.unbind(dim=1)
    marginals = []
    for region in hierarchy.assignments.T:
        members = [column for column, contains in zip(columns, region, strict=True) if contains]
        if len(members) == 1:
            marginals.append(members[0])
        else:
            marginals.append(torch.logsumexp(torch.stack(members), dim=0))
    return torch.stack(marginals, dim=1)
