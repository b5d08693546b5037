"""Claims about what a network keeps of the one it began as."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from napari_gland_mtl.training import EpochFinished
from napari_gland_mtl.training.guard import Blend


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_what_is_measured_and_kept_is_the_mean_of_start_and_learned(
    tmp_path, trainer_in, settings, decay
):
    seen = []

    def look(network):
        assert not network.training
        seen.append(state_of(network))
        return {"score": float(len(seen))}

    trainer = trainer_in(tmp_path, settings(keep=0.25, average_decay=decay), look)
    start, learned = state_of(trainer.network), []
    for event in trainer.run():
        if isinstance(event, EpochFinished):
            learned.append(state_of(trainer.average if decay else trainer.network))
    assert len(seen) == len(learned) == 3
    for ours, theirs in zip(seen, learned, strict=True):
        for name, value in ours.items():
            expected = theirs[name]
            if value.dtype.is_floating_point:
                expected = start[name] + 0.75 * (theirs[name] - start[name])
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[name], seen[-1][name]) for name in best)
    statistics = "encoder.levels.0.0.2.running_mean"
    assert not torch.equal(best[statistics], learned[-1][statistics])  # control: it counts


def test_the_mean_does_not_hold_the_training_back(tmp_path, trainer_in, settings):
    plain, mixed = (
        trainer_in(tmp_path / f"{keep}", settings(keep=keep, epochs=1)) for keep in (0.0, 0.6)
    )
    list(plain.run())
    list(mixed.run())
    ours, theirs = state_of(plain.network), state_of(mixed.network)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    kept, other = (load_file(tmp_path / f"{k}" / "last.safetensors") for k in (0.0, 0.6))
    assert not all(torch.equal(kept[name], other[name]) for name in kept)


@pytest.mark.parametrize("keep", [0.0, 0.3, 1.0])
def test_before_the_first_step_the_mean_is_the_start(trainer_in, settings, tmp_path, keep):
    network = trainer_in(tmp_path, settings()).network
    mean = Blend(network, keep).of(network)
    assert mean is not network
    ours, theirs = mean.state_dict(), network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def learned_names(tmp_path, trainer_in, settings, name, **changed):
    trainer = trainer_in(tmp_path / name, settings(epochs=1, **changed))
    before = state_of(trainer.network)
    list(trainer.run())
    after = trainer.network.state_dict()
    return before, {key for key in before if not torch.equal(before[key], after[key])}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_frozen_encoder_stays_bit_for_bit(tmp_path, trainer_in, settings, optimiser):
    way = {"optimiser": optimiser, "weight_decay": 0.1}
    before, changed = learned_names(
        tmp_path, trainer_in, settings, "frozen", freeze_encoder=True, **way
    )
    encoder = {name for name in before if name.startswith("encoder.")}
    assert not changed & encoder
    assert {name for name in before if "weight" in name} - encoder <= changed
    _, free = learned_names(tmp_path, trainer_in, settings, "free", **way)
    assert encoder <= free  # control


def test_frozen_statistics_stay_and_the_weights_of_their_layers_learn(
    tmp_path, trainer_in, settings
):
    before, changed = learned_names(
        tmp_path, trainer_in, settings, "frozen", freeze_statistics=True
    )
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert statistics
    assert not changed & statistics
    assert set(before) - statistics == changed
    _, free = learned_names(tmp_path, trainer_in, settings, "free")
    assert statistics <= free  # control
