"""Eq. 6: sigmoid cross entropy, a mean over annotated pixels and a sum over regions."""

from __future__ import annotations

import pytest
import torch

from napari_gland_mtl.losses import segmentation_loss

DTYPES = [torch.float16, torch.bfloat16, torch.float32]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(4, 3), (1, 6), (6, 1), (1, 1)])
def test_matches_the_literal_loops(forest, seed, shape):
    logits, labels = forest.example(*shape, seed=seed)
    expected = forest.segmentation(logits.numpy(), labels.numpy())
    ours = segmentation_loss(logits, labels, forest.hierarchy)
    assert ours.item() == pytest.approx(expected, rel=1e-12)


def test_gradients(forest):
    logits, labels = forest.example(height=3, width=2)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f: segmentation_loss(f, labels, forest.hierarchy), logits
    )


def test_does_not_depend_on_the_size_of_the_patch(glands):
    logits, labels = glands.example()
    single = segmentation_loss(logits, labels, glands.hierarchy)
    tiled = segmentation_loss(logits.repeat(1, 1, 3, 2), labels.repeat(1, 3, 2), glands.hierarchy)
    torch.testing.assert_close(tiled, single)


def test_saying_yes_to_everything_is_not_rewarded(glands):
    """The printed equation, its positive half alone, would be minimised by f -> infinity."""
    _, labels = glands.example()
    losses = [
        segmentation_loss(torch.full((2, 3, 4, 3), f), labels, glands.hierarchy).item()
        for f in (0.0, 5.0, 50.0)
    ]
    assert losses == sorted(losses)


def test_only_annotated_pixels_count(glands):
    logits, labels = glands.example()
    before = segmentation_loss(logits, labels, glands.hierarchy)
    ignored = logits + 7.0 * (labels == 0)[:, None]
    assert not torch.equal(ignored, logits)
    torch.testing.assert_close(segmentation_loss(ignored, labels, glands.hierarchy), before)
    counted = logits + 7.0 * (labels != 0)[:, None]
    assert segmentation_loss(counted, labels, glands.hierarchy) != before


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_annotated_gives_zero_and_zero_gradients(forest, dtype):
    logits, labels = forest.example()
    logits = (logits * 1e4).clamp(-1e4, 1e4).to(dtype).requires_grad_()
    loss = segmentation_loss(logits, torch.zeros_like(labels), forest.hierarchy)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_activations_stay_finite(forest, dtype):
    logits, labels = forest.example()
    logits = (logits.sign() * 1e4).to(dtype).requires_grad_()
    loss = segmentation_loss(logits, labels, forest.hierarchy)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.item() > 1e3  # control: wrong at 1e4 is expensive
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loses_no_more_than_the_rounding_of_its_input(forest, dtype):
    logits, labels = forest.example()
    half = logits.to(dtype)
    ours = segmentation_loss(half, labels, forest.hierarchy)
    expected = forest.segmentation(half.double().numpy(), labels.numpy())
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_any_kind_of_whole_number_is_a_label(glands, dtype):
    logits, labels = glands.example()
    expected = segmentation_loss(logits, labels, glands.hierarchy)
    torch.testing.assert_close(
        segmentation_loss(logits, labels.to(dtype), glands.hierarchy), expected
    )
