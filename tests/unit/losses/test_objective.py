"""All losses of a batch at once, and what the total does with awkward batches."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.losses import (
    LOSS_NAMES,
    FixedWeighting,
    UncertaintyWeighting,
    loss_counts,
    multi_loss,
)
from napari_gland_mtl.losses import objective as objective_module
from napari_gland_mtl.network import NetworkOutput

DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def output_of(logits):
    """What a network with these region logits would return; classes from the first region."""
    class_map = logits[:, :2, :1, :1]
    return NetworkOutput(class_map.mean(dim=(2, 3)), logits, class_map)


def test_every_loss_is_that_of_its_own_equation(forest):
    logits, labels = forest.example()
    output, classes = output_of(logits), torch.tensor([1, 0])
    losses = multi_loss(output, labels, classes, forest.hierarchy)
    pixels, codes = logits.numpy(), labels.numpy()
    expected = {
        "classification": functional.cross_entropy(output.class_logits, classes).item(),
        "segmentation": forest.segmentation(pixels, codes),
        "topology": forest.topology(pixels, codes),
        "geometry": forest.geometry(forest.marginals(pixels), codes),
    }
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected)
    assert tuple(losses) == LOSS_NAMES


def test_losses_of_a_batch_follow_from_those_of_its_parts_and_their_counts(forest):
    torch.manual_seed(0)
    logits = torch.randn(5, len(forest), 6, 7, dtype=torch.float64)
    labels = torch.randint(0, len(forest) + 1, (5, 6, 7))
    labels[:3, 2:] = 0
    logits[3:] *= 5
    logits[0, 0, 0, 0] += 4  # an image whose class is missed
    classes = torch.tensor([1, -1, -1, 0, 0])
    whole = multi_loss(output_of(logits), labels, classes, forest.hierarchy)
    sums, counts, means = (dict.fromkeys(LOSS_NAMES, 0.0) for _ in range(3))
    for part in (slice(0, 3), slice(3, 5)):
        losses = multi_loss(output_of(logits[part]), labels[part], classes[part], forest.hierarchy)
        for name, count in loss_counts(labels[part], classes[part]).items():
            sums[name] += losses[name].item() * count.item()
            counts[name] += count.item()
            means[name] += losses[name].item() / 2
    joined = {name: sums[name] / counts[name] for name in LOSS_NAMES}
    assert joined == pytest.approx({name: value.item() for name, value in whole.items()})
    # Control: the mean of the parts' means is something else.
    assert all(abs(means[name] - joined[name]) > 1e-3 for name in LOSS_NAMES)


def test_parts_without_annotation_or_class_count_nothing():
    labels, classes = torch.zeros(2, 4, 4, dtype=torch.uint8), torch.tensor([-1, -1])
    assert {int(count) for count in loss_counts(labels, classes).values()} == {0}
    assert loss_counts(labels, classes, ("topology",)).keys() == {"topology"}


def test_geometry_may_compare_log_sigmoids_instead(forest):
    logits, labels = forest.example()
    (ours,) = multi_loss(
        output_of(logits.float()), labels, torch.tensor([1, 0]), forest.hierarchy,
        ["geometry"], "sigmoid",
    ).values()  # fmt: skip
    expected = forest.geometry(torch.sigmoid(logits).numpy(), labels.numpy())
    other = forest.geometry(forest.marginals(logits.numpy()), labels.numpy())
    assert ours.item() == pytest.approx(expected, rel=1e-5)
    assert abs(expected - other) > 1e-2  # control: the two readings differ here


@pytest.mark.parametrize("names", [("geometry", "segmentation"), ("topology",), LOSS_NAMES])
def test_losses_come_in_the_order_asked_for(glands, names):
    logits, labels = glands.example()
    losses = multi_loss(output_of(logits), labels, torch.tensor([1, 0]), glands.hierarchy, names)
    assert tuple(losses) == names


def test_a_loss_left_out_is_not_computed(glands, monkeypatch):
    def never(*_):
        raise RuntimeError("computed for nothing")

    monkeypatch.setattr(objective_module, "log_assignment_probabilities", never)
    logits, labels = glands.example()
    arguments = output_of(logits), labels, torch.tensor([1, 0]), glands.hierarchy
    multi_loss(*arguments, ["classification", "segmentation"])
    multi_loss(*arguments, ["geometry"], "sigmoid")
    with pytest.raises(RuntimeError, match="for nothing"):
        multi_loss(*arguments, ["topology"])


def test_an_unknown_loss_is_refused_with_the_names_there_are(glands):
    logits, labels = glands.example()
    with pytest.raises(InvalidInputError, match=r"dice.*classification.*geometry"):
        multi_loss(output_of(logits), labels, torch.tensor([1, 0]), glands.hierarchy, ["dice"])


@pytest.mark.parametrize("geometry", ["marginal", "sigmoid"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("annotated", ["all", "some", "none"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_total_and_gradients_stay_finite(forest, geometry, dtype, annotated, scale):
    logits, labels = forest.example(unannotated={"all": 0.0, "some": 0.3, "none": 1.0}[annotated])
    logits = (logits.sign() * scale).to(dtype).requires_grad_()
    classes = torch.tensor([1, -1] if annotated == "some" else [-1, -1])
    for weighting in (
        UncertaintyWeighting(LOSS_NAMES),
        FixedWeighting(dict.fromkeys(LOSS_NAMES, 1)),
    ):
        losses = multi_loss(
            output_of(logits), labels, classes, forest.hierarchy, LOSS_NAMES, geometry
        )
        total = weighting(losses)
        (gradient,) = torch.autograd.grad(total, logits)
        assert torch.isfinite(total)
        assert torch.isfinite(gradient).all()
        assert (annotated == "none") == (total.item() == 0)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_images_one_pixel_wide_have_losses(forest, shape):
    logits, labels = forest.example(*shape, unannotated=0)
    logits.requires_grad_()
    losses = multi_loss(output_of(logits), labels, torch.tensor([1, 0]), forest.hierarchy)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert torch.isfinite(logits.grad).all()
