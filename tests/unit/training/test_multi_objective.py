"""Claims about multi-objective descent: the ways are those of the papers, and only they are new.

The oracles work on the Jacobian in double precision, made of one backward pass per loss, and in
the most literal way: quadratic programmes are solved by trying every set of active constraints.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import chain, combinations, permutations, product

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from napari_gland_mtl.errors import InvalidInputError, MissingExtraError
from napari_gland_mtl.jobs.finetune import finetune_model
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.train import TrainConfig, train_model
from napari_gland_mtl.losses import LOSS_NAMES
from napari_gland_mtl.losses.objective import multi_loss
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.training import StepFinished, TrainingConfig, multi_objective, read_history
from napari_gland_mtl.training.multi_objective import MULTI_OBJECTIVE, MultiObjectiveWeighting

NAMES = LOSS_NAMES[:3]
# Where the shared numbers are pulled to: the first two losses want opposite things.
GOALS = np.array([[4.0, 1.0, 0.0, 0.0], [-2.0, 1.0, 1.0, 0.0], [0.5, -3.0, 0.5, 2.0]])


class Shared(nn.Module):
    """Four shared numbers, and one of its own for each loss."""

    def __init__(self, size=1.0):
        super().__init__()
        self.size = size
        self.shared = nn.Parameter(torch.tensor([0.1, -0.2, 0.3, 0.1], dtype=torch.float64))
        self.heads = nn.ParameterList(torch.tensor([1.0 + n]).double() for n in range(3))

    def losses(self):
        goals = torch.from_numpy(GOALS)
        values = [
            self.size * ((head * (self.shared - goal)) ** 2).sum()
            for head, goal in zip(self.heads, goals, strict=True)
        ]
        return dict(zip(NAMES, values, strict=True))

    def jacobian(self):
        rows = []
        for name in NAMES:
            self.zero_grad()
            self.losses()[name].backward()
            rows.append(self.shared.grad.numpy().copy())
        self.zero_grad()
        return np.stack(rows)


def descended(method, network=None, losses=None, seed=0, step=0):
    """What the shared numbers follow, (4,), and the weights, (n,)."""
    network = network or Shared()
    weighting = MultiObjectiveWeighting(NAMES, method, seed)
    weighting.constrain(step)
    weighting.descend(losses or network.losses(), network)
    return network.shared.grad.numpy(), weighting.weights().double().numpy()


def subsets(count):
    return chain.from_iterable(combinations(range(count), size) for size in range(count + 1))


def shortest(gramian):
    """``min |a J|^2`` over a >= 0 with sum 1: the best of all supports that are feasible."""
    best = None
    for support in filter(None, map(list, subsets(len(gramian)))):
        inner = gramian[np.ix_(support, support)]
        solved = np.linalg.solve(inner, np.ones(len(support)))
        weights = np.zeros(len(gramian))
        weights[support] = solved / solved.sum()
        if (weights >= 0).all() and (best is None or weights @ gramian @ weights < best[0]):
            best = weights @ gramian @ weights, weights
    return best[1]


def projected(gramian, wish):
    """``min v G v`` with v >= wish, whose ``v J`` is the nearest that lowers no loss's descent."""
    for tight in map(list, subsets(len(gramian))):
        free = [place for place in range(len(gramian)) if place not in tight]
        value = wish.copy()
        if free:
            right = -gramian[np.ix_(free, tight)] @ wish[tight]
            value[free] = np.linalg.solve(gramian[np.ix_(free, free)], right)
        forces = gramian @ value
        if (value >= wish - 1e-12).all() and (forces[tight] >= -1e-12).all():
            return value
    raise AssertionError("there is always one")


def surgeries(jacobian):
    """Every result of PCGrad's algorithm, over all the orders that it may draw."""
    count = len(jacobian)
    others = [permutations([j for j in range(count) if j != i]) for i in range(count)]
    for orders in product(*map(list, others)):
        total = np.zeros(jacobian.shape[1])
        for own, order in zip(jacobian, orders, strict=True):
            left = own.copy()
            for other in jacobian[list(order)]:
                if left @ other < 0:
                    left = left - left @ other / (other @ other) * other
            total += left
        yield total


def test_the_losses_of_these_tests_are_in_conflict():
    """Control: in their mean one of them rises."""
    jacobian = Shared().jacobian()
    assert (jacobian @ jacobian.mean(axis=0)).min() < -1


