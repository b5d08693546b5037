"""Claims about memory that runs out: the same training, in parts, and words where nothing helps.

A fake network refuses more than so many patches at once, as a small GPU does.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_gland_mtl.datasets.dataset import UNKNOWN_CLASS, Sample
from napari_gland_mtl.datasets.patches import PatchSource
from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.training import (
    EpochFinished,
    TrainingNotice,
    micro_batches,
    read_history,
)
from napari_gland_mtl.training.micro_batches import is_out_of_memory

CPU_WORDS = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: not enough memory: you"


def refusing(trainer, most, error=torch.OutOfMemoryError, calls=None):
    """Let the network of a trainer take `most` patches at once."""
    really = trainer.forward

    def forward(images):
        if len(images) > most:
            really(images[:1])  # as far as it gets, it changes batch statistics
            raise error(CPU_WORDS)
        if calls is not None:
            calls.append(len(images))
        return really(images)

    trainer.forward = forward
    return trainer


@pytest.fixture
def double(trainer_in, source):
    """Makes a trainer in double precision, of unevenly annotated samples."""

    def sparse():
        known = zip(source.images, source.labels, source.classes, strict=True)
        for number, (image, labels, kind) in enumerate(known):
            kept = labels.copy()
            kept[16 * (number + 1) :] = 0
            kind = kind if number < 2 else UNKNOWN_CLASS
            yield Sample(f"{number}", image, kept, None, kind, None, source.mpp)

    def make(folder, config):
        trainer = trainer_in(folder, config)
        uneven = replace(trainer, source=PatchSource(sparse(), source.mpp))
        uneven.network.double()
        uneven.weighting.double()
        return uneven

    return make


WAYS = {
    "learned weights": {},
    "alternating": {"weighting": "alternating", "losses": ("segmentation", "classification")},
    "trained share": {"weighting": "convex_trained", "losses": ("topology", "classification")},
    "by image": {"weighting": "instance"},
    "by image and pixel": {"weighting": "instance_pixel"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most", [1, 3])
def test_in_parts_it_learns_what_the_whole_batch_teaches(tmp_path, double, settings, way, most):
    config = settings(
        batch_size=6, patches_per_epoch=18, epochs=2, freeze_statistics=True, class_dropout=0.3,
        **WAYS[way],
    )  # fmt: skip
    whole, calls = double(tmp_path / "whole", config), []
    parts = refusing(double(tmp_path / "parts", config), most, calls=calls)
    start = {name: value.clone() for name, value in whole.network.state_dict().items()}
    list(whole.run())
    list(parts.run())
    assert max(calls) == (1 if most == 1 else 3)
    assert sum(calls) >= 36
    ours, theirs = parts.network.state_dict(), whole.network.state_dict()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-9, atol=1e-11)
    assert any((theirs[name] - start[name]).abs().max() > 1e-3 for name in start)  # control
    for file in ("steps.csv", "images.csv"):
        one, two = (read_history(tmp_path / n / file) for n in ("whole", "parts"))
        for column in one:
            torch.testing.assert_close(
                torch.tensor(one[column]),
                torch.tensor(two[column]),
                rtol=1e-9,
                atol=1e-11,
                equal_nan=True,
            )


def test_shares_are_by_what_is_known_and_not_by_patches(tmp_path, double, settings, monkeypatch):
    """Left out, the same comparison fails."""
    config = settings(batch_size=6, patches_per_epoch=6, epochs=1, freeze_statistics=True)
    whole = double(tmp_path / "whole", config)
    list(whole.run())
    monkeypatch.setattr(
        micro_batches,
        "loss_counts",
        lambda labels, classes, names: {name: torch.tensor(len(classes)) for name in names},
    )
    parts = refusing(double(tmp_path / "parts", config), 2)
    list(parts.run())
    ours, theirs = parts.network.state_dict(), whole.network.state_dict()
    assert max((ours[n].double() - theirs[n].double()).abs().max() for n in ours) > 1e-5


def test_it_is_said_once_and_the_step_counts_once(tmp_path, trainer_in, settings, play, only):
    trainer = refusing(trainer_in(tmp_path, settings()), 1)
    events = play(trainer)
    told = [event.text for event in only(events, TrainingNotice)]
    assert ["2 patches are" in told[0], "1 patch is" in told[1], len(told)] == [True, True, 2]
    assert "still learns from 4" in told[0]
    assert len(only(events, EpochFinished)) == 3
    assert (tmp_path / "notices.txt").read_text().count("Memory ran out") == 2


def test_a_step_done_again_finds_the_statistics_as_they_were(tmp_path, trainer_in, settings):
    """With one patch at once from the start, the same comes out as after a failed attempt."""
    failed = refusing(trainer_in(tmp_path / "a", settings(epochs=1)), 1)
    from_start = trainer_in(tmp_path / "b", settings(epochs=1))
    from_start.passes.at_once = 1
    list(failed.run())
    list(from_start.run())
    ours, theirs = failed.network.state_dict(), from_start.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_resumed_run_goes_on_with_as_few_at_once(tmp_path, trainer_in, settings, play):
    play(refusing(trainer_in(tmp_path, settings()), 2), stop_after=5)
    resumed = trainer_in(tmp_path, settings())
    resumed.resume()
    assert resumed.passes.at_once == 2
    play(resumed)
    play(refusing(trainer_in(tmp_path / "whole", settings()), 2))
    for name in ("state.safetensors", "steps.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_where_one_patch_is_too_much_it_ends_in_words(tmp_path, trainer_in, settings):
    trainer = refusing(trainer_in(tmp_path, settings()), 0)
    with pytest.raises(InvalidInputError, match=r"single patch of 32 px .* after step 0 is kept"):
        list(trainer.run())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_what_says_that_memory_ran_out_is_known(tmp_path, trainer_in, settings, error):
    assert is_out_of_memory(error(CPU_WORDS))
    list(refusing(trainer_in(tmp_path, settings(epochs=1)), 2, error).run())


def test_other_errors_are_none(tmp_path, trainer_in, settings):
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
    trainer = refusing(trainer_in(tmp_path, settings()), 2, lambda _: RuntimeError("a fault"))
    with pytest.raises(RuntimeError, match="a fault"):
        list(trainer.run())
