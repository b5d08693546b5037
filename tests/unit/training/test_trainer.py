"""Claims about training itself: it learns, repeats, reports, keeps the best, and can be stopped."""

from __future__ import annotations

import csv
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_gland_mtl.checkpoint import load_model, read_card
from napari_gland_mtl.datasets.dataset import UNKNOWN_CLASS, Sample
from napari_gland_mtl.datasets.patches import PatchSource
from napari_gland_mtl.errors import InvalidInputError, NonFiniteLossError
from napari_gland_mtl.training import (
    EpochFinished,
    StepFinished,
    TrainingFinished,
    TrainingNotice,
    read_history,
)

EASY = {
    "learning_rate": 1e-2,
    "optimiser": "adamw",
    "epochs": 4,
    "patches_per_epoch": 80,
    "weighting": "equal",
}


@pytest.mark.parametrize("weighting", ["equal", "uncertainty"])
def test_it_learns_an_easy_task_and_without_steps_it_does_not(
    tmp_path, trainer_in, settings, validate, play, only, weighting
):
    def train(name, **changed):
        config = settings(**{**EASY, "weighting": weighting, **changed})
        epochs = only(play(trainer_in(tmp_path / name, config, validate)), EpochFinished)
        ratio = {n: epochs[-1].losses[n] / epochs[0].losses[n] for n in epochs[0].losses}
        return ratio, epochs[-1].measures["score"]

    ratio, recall = train("trained")
    assert max(ratio[name] for name in ("segmentation", "topology")) < 0.7
    assert recall > 0.55
    # Control: the same patches and the same network, and steps that lead nowhere.
    ratio, recall = train("untrained", learning_rate=1e-12)
    assert min(ratio[name] for name in ("segmentation", "topology")) > 0.9
    assert recall < 0.4


def test_means_of_an_epoch_are_over_the_batches_that_show_something(
    tmp_path, trainer_in, settings, source, play, only
):
    """One image in four has a class, and a batch of one patch shows it or does not."""

    def samples():
        parts = zip(source.images, source.labels, source.classes, strict=True)
        for number, (image, labels, kind) in enumerate(parts):
            known = kind if number == 0 else UNKNOWN_CLASS
            yield Sample(f"{number}", image, labels, None, known, None, source.mpp)

    def train(folder, seed, stop_after=None):
        config = settings(batch_size=1, patches_per_epoch=3, epochs=4, seed=seed)
        trainer = replace(trainer_in(folder, config), source=PatchSource(samples(), source.mpp))
        if (folder / "state.safetensors").exists():
            trainer.resume()
        return only(play(trainer, stop_after), EpochFinished)

    def rows(folder, name):
        read = read_history(folder / name)
        return read["epoch"], read["loss_classification"], read["loss_segmentation"]

    train(tmp_path / "whole", 1)
    epoch, classes, pixels = rows(tmp_path / "whole", "steps.csv")
    _, class_means, pixel_means = rows(tmp_path / "whole", "epochs.csv")
    shown = [classes[(epoch == number) & (classes != 0)] for number in range(1, 5)]
    assert {len(values) for values in shown} >= {0, 1}  # control: nothing, and one of three
    for values, mean in zip(shown, class_means, strict=True):
        assert mean == pytest.approx(values.mean()) if len(values) else np.isnan(mean)
    np.testing.assert_allclose(pixel_means, pixels.reshape(4, 3).mean(axis=1))
    train(tmp_path / "parts", 1, stop_after=2)
    train(tmp_path / "parts", 1)
    expected = (tmp_path / "whole" / "epochs.csv").read_text()
    assert (tmp_path / "parts" / "epochs.csv").read_text() == expected


@pytest.mark.parametrize("weighting", ["equal", "uncertainty"])
def test_a_loss_of_exactly_0_counts_where_there_was_something_to_learn_from(
    tmp_path, trainer_in, settings, source, play, only, weighting
):
    """A network that is quite sure of the right class loses nothing by it, in float32."""

    def means(kind):
        parts = zip(source.images, source.labels, strict=True)
        samples = [
            Sample(f"{number}", image, labels, None, kind, None, source.mpp)
            for number, (image, labels) in enumerate(parts)
        ]
        config = settings(epochs=1, weighting=weighting)
        trainer = replace(
            trainer_in(tmp_path / f"{kind}", config), source=PatchSource(samples, source.mpp)
        )
        with torch.no_grad():
            trainer.network.class_head[-1].weight.zero_()
            trainer.network.class_head[-1].bias.copy_(torch.tensor([60.0, -60.0]))
        (epoch,) = only(play(trainer), EpochFinished)
        return epoch.losses

    assert means(0)["classification"] == 0
    assert means(1)["classification"] > 1  # control: sure of the wrong one
    unknown = means(UNKNOWN_CLASS)  # control: nothing to learn from
    assert np.isnan(unknown["classification"])
    assert unknown["segmentation"] > 0


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_the_same_seed_gives_the_same_training(tmp_path, trainer_in, settings, play, optimiser):
    def files(name, **changed):
        folder = tmp_path / name
        play(trainer_in(folder, settings(epochs=2, optimiser=optimiser, **changed)))
        return [(folder / file).read_bytes() for file in ("last.safetensors", "steps.csv")]

    first = files("first")
    assert files("second") == first
    other = files("other", seed=1)
    assert other[0] != first[0]
    assert other[1] != first[1]


