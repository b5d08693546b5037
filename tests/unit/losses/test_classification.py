"""Eq. 3-5: cross entropy of the image's class, over the images whose class is known."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gland_mtl.losses import classification_loss
from napari_gland_mtl.losses.classification import UNKNOWN_CLASS


def literal(logits, classes):
    total, known = 0.0, 0
    for activations, chosen in zip(logits.tolist(), classes.tolist(), strict=True):
        if chosen == UNKNOWN_CLASS:
            continue
        z = sum(math.exp(f) for f in activations)
        total -= math.log(math.exp(activations[chosen]) / z)
        known += 1
    return total / max(known, 1)


def example(count=6, kinds=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, kinds, generator=generator, dtype=torch.float64)
    return logits, torch.arange(count) % (kinds + 1) - 1


@pytest.mark.parametrize("kinds", [2, 3, 5])
def test_matches_the_literal_loops(kinds):
    logits, classes = example(7, kinds)
    assert UNKNOWN_CLASS in classes
    expected = literal(logits, classes)
    assert classification_loss(logits, classes).item() == pytest.approx(expected, rel=1e-12)


def test_gradients():
    logits, classes = example()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: classification_loss(f, classes), logits)


def test_images_of_unknown_class_have_no_say():
    logits, classes = example()
    before = classification_loss(logits, classes)
    pushed = torch.tensor([9.0, 0.0, 0.0], dtype=torch.float64)
    unknown = (classes == UNKNOWN_CLASS)[:, None]
    torch.testing.assert_close(classification_loss(logits + pushed * unknown, classes), before)
    assert classification_loss(logits + pushed * ~unknown, classes) != before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_no_known_class_gives_zero_and_zero_gradients(dtype):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
    loss = classification_loss(logits, torch.tensor([UNKNOWN_CLASS] * 2))
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_activations_stay_finite(dtype):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
    loss = classification_loss(logits, torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(1e4, rel=1e-2)
    assert torch.isfinite(logits.grad).all()
