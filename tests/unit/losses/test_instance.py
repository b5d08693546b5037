"""Claims about the uncertainty of single images and pixels, against sums written out in loops."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gland_mtl.losses import (
    LOSS_NAMES,
    InstanceWeighting,
    UncertaintyWeighting,
    batch_losses,
    instance_objective,
    multi_loss,
)
from napari_gland_mtl.losses.instance import bounded
from napari_gland_mtl.network import NetworkOutput
from napari_gland_mtl.regions import GLAND_REGIONS

STARTS = {"classification": 0.25, "segmentation": -0.5, "topology": 0.0, "geometry": 0.875}
BOUNDS = (-1.0, 1.5)


def example(by_pixel=False, silent=False):
    """Five images, annotated unevenly: one not at all; of two the class is unknown."""
    torch.manual_seed(0)
    logits = torch.randn(5, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    class_map = torch.randn(5, 2, 1, 1, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(1, 4, (5, 6, 7))
    labels[0, 2:] = 0
    labels[1] = 0
    labels[4, :, ::2] = 0
    classes = torch.tensor([1, -1, 0, 1, -1])
    spread = 0.0 if silent else 1.0
    offsets = (spread * torch.randn(5, 4, dtype=torch.float64)).requires_grad_()
    pixels = (spread * torch.randn(5, 1, 6, 7, dtype=torch.float64)).requires_grad_()
    output = NetworkOutput(
        class_map.mean(dim=(2, 3)), logits, class_map, offsets, pixels if by_pixel else None
    )
    return output, labels, classes


def losses_of(output, labels, classes):
    return batch_losses(output, labels, classes, GLAND_REGIONS, offset_names=LOSS_NAMES)


def weighting_of(kind=InstanceWeighting, warmup_steps=0):
    return kind(LOSS_NAMES, warmup_steps, *BOUNDS, STARTS).double()


def alone(output, labels, classes, image):
    """The four losses of one image as if there were no other."""
    rows = slice(image, image + 1)
    part = NetworkOutput(output.class_logits[rows], output.region_logits[rows], None)
    found = multi_loss(part, labels[rows], classes[rows], GLAND_REGIONS)
    return {name: value.item() for name, value in found.items()}


def clamped(value):
    return min(max(value, BOUNDS[0]), BOUNDS[1])


def literal(output, labels, classes):
    """``sum_i mean_n [exp(-s_in) L_in + s_in]``, image by image."""
    total = 0.0
    for place, name in enumerate(LOSS_NAMES):
        terms, weights = [], []
        for image in range(len(labels)):
            known = float(classes[image] >= 0)
            weights.append(known if name == "classification" else float((labels[image] > 0).sum()))
            s = clamped(STARTS[name] + output.log_vars[image, place].item())
            value = alone(output, labels, classes, image)[name]
            terms.append(math.exp(-s) * value + s)
        total += sum(w * t for w, t in zip(weights, terms, strict=True)) / sum(weights)
    return total


def literal_segmentation(output, labels):
    """The term of the segmentation, pixel by pixel."""
    terms = []
    for image, y, x in (labels > 0).nonzero().tolist():
        one = output.region_logits[image : image + 1, :, y : y + 1, x : x + 1]
        code = labels[image : image + 1, y : y + 1, x : x + 1]
        part = NetworkOutput(output.class_logits[:1], one, None)
        found = multi_loss(part, code, torch.tensor([0]), GLAND_REGIONS, ["segmentation"])
        offset = output.log_vars[image, 1] + output.log_var_map[image, 0, y, x]
        s = clamped(STARTS["segmentation"] + offset.item())
        terms.append(math.exp(-s) * found["segmentation"].item() + s)
    return sum(terms) / len(terms)


def test_it_is_the_equation_image_by_image():
    output, labels, classes = example()
    total = weighting_of().objective(losses_of(output, labels, classes))
    assert total.item() == pytest.approx(literal(output, labels, classes), rel=1e-12)
    # Controls: the bounds are felt, and so are the offsets.
    assert (output.log_vars.abs() > 1.2).any()
    plain = weighting_of(UncertaintyWeighting)(
        multi_loss(*example()[:1], labels, classes, GLAND_REGIONS)
    )
    assert abs(total.item() - plain.item()) > 0.05


def test_by_pixel_the_segmentation_is_the_equation_pixel_by_pixel():
    by_image, labels, classes = example()
    by_pixel, _, _ = example(by_pixel=True)
    weighting = weighting_of()
    total = weighting.objective(losses_of(by_pixel, labels, classes)).item()
    others = literal(by_image, labels, classes)
    alone = InstanceWeighting(["segmentation"], 0, *BOUNDS, STARTS).double()
    by_image_alone = alone.objective(losses_of(by_image, labels, classes)).item()
    expected = others - by_image_alone + literal_segmentation(by_pixel, labels)
    assert total == pytest.approx(expected, rel=1e-12)
    assert abs(literal_segmentation(by_pixel, labels) - by_image_alone) > 0.05  # control


@pytest.mark.parametrize("by_pixel", [False, True])
def test_without_offsets_value_and_gradients_are_those_of_an_uncertainty_per_loss(by_pixel):
    def gradients(kind):
        output, labels, classes = example(by_pixel, silent=True)
        weighting = weighting_of(kind)
        total = weighting.objective(losses_of(output, labels, classes))
        total.backward()
        return total.detach(), weighting.log_var.grad, output.region_logits.grad

    for ours, theirs in zip(
        gradients(InstanceWeighting), gradients(UncertaintyWeighting), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
        assert ours.abs().max() > 0


def test_with_offsets_the_gradients_are_others():
    """Control of the test above."""
    gradients = []
    for silent in (False, True):
        output, labels, classes = example(silent=silent)
        weighting = weighting_of()
        weighting.objective(losses_of(output, labels, classes)).backward()
        gradients.append(output.region_logits.grad)
    assert (gradients[0] - gradients[1]).abs().max() > 1e-3


def test_what_is_not_known_of_an_image_teaches_nothing_about_it():
    output, labels, classes = example()
    weighting_of().objective(losses_of(output, labels, classes)).backward()
    taught = output.log_vars.grad != 0
    assert taught[:, 0].tolist() == [True, False, True, True, False]  # classes
    assert not taught[1].any()  # nothing annotated


def test_a_batch_that_shows_nothing_is_zero_and_pulls_at_nothing():
    output, labels, classes = example(by_pixel=True)
    weighting = weighting_of()
    nothing = losses_of(output, torch.zeros_like(labels), torch.full_like(classes, -1))
    total = weighting.objective(nothing)
    total.backward()
    assert total.item() == 0
    assert not weighting.log_var.grad.any()
    assert not output.log_vars.grad.any()


@pytest.mark.parametrize("by_pixel", [False, True])
def test_the_parts_of_a_batch_add_up_to_it(by_pixel):
    output, labels, classes = example(by_pixel)
    weighting = weighting_of()
    whole = losses_of(output, labels, classes)
    counts = {name: values.sum() for name, values in whole.counts.items()}
    parts = []
    for rows in (slice(0, 3), slice(3, 5)):
        cut = [None if value is None else value[rows] for value in output]
        some = losses_of(NetworkOutput(*cut), labels[rows], classes[rows])
        parts.append((weighting.objective(some, counts), weighting.objective(some)))
    total = weighting.objective(whole).item()
    assert sum(part.item() for part, _ in parts) == pytest.approx(total, rel=1e-12)
    assert abs(sum(part.item() for _, part in parts) - total) > 0.05  # control


@pytest.mark.parametrize("by_pixel", [False, True])
def test_during_the_warm_up_offsets_count_as_nothing(by_pixel):
    output, labels, classes = example(by_pixel)
    losses = losses_of(output, labels, classes)
    plain = weighting_of(UncertaintyWeighting).objective(losses)
    weighting = weighting_of(warmup_steps=2)
    counts = []
    for step in range(4):
        total = weighting.objective(losses)
        log_vars = weighting.image_numbers(losses).log_vars
        counts.append(abs((total - plain).item()) > 0.05)
        assert (log_vars.std(dim=0) > 0.05).all() == counts[-1]
        weighting.constrain(step + 1)
    assert counts == [False, False, True, True]


def test_numbers_of_each_image_are_its_own():
    output, labels, classes = example(by_pixel=True)
    numbers = weighting_of().image_numbers(losses_of(output, labels, classes))
    for image in range(5):
        expected = alone(output, labels, classes, image)
        for place, name in enumerate(LOSS_NAMES):
            count = int(numbers.counts[image, place])
            known = int(classes[image] >= 0)
            annotated = int((labels[image] > 0).sum())
            assert count == (known if name == "classification" else annotated)
            mean = float(numbers.sums[image, place]) / max(count, 1)
            assert mean == pytest.approx(expected[name], abs=1e-12)
        s = clamped(STARTS["topology"] + output.log_vars[image, 2].item())
        assert float(numbers.log_vars[image, 2]) == pytest.approx(s)
    shift = STARTS["segmentation"] + output.log_vars[2, 1] + output.log_var_map[2, 0]
    mean = shift.clamp(*BOUNDS)[labels[2] > 0].mean()
    assert float(numbers.log_vars[2, 1]) == pytest.approx(mean.item())


def test_at_rest_sigma_squared_is_the_loss_of_the_image():
    """With the network held fixed ``exp(s_n)`` becomes ``L_n``."""
    sums, counts = torch.tensor([2.0, 9.0, 0.0]), torch.tensor([4, 3, 0])
    values = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([values], lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        instance_objective(sums, counts, values).backward()
        optimizer.step()
    assert values.detach().exp().tolist() == pytest.approx([0.5, 3.0, 1.0], rel=1e-3)


def test_the_gradients_are_those_of_the_value():
    torch.manual_seed(0)
    sums, values = (torch.rand(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    counts = torch.tensor([[1, 0, 1], [1, 1, 0]])
    assert torch.autograd.gradcheck(lambda a, b: instance_objective(a, counts, b), (sums, values))
    assert torch.autograd.gradcheck(lambda a: bounded(a, -2.0, 2.0), (values,))


def test_from_beyond_a_bound_the_gradient_leads_back_and_no_further():
    values = torch.tensor([-3.0, -3.0, 3.0, 3.0, 0.5, -1.0, 2.0], requires_grad=True)
    bounded(values, -1.0, 2.0).backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0]))
    assert values.grad.tolist() == [0, -1, 1, 0, 1, 1, -1]
    assert bounded(values, -1.0, 2.0).tolist() == [-1, -1, 2, 2, 0.5, -1, 2]
    assert bounded(values, None, None).tolist() == values.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_extreme_logits_stay_finite(dtype):
    output, labels, classes = example(by_pixel=True)
    halved = NetworkOutput(*((1e4 * value.detach()).to(dtype).requires_grad_() for value in output))
    total = InstanceWeighting(LOSS_NAMES, 0, *BOUNDS).objective(losses_of(halved, labels, classes))
    total.backward()
    assert total.dtype == torch.float32
    assert torch.isfinite(total)
    for value in (halved.region_logits, halved.log_vars, halved.log_var_map):
        assert torch.isfinite(value.grad).all()