def test_events_come_in_order_and_can_be_sent_to_another_process(
    tmp_path, trainer_in, settings, validate, play
):
    events = play(trainer_in(tmp_path, settings(epochs=2), validate))
    kinds = [type(event) for event in events if not isinstance(event, TrainingNotice)]
    epoch = [StepFinished] * 4 + [EpochFinished]
    assert kinds == [*epoch, *epoch, TrainingFinished]
    assert pickle.loads(pickle.dumps(events)) == events  # noqa: S301
    assert not events[-1].stopped
    assert events[-1].folder == tmp_path


def test_every_step_and_epoch_is_a_row(tmp_path, trainer_in, settings, validate, play, only):
    config = settings(epochs=2)
    events = play(trainer_in(tmp_path, config, validate))
    steps, epochs = read_history(tmp_path / "steps.csv"), read_history(tmp_path / "epochs.csv")
    done = only(events, StepFinished)
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert steps["epoch"].tolist() == [1] * 4 + [2] * 4
    for name in config.losses:
        assert steps[f"loss_{name}"].tolist() == [event.losses[name] for event in done]
        assert steps[f"weight_{name}"].tolist() == [event.weights[name] for event in done]
        assert steps[f"log_var_{name}"].tolist() == [event.log_vars[name] for event in done]
        means = steps[f"loss_{name}"].reshape(2, 4).mean(axis=1)
        np.testing.assert_allclose(epochs[f"loss_{name}"], means)
    assert (steps["gradient_norm"] > 0).all()
    assert epochs["epoch"].tolist() == [1, 2]
    assert epochs["score"].tolist() == [e.measures["score"] for e in only(events, EpochFinished)]


def test_the_total_is_the_objective_with_the_weights_of_the_step(
    tmp_path, trainer_in, settings, play, only
):
    events = only(play(trainer_in(tmp_path, settings())), StepFinished)
    before = dict.fromkeys(events[0].log_vars, 0.0)
    for event in events:
        expected = sum(event.weights[n] * event.losses[n] + before[n] for n in before)
        assert event.total == pytest.approx(expected, rel=1e-5)
        before = event.log_vars


def test_log_variances_wait_for_the_warm_up_and_keep_their_bounds(
    tmp_path, trainer_in, settings, play, only
):
    config = settings(log_var_warmup_steps=5, log_var_min=-0.02, learning_rate=0.05)
    steps = only(play(trainer_in(tmp_path, config)), StepFinished)
    assert all(value == 0 for event in steps[:5] for value in event.log_vars.values())
    assert all(value != 0 for value in steps[5].log_vars.values())
    lowest = min(value for event in steps for value in event.log_vars.values())
    assert lowest == pytest.approx(-0.02)


def test_alternating_gives_each_loss_its_step(tmp_path, trainer_in, settings, play, only):
    losses = ("segmentation", "topology", "geometry")
    trainer = trainer_in(tmp_path, settings(weighting="alternating", losses=losses))
    assert len(trainer.optimizers) == 3
    steps = only(play(trainer), StepFinished)
    for number, event in enumerate(steps):
        chosen = losses[number % 3]
        assert event.weights == {name: float(name == chosen) for name in losses}
        assert event.total == pytest.approx(event.losses[chosen])


def scripted(scores):
    remaining = iter(scores)
    return lambda network: {"score": next(remaining)}


def test_the_weights_of_the_largest_score_are_kept_as_the_best(
    tmp_path, trainer_in, settings, play, only
):
    trainer = trainer_in(tmp_path, settings(), scripted([0.2, 0.9, 0.5]))
    after = []
    for event in trainer.run():
        if isinstance(event, EpochFinished):
            after.append({n: t.clone() for n, t in trainer.network.state_dict().items()})
            finished = event
    best, last = load_file(tmp_path / "best.safetensors"), load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(best[name], after[1][name]) for name in best)
    assert all(torch.equal(last[name], after[2][name]) for name in last)
    assert not all(torch.equal(best[name], last[name]) for name in best)
    assert not finished.best
    assert read_card(tmp_path / "best.safetensors").measures == {"score": 0.9}
    assert read_card(tmp_path / "last.safetensors").measures == {"score": 0.5}


def test_without_validation_the_latest_are_the_best(tmp_path, trainer_in, settings, play):
    events = play(trainer_in(tmp_path, settings()))
    assert events[-1].best_epoch == 3
    best, last = (load_file(tmp_path / f"{name}.safetensors") for name in ("best", "last"))
    assert all(torch.equal(best[name], last[name]) for name in best)


