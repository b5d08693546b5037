"""Claims about resuming: stopped or killed anywhere, a run ends as if nothing had happened.

Compared are whole files, byte for byte: weights, batch statistics, optimisers, log-variances
and both histories.
"""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_gland_mtl.errors import CheckpointError, NonFiniteLossError
from napari_gland_mtl.training import (
    EpochFinished,
    StepFinished,
    TrainingFinished,
    TrainingNotice,
    learner,
)
from napari_gland_mtl.training import trainer as trainer_module
from napari_gland_mtl.training.state import STATE_FILE

FILES = (
    "state.safetensors",
    "best.safetensors",
    "last.safetensors",
    "steps.csv",
    "epochs.csv",
    "images.csv",
)
TOTAL = 12

WAYS = {
    "sgd, learned weights": {},
    "adamw, average, cosine": {
        "optimiser": "adamw",
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
        "average_decay": 0.9,
        "schedule": "cosine",
        "schedule_warmup_steps": 5,
        "clip_norm": 1.0,
        "class_dropout": 0.4,
    },
    "alternating": {"weighting": "alternating", "losses": ("segmentation", "topology", "geometry")},
    "trained share": {"weighting": "convex_trained", "losses": ("segmentation", "topology")},
    "guarded": {
        "keep": 0.4,
        "freeze_encoder": True,
        "freeze_statistics": True,
        "average_decay": 0.8,
        "log_var_start": {"topology": -0.4, "geometry": 5.0},
        "log_var_warmup_steps": 0,
    },
    "by image and pixel": {"weighting": "instance_pixel", "average_decay": 0.8, "dropout": 0.3},
    "plain memory": {"weighting": "equal", "channels_last": False, "momentum": 0.0},
}


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Files of whole runs, each run once."""
    done = {}

    def run(way, start):
        if way not in done:
            folder = tmp_path_factory.mktemp("whole")
            list(start(folder).run())
            done[way] = files_of(folder)
        return done[way]

    return run


@pytest.fixture
def start(trainer_in, settings, validate):
    """Makes a trainer for one of the ways, as a new process would."""

    def make(folder, way="sgd, learned weights", **changed):
        return trainer_in(folder, settings(**{**WAYS[way], **changed}), validate)

    return make


@pytest.fixture
def go_on(start):
    """Resumes a run in a folder, as a new process would."""

    def make(folder, way="sgd, learned weights", **changed):
        trainer = start(folder, way, **changed)
        # Whatever a new process has drawn before must not matter.
        torch.rand(17)
        trainer.resume()
        return trainer

    return make


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stop_after", [3, 8])
def test_stopped_and_resumed_equals_uninterrupted(
    tmp_path, start, go_on, play, uninterrupted, way, stop_after
):
    expected = uninterrupted(way, lambda folder: start(folder, way))
    events = play(start(tmp_path, way), stop_after)
    assert events[-1].stopped
    assert events[-2].step == stop_after if stop_after % 4 else True
    # Control: it is not the same before it has gone on.
    assert (tmp_path / STATE_FILE).read_bytes() != expected[STATE_FILE]
    assert not play(go_on(tmp_path, way))[-1].stopped
    assert files_of(tmp_path) == expected


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 11, 12])
def test_the_step_at_which_it_stops_does_not_matter(
    tmp_path, start, go_on, play, uninterrupted, stop_after
):
    play(start(tmp_path), stop_after)
    play(go_on(tmp_path))
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


def test_stopped_again_and_again(tmp_path, start, go_on, play, uninterrupted):
    play(start(tmp_path), 2)
    for stop_after in (3, 7, 8, 10):
        play(go_on(tmp_path), stop_after)
    play(go_on(tmp_path))
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


@pytest.mark.parametrize("way", ["adamw, average, cosine", "alternating"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_epoch_stopped_while_it_is_measured_is_measured_on_resuming(
    tmp_path, start, go_on, play, only, uninterrupted, validate, way, epoch
):
    stop, asked = SimpleNamespace(stopped=False), []

    def cut_short(network):
        asked.append(network)
        stop.stopped = len(asked) == epoch
        return {} if stop.stopped else validate(network)

    trainer = start(tmp_path, way)
    trainer.validate = cut_short
    events = list(trainer.run(stop))
    assert [event.epoch for event in only(events, EpochFinished)] == list(range(1, epoch))
    assert events[-1].stopped
    again = go_on(tmp_path, way)  # and stopped at once
    again.validate = lambda network: {}
    assert list(again.run(SimpleNamespace(stopped=True)))[-1].stopped
    rest = play(go_on(tmp_path, way))
    assert only(rest, EpochFinished)[0].epoch == epoch
    assert not rest[-1].stopped
    assert files_of(tmp_path) == uninterrupted(way, lambda folder: start(folder, way))


@pytest.mark.parametrize("way", ["sgd, learned weights", "adamw, average, cosine", "alternating"])
@pytest.mark.parametrize("killed_after", [1, 4, 6, 9])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path, start, go_on, play, uninterrupted, way, killed_after
):
    """The generator is abandoned: what is on disk is the end of the last epoch."""
    steps = (event for event in start(tmp_path, way).run() if isinstance(event, StepFinished))
    killed = list(itertools.islice(steps, killed_after))
    steps.close()
    assert killed[-1].step == killed_after
    resumed = go_on(tmp_path, way)
    assert resumed.progress.step == 4 * ((killed_after - 1) // 4)
    play(resumed)
    assert files_of(tmp_path) == uninterrupted(way, lambda folder: start(folder, way))


@pytest.mark.parametrize("saved", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_killed_while_the_state_is_saved(
    tmp_path, start, go_on, play, uninterrupted, monkeypatch, saved, call
):
    """No order of writing the files leaves a row too many or too few."""
    really_save, calls = trainer_module.save_state, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) != call:
            return really_save(*arguments)
        if saved:
            really_save(*arguments)
        raise KeyboardInterrupt

    trainer = start(tmp_path)
    monkeypatch.setattr(trainer_module, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        list(trainer.run())
    monkeypatch.undo()
    play(go_on(tmp_path) if saved or call > 1 else start(tmp_path))
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


def test_half_a_row_left_by_a_kill_is_dropped(tmp_path, start, go_on, play, uninterrupted):
    play(start(tmp_path), 6)
    for name, rest in (("steps.csv", b"7,2,0.1"), ("epochs.csv", b"1")):
        with (tmp_path / name).open("ab") as file:
            file.write(rest)
    play(go_on(tmp_path))
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


def test_a_finished_run_stays_as_it_is(tmp_path, start, go_on, play, uninterrupted):
    whole = play(start(tmp_path))
    again = play(go_on(tmp_path))
    assert again == [whole[-1]]
    assert isinstance(again[0], TrainingFinished)
    assert again[0].measures["score"] > 0
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


def test_a_finished_run_can_go_on_for_more_epochs(tmp_path, start, go_on, play, only):
    play(start(tmp_path / "longer", epochs=4))
    play(start(tmp_path / "grown"))
    events = play(go_on(tmp_path / "grown", epochs=4))
    assert [event.epoch for event in only(events, EpochFinished)] == [4]
    assert files_of(tmp_path / "grown") == files_of(tmp_path / "longer")


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 0.02},
        {"seed": 1},
        {"optimiser": "adamw"},
        {"log_var_min": -1.0},
        {"widths": (4, 8, 8, 8, 16)},
    ],
    ids=str,
)
def test_other_settings_are_refused_and_named(tmp_path, start, go_on, play, changed):
    play(start(tmp_path), 5)
    (name,) = changed
    with pytest.raises(CheckpointError, match=rf"another {name} .*Give the same settings"):
        go_on(tmp_path, **changed)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_state_that_cannot_be_read_is_refused(tmp_path, start, go_on, play, damage):
    play(start(tmp_path), 5)
    path = tmp_path / STATE_FILE
    payload = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(payload[: len(payload) // 2])
    elif damage == "foreign":
        torch.save({"weight": torch.zeros(3)}, tmp_path / "state.pt")
        (tmp_path / "state.pt").rename(path)
    with pytest.raises(CheckpointError, match=r"state\.safetensors cannot be resumed from"):
        go_on(tmp_path)


def collapsed(network):
    return {"score": 0.1, "largest_region_share": 1.0}


def forget_what_was_said(path):
    """As versions wrote the state that did not keep it."""
    with safe_open(path, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
    assert progress.pop("said") == ["constant"]
    save_file(load_file(path), path, metadata={"progress": json.dumps(progress)})


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "earlier version"])
def test_a_resumed_run_does_not_repeat_a_notice(tmp_path, start, go_on, play, only, kept):
    first = start(tmp_path)
    first.validate = collapsed
    (notice,) = only(play(first, 6), TrainingNotice)
    if not kept:
        forget_what_was_said(tmp_path / STATE_FILE)
    resumed = go_on(tmp_path)
    resumed.validate = collapsed
    events = play(resumed)
    assert only(events, TrainingNotice) == ([] if kept else [notice])
    assert len(only(events, EpochFinished)) == 2
    noted = (tmp_path / "notices.txt").read_text(encoding="utf-8").splitlines()
    assert noted == [f"epoch {e}: {notice.text}" for e in ((1,) if kept else (1, 2))]
    whole = start(tmp_path / "whole")
    whole.validate = collapsed
    play(whole)
    assert files_of(tmp_path) == files_of(tmp_path / "whole")


def test_new_trouble_is_said_after_resuming(tmp_path, start, go_on, play, only):
    """Once, though the run is killed at that moment: the state of that epoch knows of it."""
    first = start(tmp_path)
    first.validate = lambda network: {"largest_region_share": 0.6}
    assert only(play(first, 4), TrainingNotice) == []
    resumed = go_on(tmp_path)
    resumed.validate = collapsed
    events = resumed.run()
    said = next(event for event in events if isinstance(event, TrainingNotice))
    events.close()
    assert "collapsed" in said.text
    again = go_on(tmp_path)
    assert again.progress.step == 8
    again.validate = collapsed
    assert only(play(again), TrainingNotice) == []


@pytest.mark.parametrize("fails_in", [1, 6])
@pytest.mark.parametrize("where", ["encoder", "head"])
def test_a_loss_that_is_not_finite_keeps_the_last_good_state(
    tmp_path, start, go_on, play, uninterrupted, fails_in, where
):
    """Weights go bad in mid-epoch; batch statistics would follow if they were saved."""
    trainer = start(tmp_path)
    broken = trainer.network.encoder.levels[0][0][0] if where == "encoder" else (
        trainer.network.region_head
    )  # fmt: skip
    events = trainer.run()
    for event in events:
        if isinstance(event, StepFinished) and event.step == fails_in:
            break
    with torch.no_grad():
        broken.bias.fill_(float("nan"))
    kept = 4 * (fails_in // 4)
    with pytest.raises(
        NonFiniteLossError,
        match=rf"loss is no longer .* step {fails_in + 1} .*segmentation nan.*"
        rf"after step {kept} is kept in .*Lower the learning rate \(now 0\.01\)",
    ):
        list(events)
    state = load_file(tmp_path / STATE_FILE)
    assert all(torch.isfinite(value).all() for value in state.values())
    resumed = go_on(tmp_path)
    assert resumed.progress.step == kept
    play(resumed)
    assert files_of(tmp_path) == uninterrupted("sgd, learned weights", start)


@pytest.mark.parametrize("way", ["sgd, learned weights", "alternating"])
def test_what_the_probe_found_holds_after_resuming(tmp_path, start, go_on, play, monkeypatch, way):
    """The probe goes by the clock; a resumed run calculates as it began."""
    answers = iter([True, False, False])
    monkeypatch.setattr(learner, "bfloat16_pays", lambda *_: next(answers))
    first = start(tmp_path, way, precision="auto", epochs=1)
    assert first.half
    play(first, 1)
    assert go_on(tmp_path, way, precision="auto", epochs=1).half
    assert not start(tmp_path, way, precision="auto", epochs=1).half  # control