def test_upgrad_is_the_mean_of_projections_onto_what_lets_no_loss_rise():
    jacobian = Shared().jacobian()
    gramian = jacobian @ jacobian.T
    direction, weights = descended("upgrad")
    # TorchJD adds 1e-4 of the Gramian's trace to its diagonal.
    added = 1e-4 * np.trace(gramian) * np.eye(3)
    for oracle, near in ((gramian + added, 1e-6), (gramian, 2e-2)):
        expected = np.mean([projected(oracle, wish) for wish in np.eye(3)], axis=0)
        np.testing.assert_allclose(weights, expected, rtol=near)
    np.testing.assert_allclose(direction, weights @ jacobian, rtol=1e-6)
    assert (jacobian @ direction).min() > -1e-2 * np.trace(gramian)


def test_mgda_is_the_shortest_convex_combination():
    jacobian = Shared().jacobian()
    gramian = jacobian @ jacobian.T
    expected = shortest(gramian)
    direction, weights = descended("mgda")
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights, expected, atol=2e-2)
    np.testing.assert_allclose(direction, weights @ jacobian, rtol=1e-5)
    others = [np.linalg.norm(w @ jacobian) for w in [*np.eye(3), np.full(3, 1 / 3)]]
    assert np.linalg.norm(direction) < min(others)  # control: the mean is not the shortest


def test_pcgrad_takes_away_what_points_against_another():
    jacobian = Shared().jacobian()
    possible = list(surgeries(jacobian))
    assert np.std(possible, axis=0).max() > 1e-2  # control: the order matters
    found = set()
    for step in range(12):
        direction, _ = descended("pcgrad", step=step)
        near = [number for number, one in enumerate(possible) if np.allclose(one, direction)]
        assert near
        found.add(near[0])
    assert len(found) > 1


def test_pcgrads_order_follows_from_seed_and_step_and_nobody_elses_numbers_change():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = [descended("pcgrad", step=step)[0].tolist() for step in range(6)]
    assert torch.equal(torch.rand(3), expected)
    assert [descended("pcgrad", step=step)[0].tolist() for step in range(6)] == first
    assert [descended("pcgrad", step=step, seed=1)[0].tolist() for step in range(6)] != first


def test_aligned_mtl_makes_the_gradients_orthogonal_and_as_long_as_the_least_direction():
    jacobian = Shared().jacobian()
    left, sizes, right = np.linalg.svd(jacobian, full_matrices=False)
    expected = (sizes.min() * left @ right).mean(axis=0)
    direction, _ = descended("aligned_mtl")
    np.testing.assert_allclose(direction, expected, rtol=1e-6)


def test_imtl_g_goes_equally_far_along_every_gradient():
    jacobian = Shared().jacobian()
    direction, weights = descended("imtl_g")
    along = jacobian @ direction / np.linalg.norm(jacobian, axis=1)
    np.testing.assert_allclose(along, along[0], rtol=1e-5)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", MULTI_OBJECTIVE)
def test_weights_do_not_depend_on_how_small_the_gradients_are(method):
    _, weights = descended(method)
    _, tiny = descended(method, Shared(size=1e-8))
    np.testing.assert_allclose(tiny, weights, rtol=1e-5)


def test_torchjd_itself_takes_tiny_gradients_for_none():
    """Control of the test before."""
    gramian = torch.from_numpy(Shared(1e-8).jacobian() @ Shared(1e-8).jacobian().T)
    combine = multi_objective._combination("upgrad")
    assert combine(gramian).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("method", MULTI_OBJECTIVE)
def test_what_is_not_shown_takes_no_part(method):
    """A batch without a known class, say, whose loss is 0: MGDA would stand still for it."""
    network = Shared()
    losses = network.losses()
    losses["topology"] = losses["topology"] * 0
    direction, weights = descended(method, network, losses)
    assert weights[2] == 0
    assert np.abs(direction).max() > 1e-2
    assert network.heads[2].grad is None
    combine, jacobian = multi_objective._combination("mgda"), Shared().jacobian()
    jacobian[2] = 0
    assert combine(torch.from_numpy(jacobian @ jacobian.T)).tolist() == [0, 0, 1]  # control


def test_one_loss_alone_is_followed_as_it_is():
    network = Shared()
    losses = {name: 0 * loss for name, loss in network.losses().items()}
    losses["topology"] = network.losses()["topology"]
    direction, weights = descended("upgrad", network, losses)
    np.testing.assert_array_equal(direction, Shared().jacobian()[2])
    assert weights.tolist() == [0, 0, 1]


def test_a_loss_that_is_no_number_leaves_no_gradient():
    network = Shared()
    losses = network.losses()
    losses["topology"] = losses["topology"] * float("nan")
    total = MultiObjectiveWeighting(NAMES, "mgda").descend(losses, network)
    assert not torch.isfinite(total)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.fixture
