"""Claims about the state file: everything comes back, and nothing else is accepted."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from napari_gland_mtl.errors import CheckpointError
from napari_gland_mtl.training.state import Progress, load_state, save_state, update_average


def parts(optimiser="adamw", seed=0):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    if optimiser == "sgd":
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    return module, optimizer


def step(module, optimizer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    optimizer.zero_grad()
    module(torch.randn(8, 3, generator=generator)).square().mean().backward()
    optimizer.step()


PROGRESS = Progress(
    step=7,
    best_score=1 / 3,
    best_epoch=2,
    config="{}",
    loss_sums={"topology": 0.1 + 0.2},
    measures={"score": 1e-17},
    bfloat16=False,
    said=["constant"],
)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_modules_optimisers_and_progress_come_back_exactly(tmp_path, optimiser):
    module, optimizer = parts(optimiser)
    step(module, optimizer)
    save_state(tmp_path / "state", {"network": module}, [optimizer], PROGRESS)
    other, own = parts(optimiser, seed=1)
    assert load_state(tmp_path / "state", {"network": other}, [own]) == PROGRESS
    for number in (1, 2):
        step(module, optimizer, number)
        step(other, own, number)
    expected, ours = module.state_dict(), other.state_dict()
    assert all(torch.equal(expected[name], ours[name]) for name in expected)


def test_without_its_momentum_an_optimiser_would_go_elsewhere(tmp_path):
    """Control of the test above: what it compares does depend on the optimiser's tensors."""
    module, optimizer = parts("sgd")
    step(module, optimizer)
    other, own = parts("sgd", seed=1)
    other.load_state_dict(module.state_dict())
    step(module, optimizer, 1)
    step(other, own, 1)
    assert not torch.equal(module[0].weight, other[0].weight)


def test_a_fresh_start_has_no_score_yet_and_that_comes_back_too(tmp_path):
    module, optimizer = parts()
    save_state(tmp_path / "state", {"network": module}, [optimizer], Progress())
    assert load_state(tmp_path / "state", {"network": module}, [optimizer]) == Progress()


def test_modules_with_similar_names_are_kept_apart(tmp_path):
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    save_state(tmp_path / "state", {"net": first, "net.work": second}, [], Progress())
    with pytest.raises(CheckpointError):
        load_state(tmp_path / "state", {"net": first}, [])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_state_is_refused(tmp_path, share):
    module, optimizer = parts()
    path = tmp_path / "state"
    save_state(path, {"network": module}, [optimizer], PROGRESS)
    payload = path.read_bytes()
    path.write_bytes(payload[: int(len(payload) * share)])
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        load_state(path, {"network": module}, [optimizer])


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(pickle.dumps({"step": 1}))
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        load_state(path, {}, [])


def test_the_average_moves_a_share_of_the_way():
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(1.0)
        network.num_batches_tracked.fill_(9)
    update_average(average, network, decay=0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [0.25, 0.25]
    assert average.num_batches_tracked.item() == 9
    assert network.weight.tolist() == [3.0, 3.0]
