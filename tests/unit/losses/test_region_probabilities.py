"""Eq. 7: only valid assignments have probability, and the marginals are sums over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gland_mtl.losses import (
    assignment_logits,
    log_assignment_probabilities,
    log_region_marginals,
)


def log_marginals(logits, hierarchy):
    return log_region_marginals(log_assignment_probabilities(logits, hierarchy), hierarchy)


def test_a_forest_has_exactly_one_valid_assignment_per_region(forest):
    ours = {tuple(int(inside) for inside in row) for row in forest.hierarchy.assignments}
    assert ours == set(forest.valid_assignments())
    assert len(ours) == len(forest) < 2 ** len(forest)


def test_probability_of_every_valid_assignment_matches_the_literal_sum(forest):
    logits, _ = forest.example()
    ours = log_assignment_probabilities(logits, forest.hierarchy).exp().numpy()
    for code in range(1, len(forest) + 1):
        for n, y, x in np.ndindex(2, 4, 3):
            expected = forest.probability(logits[n, :, y, x].tolist(), forest.truth(code))
            assert ours[n, code - 1, y, x] == pytest.approx(expected, rel=1e-12)


def test_probabilities_sum_to_one(forest):
    logits, _ = forest.example()
    total = log_assignment_probabilities(logits, forest.hierarchy).exp().sum(dim=1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_marginals_match_the_literal_sum_over_all_assignments(forest):
    logits, _ = forest.example()
    ours = log_marginals(logits, forest.hierarchy).exp().numpy()
    np.testing.assert_allclose(ours, forest.marginals(logits.numpy()), rtol=1e-12)


def test_a_region_is_never_likelier_than_what_contains_it(deep):
    logits, _ = deep.example(height=8, width=8)
    marginals = log_marginals(logits, deep.hierarchy)
    pairs = [(name, parent) for name, parent in deep.parents.items() if parent is not None]
    assert len(pairs) == 3
    for name, parent in pairs:
        inner, outer = deep.names.index(name), deep.names.index(parent)
        assert (marginals[:, inner] <= marginals[:, outer]).all()
        # Control: plain sigmoids promise nothing of the kind.
        assert (logits[:, inner] > logits[:, outer]).any()


def test_three_regions_are_a_softmax_over_stroma_border_and_border_plus_lumen(glands):
    logits, _ = glands.example()
    stroma, border, lumen = logits.unbind(dim=1)
    expected = torch.softmax(torch.stack([stroma, border, border + lumen], dim=1), dim=1)
    ours = log_assignment_probabilities(logits, glands.hierarchy).exp()
    torch.testing.assert_close(ours, expected)


def test_gradients(forest):
    logits, _ = forest.example(height=2, width=2, count=1)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f: log_marginals(f, forest.hierarchy).exp(), logits, atol=1e-7
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(forest, dtype):
    logits, _ = forest.example()
    half = logits.to(dtype)
    sums = assignment_logits(half, forest.hierarchy)
    assert sums.dtype == torch.float32
    torch.testing.assert_close(sums, assignment_logits(half.float(), forest.hierarchy))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_extreme_activations_stay_finite(forest, dtype):
    corners = torch.cartesian_prod(*[torch.tensor([-1e4, 0.0, 1e4])] * len(forest))
    logits = corners.T[None, :, None, :].to(dtype).requires_grad_()
    marginals = log_marginals(logits, forest.hierarchy)
    assert torch.isfinite(marginals).all()
    # Rounding may carry a sum of probabilities past one, but by no more than that.
    assert marginals.max() <= 1e-6
    marginals.sum().backward()
    assert torch.isfinite(logits.grad).all()
