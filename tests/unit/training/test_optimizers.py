"""Claims about optimisers and the course of the learning rate."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training import TrainingConfig, build_weighting
from napari_gland_mtl.training.optimizers import (
    RATE_FACTOR,
    build_optimizers,
    learning_rate,
    set_learning_rate,
)

PAIR = ("segmentation", "topology")


def built(**changed):
    config = TrainingConfig(**{"weighting": "uncertainty", **changed})
    network, weighting = nn.Linear(2, 2), build_weighting(config)
    return build_optimizers(config, network, weighting), network, weighting


@pytest.mark.parametrize(
    ("optimiser", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)]
)
def test_network_and_log_variances_share_one_optimiser(optimiser, kind):
    (optimizer,), network, weighting = built(optimiser=optimiser, weight_decay=0.1)
    assert type(optimizer) is kind
    first, second = optimizer.param_groups
    assert first["params"] == list(network.parameters())
    assert second["params"] == list(weighting.parameters())
    assert (first["weight_decay"], second["weight_decay"]) == (0.1, 0.0)


def test_log_variances_have_no_momentum():
    (sgd,), *_ = built(optimiser="sgd", momentum=0.9)
    assert [group["momentum"] for group in sgd.param_groups] == [0.9, 0.0]
    (adamw,), *_ = built(optimiser="adamw")
    assert [group["betas"][0] for group in adamw.param_groups] == [0.9, 0.0]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_weights_that_are_not_learned_need_no_group(optimiser):
    (optimizer,), *_ = built(optimiser=optimiser, weighting="equal")
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_alternating_has_an_optimiser_per_loss_each_with_its_own_memory(optimiser):
    optimizers, network, _ = built(optimiser=optimiser, weighting="alternating", losses=PAIR)
    assert len(optimizers) == 2
    network(torch.ones(1, 2)).sum().backward()
    optimizers[0].step()
    assert optimizers[0].state
    assert not optimizers[1].state


def rates(**changed):
    course = {"schedule": "constant", "schedule_warmup_steps": 0, **changed}
    config = TrainingConfig(
        epochs=10, patches_per_epoch=80, learning_rate=0.1, batch_size=8, **course
    )
    return [learning_rate(config, step) for step in range(config.total_steps)]


def test_a_constant_rate_is_constant():
    assert set(rates()) == {0.1}


def test_the_rate_rises_evenly_during_the_warm_up():
    assert rates(schedule_warmup_steps=4)[:6] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_a_cosine_falls_from_the_full_rate_to_a_hundredth_and_never_below():
    course = rates(schedule="cosine", schedule_warmup_steps=10)
    assert course[10] == pytest.approx(0.1)
    assert course[10:] == sorted(course[10:], reverse=True)
    assert course[55] == pytest.approx(0.1 * 0.505)
    assert 0.001 <= course[-1] < 0.0011
    config = TrainingConfig(epochs=1, schedule="cosine", learning_rate=0.1)
    assert learning_rate(config, 10 * config.total_steps) == pytest.approx(1e-3)


def test_log_variances_may_have_a_rate_of_their_own():
    def rates(**changed):
        config = TrainingConfig(learning_rate=1e-3, schedule_warmup_steps=0, **changed)
        (optimizer,), _, _ = built(learning_rate=1e-3, **changed)
        set_learning_rate(optimizer, learning_rate(config, 0) / 2)
        return [group["lr"] for group in optimizer.param_groups]

    assert rates() == [5e-4, 5e-4]
    assert rates(log_var_learning_rate=2e-2) == [5e-4, pytest.approx(1e-2)]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_what_is_predicted_per_image_moves_about_as_fast_as_the_log_variances(optimiser):
    """Each weight of a head of n channels moves an n-th as far, and none decays."""
    config = TrainingConfig(
        weighting="instance_pixel", optimiser=optimiser, weight_decay=0.1, widths=(4, 8)
    )
    network = build_network(
        NetworkConfig(widths=(4, 8), uncertainty=config.losses, pixel_uncertainty=True)
    )
    (optimizer,) = build_optimizers(config, network, build_weighting(config))
    heads = {8: network.uncertainty_head.weight, 4: network.pixel_uncertainty_head.weight}
    for channels, weight in heads.items():
        (group,) = [g for g in optimizer.param_groups if any(p is weight for p in g["params"])]
        assert group["weight_decay"] == 0
        assert group.get("momentum", 0) == 0
        assert group[RATE_FACTOR] == pytest.approx(1 / channels)
    listed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(listed) == len(set(listed))
    assert {id(p) for p in network.parameters()} < set(listed)
