"""Eq. 1 and 2, and the other ways of making several losses one."""

from __future__ import annotations

import math

import pytest
import torch

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.losses import (
    LOSS_NAMES,
    AlternatingWeighting,
    ConvexPairWeighting,
    FixedWeighting,
    UncertaintyWeighting,
)

VALUES = {"classification": 0.31, "segmentation": 1.7, "topology": 0.052, "geometry": 4.4}


def tensors(values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_fixed_weights_are_the_weighted_sum():
    weights = {"classification": 0.1, "segmentation": 0.6, "topology": 0.22, "geometry": 0.0}
    total = FixedWeighting(weights)(tensors(VALUES))
    assert total.item() == pytest.approx(sum(weights[n] * VALUES[n] for n in VALUES))


def test_losses_are_taken_by_name_whatever_their_order():
    shuffled = dict(reversed(VALUES.items()))
    weighting = FixedWeighting({"geometry": 1.0, "topology": 3.0})
    assert weighting(tensors(shuffled)).item() == pytest.approx(4.4 + 3 * 0.052)


def test_uncertainty_is_exp_of_minus_s_times_loss_plus_s():
    weighting = UncertaintyWeighting(LOSS_NAMES)
    log_vars = dict(zip(LOSS_NAMES, (-1.2, 0.4, 2.0, 0.0), strict=True))
    with torch.no_grad():
        weighting.log_var.copy_(torch.tensor(list(log_vars.values())))
    expected = sum(math.exp(-log_vars[n]) * VALUES[n] + log_vars[n] for n in LOSS_NAMES)
    assert weighting(tensors(VALUES)).item() == pytest.approx(expected)
    assert weighting.log_vars() == pytest.approx(log_vars)
    assert weighting.weights().tolist() == pytest.approx([math.exp(-s) for s in log_vars.values()])


def test_gradients_of_the_uncertainty_total():
    weighting = UncertaintyWeighting(LOSS_NAMES).double()
    losses = torch.tensor(list(VALUES.values()), dtype=torch.float64, requires_grad=True)
    log_var = torch.tensor([0.3, -0.7, 0.0, 1.1], dtype=torch.float64, requires_grad=True)

    def total(losses, log_var):
        named = dict(zip(LOSS_NAMES, losses, strict=True))
        return torch.func.functional_call(weighting, {"log_var": log_var}, (named,))

    assert torch.autograd.gradcheck(total, (losses, log_var))


@pytest.mark.parametrize(
    ("build", "steps"),
    [
        (lambda parameters: torch.optim.SGD(parameters, lr=0.05), 3000),
        (lambda parameters: torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.0), 1500),
    ],
    ids=["sgd", "adamw"],
)
def test_with_the_network_held_fixed_sigma_squared_becomes_the_loss(build, steps):
    weighting, losses = UncertaintyWeighting(LOSS_NAMES), tensors(VALUES)
    optimizer = build(weighting.parameters())
    assert all(value == 0 for value in weighting.log_vars().values())  # control: not there yet
    for step in range(steps):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
        weighting.constrain(step + 1)
    learned = {name: math.exp(value) for name, value in weighting.log_vars().items()}
    assert learned == pytest.approx(VALUES, rel=1e-3)
    # At its optimum the objective is the sum of the logarithms, and one for each.
    expected = sum(1 + math.log(value) for value in VALUES.values())
    assert weighting(losses).item() == pytest.approx(expected, abs=1e-4)


def test_the_learned_total_may_turn_negative_while_every_loss_is_positive():
    weighting = UncertaintyWeighting(["segmentation", "topology"])
    values = {"segmentation": 0.1, "topology": 0.2}
    assert weighting(tensors(values)).item() > 0
    descend(weighting, values, 500)
    assert weighting(tensors(values)).item() == pytest.approx(2 + math.log(0.02), abs=1e-3)
    assert 2 + math.log(0.02) < 0


def test_a_batch_that_shows_nothing_to_a_loss_leaves_its_weight_alone():
    weighting = UncertaintyWeighting(["classification", "segmentation"], minimum=-1.5)
    unknown = {"classification": 0.0, "segmentation": 0.5}
    descend(weighting, unknown, 100)
    learned = weighting.log_vars()
    assert learned["classification"] == 0.0
    assert learned["segmentation"] == pytest.approx(math.log(0.5), abs=1e-3)  # control
    descend(weighting, {**unknown, "classification": 0.25}, 200)
    assert weighting.log_vars()["classification"] == pytest.approx(math.log(0.25), abs=1e-2)


def descend(weighting, values, steps, rate=0.1, start=0):
    optimizer = torch.optim.SGD(weighting.parameters(), lr=rate)
    for step in range(start, start + steps):
        optimizer.zero_grad()
        weighting(tensors(values)).backward()
        optimizer.step()
        weighting.constrain(step + 1)


def test_log_variances_stay_zero_during_the_warm_up_and_learn_after_it():
    weighting = UncertaintyWeighting(LOSS_NAMES, warmup_steps=5)
    descend(weighting, VALUES, 5)
    assert set(weighting.log_vars().values()) == {0.0}
    descend(weighting, VALUES, 1, start=5)
    assert 0.0 not in weighting.log_vars().values()


