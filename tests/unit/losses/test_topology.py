"""Eq. 8: minus the log of the marginal of every region a pixel lies in."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gland_mtl.losses import (
    log_assignment_probabilities,
    log_region_marginals,
    segmentation_loss,
    topology_loss,
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def loss_of(logits, labels, hierarchy):
    log_p = log_assignment_probabilities(logits, hierarchy)
    return topology_loss(log_region_marginals(log_p, hierarchy), labels, hierarchy)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(4, 3), (1, 6), (6, 1), (1, 1)])
def test_matches_the_literal_loops(forest, seed, shape):
    logits, labels = forest.example(*shape, seed=seed)
    expected = forest.topology(logits.numpy(), labels.numpy())
    ours = loss_of(logits, labels, forest.hierarchy).item()
    assert ours == pytest.approx(expected, rel=1e-12)


def test_gradients(forest):
    logits, labels = forest.example(height=3, width=2)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss_of(f, labels, forest.hierarchy), logits)


def test_no_activations_leave_the_choice_between_all_valid_assignments(glands):
    """A lumen pixel pays for lumen (1 of 3 assignments) and for epithelium (2 of 3)."""
    lumen = torch.full((1, 1, 1), glands.names.index("lumen") + 1)
    ours = loss_of(torch.zeros(1, 3, 1, 1, dtype=torch.float64), lumen, glands.hierarchy)
    assert ours.item() == pytest.approx(math.log(3) + math.log(3 / 2))


def test_an_invalid_belief_costs_what_the_segmentation_loss_overlooks(glands):
    """Lumen outside epithelium: right about lumen region by region, impossible as a whole."""
    stroma = torch.ones((1, 1, 1), dtype=torch.int64)
    sure = torch.tensor([8.0, -8.0, -8.0]).view(1, 3, 1, 1)
    doubtful = torch.tensor([8.0, -8.0, 8.0]).view(1, 3, 1, 1)
    topology = [loss_of(f, stroma, glands.hierarchy).item() for f in (sure, doubtful)]
    apart = [segmentation_loss(f, stroma, glands.hierarchy).item() for f in (sure, doubtful)]
    assert topology[0] < 1e-3
    assert topology[1] == pytest.approx(math.log(1 + math.exp(-16) + math.exp(-8)), rel=1e-3)
    assert apart[1] > 8 > apart[0]


def test_right_and_certain_costs_nothing(forest):
    _, labels = forest.example()
    codes = range(1, len(forest) + 1)
    truth = torch.tensor([[0] * len(forest), *(forest.truth(code) for code in codes)])
    right = (2.0 * truth[labels].movedim(-1, 1) - 1) * 1e3
    assert loss_of(right, labels, forest.hierarchy).item() < 1e-6
    assert loss_of(-right, labels, forest.hierarchy).item() > 100  # control


def test_only_annotated_pixels_count(glands):
    logits, labels = glands.example()
    before = loss_of(logits, labels, glands.hierarchy)
    pushed = torch.tensor([7.0, 0.0, 0.0]).view(1, 3, 1, 1)
    ignored = logits + pushed * (labels == 0)[:, None]
    torch.testing.assert_close(loss_of(ignored, labels, glands.hierarchy), before)
    counted = logits + pushed * (labels != 0)[:, None]
    assert loss_of(counted, labels, glands.hierarchy) != before


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_annotated_gives_zero_and_zero_gradients(forest, dtype):
    logits, labels = forest.example()
    logits = (logits.sign() * 1e4).to(dtype).requires_grad_()
    loss = loss_of(logits, torch.zeros_like(labels), forest.hierarchy)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_activations_stay_finite(forest, dtype):
    logits, labels = forest.example()
    logits = (logits.sign() * 1e4).to(dtype).requires_grad_()
    loss = loss_of(logits, labels, forest.hierarchy)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.item() > 1e3  # control: wrong at 1e4 is expensive
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loses_no_more_than_the_rounding_of_its_input(forest, dtype):
    logits, labels = forest.example()
    half = logits.to(dtype)
    expected = forest.topology(half.double().numpy(), labels.numpy())
    assert loss_of(half, labels, forest.hierarchy).item() == pytest.approx(expected, rel=1e-5)