def gland_losses():
    """Makes a tiny network of Fig. 1 in double precision, and its losses of one batch."""
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=(4, 8))).double()
    images = torch.rand(3, 3, 16, 16, dtype=torch.float64)
    labels, classes = torch.randint(0, 4, (3, 16, 16)), torch.tensor([0, 1, 0])

    def make(names):
        own = deepcopy(network)
        return own, multi_loss(own(images), labels, classes, GLAND_REGIONS, names)

    return make


def _gradients(make, names):
    """Of each loss alone, by the parameters' names."""
    found = {}
    for name in names:
        network, losses = make(names)
        losses[name].backward()
        found[name] = {key: value.grad for key, value in network.named_parameters()}
    return found


@pytest.mark.parametrize(
    ("names", "own"),
    [
        (LOSS_NAMES, {"class_head.": "classification"}),
        (
            ("classification", "segmentation"),
            {
                "class_head.": "classification",
                "decoder.": "segmentation",
                "region_head.": "segmentation",
            },
        ),
    ],
    ids=["four losses", "two losses"],
)
@pytest.mark.parametrize("method", MULTI_OBJECTIVE)
def test_what_is_shared_follows_the_weights_and_a_head_its_own_loss(
    gland_losses, names, own, method
):
    alone = _gradients(gland_losses, names)
    network, losses = gland_losses(names)
    weighting = MultiObjectiveWeighting(names, method).double()
    total = weighting.descend(losses, network)
    weights = dict(zip(names, weighting.weights(), strict=True))
    assert len(set(weights.values())) == len(names)  # or the weights could be mixed up
    torch.testing.assert_close(total, sum(weights[n] * losses[n].detach() for n in names))
    shared = 0
    for key, parameter in network.named_parameters():
        heads = [loss for head, loss in own.items() if key.startswith(head)]
        if heads:
            torch.testing.assert_close(parameter.grad, alone[heads[0]][key], rtol=1e-9, atol=1e-12)
            continue
        shared += 1
        rows = [weights[n] * alone[n][key] for n in names if alone[n][key] is not None]
        assert len(rows) > 1
        torch.testing.assert_close(parameter.grad, sum(rows), rtol=1e-6, atol=1e-9)
    assert shared


@pytest.mark.parametrize("method", ["upgrad", "mgda", "pcgrad"])
def test_a_training_notes_its_weights_and_resumes_to_the_same(
    tmp_path, trainer_in, settings, play, only, method
):
    config = settings(weighting=method, average_decay=0.9, clip_norm=1.0)
    trainer = trainer_in(tmp_path / "whole", config)
    assert len(trainer.optimizers) == 1
    events = only(play(trainer), StepFinished)
    assert not events[-1].log_vars
    columns = read_history(tmp_path / "whole" / "steps.csv")
    weights = np.stack([columns[f"weight_{name}"] for name in LOSS_NAMES])
    assert np.ptp(weights, axis=1).min() > 1e-3
    losses = np.stack([columns[f"loss_{name}"] for name in LOSS_NAMES])
    np.testing.assert_allclose(columns["total"], (weights * losses).sum(axis=0), rtol=1e-4)
    play(trainer_in(tmp_path / "parts", config), stop_after=6)
    resumed = trainer_in(tmp_path / "parts", config)
    resumed.resume()
    play(resumed)
    for name in ("last.safetensors", "steps.csv", "epochs.csv"):
        one, two = (tmp_path / folder / name for folder in ("whole", "parts"))
        assert one.read_bytes() == two.read_bytes(), name


def test_several_devices_are_refused():
    with pytest.raises(ValidationError, match="one device only"):
        TrainingConfig(weighting="mgda", devices=2)
    assert TrainingConfig(weighting="equal", devices=2).devices == 2


def test_where_memory_runs_out_a_batch_is_not_divided_and_that_is_said(
    tmp_path, trainer_in, settings
):
    def refuse(images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    trainer = trainer_in(tmp_path, settings(weighting="upgrad"))
    trainer.forward = refuse
    with pytest.raises(InvalidInputError, match=r"4 patches of 32 px.*'upgrad' cannot .* in parts"):
        list(trainer.run())
    assert trainer.passes.at_once == 0


def test_without_torchjd_it_is_said_before_work_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(multi_objective, "find_spec", lambda _: None)
    settings = TrainingConfig(weighting="pcgrad")
    words = r"'pcgrad' needs TorchJD: pip install 'napari-gland-mtl\[multi-objective\]'"
    with pytest.raises(MissingExtraError, match=words):
        list(train_model(None, tmp_path / "run", TrainConfig(training=settings)))
    with pytest.raises(MissingExtraError, match=words):
        list(finetune_model(None, tmp_path / "run", FinetuneConfig(weighting="pcgrad")))
    assert not (tmp_path / "run").exists()
    multi_objective.check_multi_objective("uncertainty")
