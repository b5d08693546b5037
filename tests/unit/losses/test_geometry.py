"""Eq. 9: equally labelled neighbours should be predicted alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_gland_mtl.losses import (
    geometry_loss,
    log_assignment_probabilities,
    log_region_marginals,
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32]
SHAPES = [(4, 3), (1, 14), (14, 1), (1, 1)]
STROMA, EPITHELIUM, LUMEN = 1, 2, 3


def log_marginals(logits, hierarchy):
    return log_region_marginals(log_assignment_probabilities(logits, hierarchy), hierarchy)


def loss_of(logits, labels, hierarchy):
    return geometry_loss(log_marginals(logits, hierarchy), labels, hierarchy)


def row(*values):
    """An image of one row: log probabilities of stroma (1, 3, 1, W), the other regions random."""
    others = np.random.default_rng(0).normal(size=(2, len(values)))
    return torch.from_numpy(np.stack([values, *others]))[None, :, None, :]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_literal_loops(forest, seed, shape):
    logits, labels = forest.example(*shape, seed=seed)
    expected = forest.geometry(forest.marginals(logits.numpy()), labels.numpy())
    ours = loss_of(logits, labels, forest.hierarchy).item()
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (shape == (1, 1)) == (expected == 0)  # control: elsewhere there is something to count


@pytest.mark.parametrize("shape", SHAPES)
def test_the_log_sigmoid_reading_matches_the_literal_loops(forest, shape):
    logits, labels = forest.example(*shape)
    ours = geometry_loss(functional.logsigmoid(logits), labels, forest.hierarchy).item()
    expected = forest.geometry(torch.sigmoid(logits).numpy(), labels.numpy())
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients(forest):
    logits, labels = forest.example(height=3, width=3)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss_of(f, labels, forest.hierarchy), logits)


def test_each_pair_counts_in_both_directions(glands):
    """|a - b| from either pixel, over two pixels: the mean is |a - b| and not half of it."""
    labels = torch.tensor([[[STROMA, STROMA]]])
    ours = geometry_loss(row(-0.25, -2.0), labels, glands.hierarchy)
    assert ours.item() == pytest.approx(1.75)


def test_inner_pixels_have_more_neighbours(glands):
    labels = torch.tensor([[[STROMA, STROMA, STROMA]]])
    ours = geometry_loss(row(-1.0, -2.0, -4.0), labels, glands.hierarchy)
    assert ours.item() == pytest.approx(2 * (1.0 + 2.0) / 3)


def test_neighbours_of_another_kind_may_differ(glands):
    log_p = row(-1.0, -9.0)
    different = torch.tensor([[[STROMA, EPITHELIUM]]])
    assert geometry_loss(log_p, different, glands.hierarchy).item() == 0
    same = torch.tensor([[[STROMA, STROMA]]])
    assert geometry_loss(log_p, same, glands.hierarchy).item() > 0


def test_epithelium_and_lumen_are_of_different_kinds_though_both_lie_in_the_border(glands):
    log_p = -torch.rand(1, 3, 1, 2, dtype=torch.float64)
    labels = torch.tensor([[[EPITHELIUM, LUMEN]]])
    assert geometry_loss(log_p, labels, glands.hierarchy).item() == 0


def test_a_neighbour_that_is_not_annotated_does_not_count(glands):
    labels = torch.tensor([[[STROMA, 0, 0, STROMA, STROMA]]])
    ours = geometry_loss(row(-1.0, -50.0, -70.0, -2.0, -2.5), labels, glands.hierarchy)
    assert ours.item() == pytest.approx(2 * 0.5 / 3)


def test_regions_that_a_pixel_is_not_in_do_not_count(glands):
    labels = torch.tensor([[[STROMA, STROMA]]])
    log_p = row(-1.0, -1.0)
    assert (log_p[:, 1:].diff(dim=-1) != 0).all()
    assert geometry_loss(log_p, labels, glands.hierarchy).item() == 0


def test_images_of_a_batch_are_no_neighbours(glands):
    labels = torch.full((2, 1, 1), STROMA)
    log_p = torch.tensor([-1.0, -5.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert geometry_loss(log_p, labels, glands.hierarchy).item() == 0


def test_a_constant_prediction_costs_nothing_whatever_it_says(forest):
    """The way out that the learned weights may find; the collapse watch looks for it."""
    _, labels = forest.example()
    constant = torch.randn(1, len(forest), 1, 1).expand(2, -1, 4, 3)
    assert loss_of(constant, labels, forest.hierarchy).item() == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_annotated_gives_zero_and_zero_gradients(forest, dtype, shape):
    logits, labels = forest.example(*shape)
    logits = (logits.sign() * 1e4).to(dtype).requires_grad_()
    loss = loss_of(logits, torch.zeros_like(labels), forest.hierarchy)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_activations_stay_finite(forest, dtype, shape):
    logits, labels = forest.example(*shape, unannotated=0)
    logits = (logits.sign() * 1e4).to(dtype).requires_grad_()
    loss = loss_of(logits, torch.ones_like(labels), forest.hierarchy)
    loss.backward()
    assert torch.isfinite(loss)
    assert (shape == (1, 1)) == (loss.item() == 0)
    assert torch.isfinite(logits.grad).all()