def test_log_variances_go_on_from_where_another_training_left_them():
    known = {"topology": -0.4, "geometry": 9.0, "something else": 1.0}
    weighting = UncertaintyWeighting(LOSS_NAMES, 5, minimum=-1.5, maximum=3.0, start=known)
    expected = {"classification": 0.0, "segmentation": 0.0, "topology": -0.4, "geometry": 3.0}
    assert weighting.log_vars() == pytest.approx(expected)
    descend(weighting, VALUES, 5)
    assert weighting.log_vars() == pytest.approx(expected)
    descend(weighting, VALUES, 1, start=5)
    assert weighting.log_vars()["topology"] != pytest.approx(-0.4)
    assert "start" not in weighting.state_dict()  # states of older trainings can be loaded


def test_log_variances_stop_at_their_bounds():
    values = {"topology": 1e-6, "geometry": 1e3, "segmentation": 1.2}
    bounded = UncertaintyWeighting(list(values), minimum=-1.3, maximum=2.0)
    free = UncertaintyWeighting(list(values))
    for weighting in (bounded, free):
        descend(weighting, values, 100, rate=0.02)
    expected = {"topology": -1.3, "geometry": 2.0}
    assert {name: bounded.log_vars()[name] for name in expected} == pytest.approx(expected)
    assert bounded.at_bound() == ["topology", "geometry"]
    assert free.log_vars()["topology"] < -1.5  # control: it would go on
    assert free.log_vars()["geometry"] > 2.5
    assert free.at_bound() == []


@pytest.mark.parametrize(
    ("minimum", "maximum"), [(0.5, 1.0), (-2.0, -1.0), (0.5, None), (None, -1)]
)
def test_bounds_without_zero_are_refused(minimum, maximum):
    with pytest.raises(InvalidInputError, match="must include 0"):
        UncertaintyWeighting(LOSS_NAMES, minimum=minimum, maximum=maximum)


@pytest.mark.parametrize("trained", [False, True])
def test_convex_pair_is_a_mean_of_two(trained):
    weighting = ConvexPairWeighting(["segmentation", "topology"], 0.3, trained)
    assert weighting(tensors(VALUES)).item() == pytest.approx(0.3 * 1.7 + 0.7 * 0.052)
    assert weighting.weights().tolist() == pytest.approx([0.3, 0.7])
    assert bool(list(weighting.parameters())) == trained


@pytest.mark.parametrize("smaller", ["segmentation", "topology"])
def test_a_trained_share_drifts_to_the_smaller_loss(smaller):
    names = ["segmentation", "topology"]
    values = {name: 0.2 if name == smaller else 0.9 for name in names}
    weighting = ConvexPairWeighting(names, 0.5, trained=True)
    descend(weighting, values, 400, rate=1.0)
    shares = dict(zip(names, weighting.weights().tolist(), strict=True))
    assert shares[smaller] > 0.95


def test_equal_losses_leave_a_trained_share_where_it_is():
    weighting = ConvexPairWeighting(["segmentation", "topology"], 0.3, trained=True)
    descend(weighting, {"segmentation": 0.5, "topology": 0.5}, 50, rate=1.0)
    assert weighting.weights().tolist() == pytest.approx([0.3, 0.7])


def test_alternating_takes_each_loss_in_turn():
    weighting = AlternatingWeighting(["segmentation", "topology", "geometry"])
    totals, weights = [], []
    for step in range(6):
        totals.append(weighting(tensors(VALUES)).item())
        weights.append(weighting.weights().tolist())
        weighting.constrain(step + 1)
    assert totals == pytest.approx([1.7, 0.052, 4.4] * 2)
    assert weights == [[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 2


def test_alternating_descends_the_loss_whose_turn_it_is_alone():
    weighting = AlternatingWeighting(["segmentation", "topology"])
    weighting.constrain(1)
    losses = {name: torch.tensor(1.0, requires_grad=True) for name in weighting.names}
    weighting(losses).backward()
    gradients = [losses[name].grad for name in weighting.names]
    assert gradients[1] == 1
    assert gradients[0] is None or gradients[0] == 0


@pytest.mark.parametrize(
    "build",
    [
        lambda: FixedWeighting({}),
        lambda: FixedWeighting({"segmentation": -1.0, "topology": 1.0}),
        lambda: FixedWeighting({"segmentation": 0.0}),
        lambda: FixedWeighting({"segmentation": math.nan, "topology": 1.0}),
        lambda: UncertaintyWeighting([]),
        lambda: UncertaintyWeighting(["topology", "topology"]),
        lambda: ConvexPairWeighting(["topology"]),
        lambda: ConvexPairWeighting(["topology", "geometry"], share=1.5),
        lambda: ConvexPairWeighting(["topology", "geometry"], share=1.0, trained=True),
    ],
)
def test_weights_that_make_no_sense_are_refused(build):
    with pytest.raises(InvalidInputError):
        build()


def test_a_missing_loss_is_named():
    with pytest.raises(InvalidInputError, match="geometry"):
        FixedWeighting({"geometry": 1.0})({"topology": torch.tensor(1.0)})