def test_a_trained_model_loads_from_its_run_folder(tmp_path, trainer_in, settings, play):
    trainer = trainer_in(tmp_path, settings())
    play(trainer)
    model = load_model(tmp_path)
    images = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        expected = trainer.network.eval()(images).region_logits
        torch.testing.assert_close(model.network(images).region_logits, expected)
    assert model.card.log_vars == trainer.weighting.log_vars()
    assert set(model.card.log_vars) == set(trainer.config.losses)


def test_a_running_average_is_what_is_validated_and_kept(tmp_path, trainer_in, settings, validate):
    seen = []

    def look(network):
        seen.append(network)
        assert not network.training
        return validate(network)

    trainer = trainer_in(tmp_path, settings(average_decay=0.9), look)
    list(trainer.run())
    assert all(network is trainer.average for network in seen)
    kept, running = load_file(tmp_path / "last.safetensors"), trainer.network.state_dict()
    average = trainer.average.state_dict()
    assert all(torch.equal(kept[name], average[name]) for name in kept)
    assert not torch.equal(average["region_head.weight"], running["region_head.weight"])


def test_a_stop_before_the_end_is_told_and_one_after_it_is_not(
    tmp_path, trainer_in, settings, play, only
):
    events = play(trainer_in(tmp_path / "early", settings()), stop_after=6)
    assert len(only(events, StepFinished)) == 6
    assert events[-1].stopped
    assert (tmp_path / "early" / "last.safetensors").is_file()
    events = play(trainer_in(tmp_path / "late", settings()), stop_after=12)
    assert not events[-1].stopped


@pytest.mark.parametrize(
    ("weight", "what"), [(3e38, "loss"), (1e30, "gradient")], ids=["loss", "gradient"]
)
def test_numbers_beyond_float32_end_the_training_before_the_weights_follow(
    tmp_path, trainer_in, settings, weight, what
):
    config = settings(
        weighting="fixed", losses=["segmentation"], loss_weights={"segmentation": weight}
    )
    trainer = trainer_in(tmp_path, config)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    with pytest.raises(NonFiniteLossError, match=rf"The {what} is no longer .* step 1 "):
        list(trainer.run())
    assert all(torch.equal(before[n], value) for n, value in trainer.network.named_parameters())
    assert issubclass(NonFiniteLossError, ArithmeticError)


def test_a_collapse_is_said_once(tmp_path, trainer_in, settings, play, only):
    def collapsed(network):
        return {"score": 0.1, "largest_region_share": 1.0}

    events = play(trainer_in(tmp_path, settings(), collapsed))
    (notice,) = only(events, TrainingNotice)
    assert "collapsed" in notice.text
    assert (tmp_path / "notices.txt").read_text(encoding="utf-8") == f"epoch 1: {notice.text}\n"
    sound = play(trainer_in(tmp_path, settings(), lambda network: {"largest_region_share": 0.6}))
    assert only(sound, TrainingNotice) == []


@pytest.mark.parametrize("losses", [("segmentation",), ("classification", "geometry")])
def test_some_of_the_losses_will_do(tmp_path, trainer_in, settings, play, only, losses):
    events = only(play(trainer_in(tmp_path, settings(losses=losses, epochs=1))), StepFinished)
    assert all(tuple(event.losses) == losses == tuple(event.weights) for event in events)


def test_bfloat16_trains_too(tmp_path, trainer_in, settings, play, only):
    events = only(play(trainer_in(tmp_path, settings(precision="bfloat16"))), StepFinished)
    plain = only(play(trainer_in(tmp_path, settings())), StepFinished)
    assert np.isfinite([event.total for event in events]).all()
    assert events[0].total == pytest.approx(plain[0].total, rel=0.05)
    assert events[0].total != plain[0].total


def test_a_new_run_in_the_same_folder_starts_its_histories_afresh(
    tmp_path, trainer_in, settings, play
):
    play(trainer_in(tmp_path, settings()))
    play(trainer_in(tmp_path, settings(epochs=1)))
    with (tmp_path / "steps.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_validation_every_few_epochs_takes_the_first_and_the_last_in(
    tmp_path, trainer_in, settings, validate, play, only
):
    config = settings(epochs=6, validate_every=3)
    epochs = only(play(trainer_in(tmp_path, config, validate)), EpochFinished)
    assert [event.epoch for event in epochs if event.measures] == [1, 4, 6]
    assert all(event.measures for event in epochs if event.best)


def test_a_validation_cut_short_makes_no_weights_the_best(
    tmp_path, trainer_in, settings, play, only
):
    scores = iter([{"score": 0.5}, {}, {"score": 0.4}])
    trainer = trainer_in(tmp_path, settings(epochs=3), lambda network: next(scores))
    epochs = only(play(trainer), EpochFinished)
    assert [event.best for event in epochs] == [True, False, False]


def test_memory_that_runs_out_is_said_with_what_to_do(tmp_path, trainer_in, settings, monkeypatch):
    trainer = trainer_in(tmp_path, settings(devices=2))
    events = trainer.run()
    for _ in range(7):
        next(events)

    def full(_images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(trainer, "forward", full)
    with pytest.raises(
        InvalidInputError,
        match=r"ran out at step 7, with 4 patches of 32 px on 2 .* after step 4 is kept .*fewer",
    ):
        list(events)
