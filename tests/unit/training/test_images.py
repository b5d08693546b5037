"""Claims about ``images.csv``: what is known of each training image, epoch by epoch."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace

import pytest
import torch

from napari_gland_mtl.checkpoint import load_model
from napari_gland_mtl.datasets.dataset import UNKNOWN_CLASS
from napari_gland_mtl.datasets.patches import PatchSource
from napari_gland_mtl.losses import LOSS_NAMES
from napari_gland_mtl.losses.terms import ImageNumbers
from napari_gland_mtl.network import add_uncertainty
from napari_gland_mtl.training.image_table import add_patches, as_matrix, image_rows

MPP = 1.24


def rows_of(folder):
    with (folder / "images.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def drawn(source, settings, epoch):
    """Number of the image of each patch of an epoch."""
    size = settings.augmentation.window(settings.patch_size)
    steps = range((epoch - 1) * settings.steps_per_epoch, epoch * settings.steps_per_epoch)
    batches = [source.draw(settings.batch_size, size, settings.seed, step) for step in steps]
    return [number for batch in batches for number in batch.samples.tolist()]


@pytest.mark.parametrize("weighting", ["instance_pixel", "equal", "alternating"])
def test_every_image_that_was_seen_has_a_row_per_epoch(
    tmp_path, trainer_in, settings, source, play, weighting
):
    config = settings(weighting=weighting)
    play(trainer_in(tmp_path, config))
    rows = rows_of(tmp_path)
    said = LOSS_NAMES if weighting == "instance_pixel" else ()
    columns = ["epoch", "image", "patches", *LOSS_NAMES, *(f"log_var_{name}" for name in said)]
    assert list(rows[0]) == columns
    expected = {
        (str(epoch), source.own_names[number]): count
        for epoch in (1, 2, 3)
        for number, count in Counter(drawn(source, config, epoch)).items()
    }
    assert {(row["epoch"], row["image"]): int(row["patches"]) for row in rows} == expected
    assert len(rows) == len(expected)


def test_the_loss_of_an_image_is_that_of_its_patches(tmp_path, trainer_in, settings, play):
    """With one patch per step, the rows are sums over the steps."""
    config = settings(batch_size=1, patches_per_epoch=9, epochs=1, weighting="instance")
    config = config.model_copy(update={"log_var_warmup_steps": 4})
    trainer, seen = trainer_in(tmp_path, config), []
    really = trainer._losses

    def watched(batch):
        losses = really(batch)
        count = int((batch.labels > 0).sum())
        means = {name: value.item() for name, value in losses.means.items()}
        seen.append((int(batch.samples), count, means, trainer.weighting.image_numbers(losses)))
        return losses

    trainer.passes.losses_of = watched
    play(trainer)
    for row in rows_of(tmp_path):
        number = trainer.source.own_names.index(row["image"])
        mine = [entry for entry in seen if entry[0] == number]
        for place, name in enumerate(LOSS_NAMES):
            counts = [1 if name == "classification" else entry[1] for entry in mine]
            values = [entry[2][name] for entry in mine]
            log_vars = [float(entry[3].log_vars[0, place]) for entry in mine]
            for column, found in ((name, values), (f"log_var_{name}", log_vars)):
                mean = sum(c * v for c, v in zip(counts, found, strict=True)) / sum(counts)
                assert float(row[column]) == pytest.approx(mean, rel=1e-5, abs=1e-7)
    assert any(float(row["log_var_topology"]) != 0 for row in rows_of(tmp_path))


def test_what_is_not_known_of_an_image_stays_empty(tmp_path, trainer_in, settings, samples, play):
    """No class: no classification. Images of a replay have no rows."""

    def unknown(number):
        return replace(samples[number], class_index=UNKNOWN_CLASS if number == 1 else 0)

    mixed = PatchSource([unknown(0), unknown(1)], MPP, replay=[samples[2]], replay_share=0.5)
    trainer = replace(trainer_in(tmp_path, settings(weighting="instance")), source=mixed)
    play(trainer)
    rows = rows_of(tmp_path)
    assert {row["image"] for row in rows} == {"field 0", "field 1"}
    for row in rows:
        empty = row["image"] == "field 1"
        assert (row["classification"] == "") == empty
        assert (row["log_var_classification"] == "") == empty
        assert row["segmentation"] != ""


def test_sums_and_rows_by_hand():
    images = {}
    numbers = ImageNumbers(
        torch.tensor([[1.0, 30.0], [0.0, 8.0]]),
        torch.tensor([[1, 10], [0, 4]]),
        torch.tensor([[0.5, 0.2], [9.0, -1.0]]),
    )
    add_patches(images, as_matrix(torch.tensor([3, 0]), numbers))
    add_patches(images, as_matrix(torch.tensor([3, 9]), numbers))
    rows = image_rows(images, 7, ["a", "b", "c", "d"], ["x", "y"])
    assert rows == [
        {"epoch": 7, "image": "a", "patches": 1, "x": "", "y": 2.0}
        | {"log_var_x": "", "log_var_y": pytest.approx(-1.0)},
        {"epoch": 7, "image": "d", "patches": 2, "x": 1.0, "y": 3.0}
        | {"log_var_x": 0.5, "log_var_y": pytest.approx(0.2)},
    ]


def test_names_may_hold_anything(tmp_path, trainer_in, settings, samples, play):
    names = ["a, b", 'say "c"', "Drüse", "d"]
    odd = PatchSource([replace(s, name=n) for s, n in zip(samples, names, strict=True)], MPP)
    play(replace(trainer_in(tmp_path, settings()), source=odd), stop_after=6)
    again = replace(trainer_in(tmp_path, settings()), source=odd)
    again.resume()
    play(again)
    assert {row["image"] for row in rows_of(tmp_path)} <= set(names)
    assert {row["epoch"] for row in rows_of(tmp_path)} == {"1", "2", "3"}


def test_the_saved_model_keeps_its_heads_and_a_fine_tuning_goes_on_with_them(
    tmp_path, trainer_in, settings, play
):
    trainer = trainer_in(tmp_path / "first", settings(weighting="instance"))
    play(trainer)
    model = load_model(tmp_path / "first")
    learned = model.network.uncertainty_head.weight.detach().clone()
    assert model.card.network["uncertainty"] == list(LOSS_NAMES)
    assert learned.abs().max() > 1e-4
    (tmp_path / "second").mkdir()
    config = settings(weighting="instance_pixel", log_var_warmup_steps=0)
    onward = replace(trainer, network=model.network, config=config, folder=tmp_path / "second")
    assert torch.equal(onward.network.uncertainty_head.weight, learned)
    assert not onward.network.pixel_uncertainty_head.weight.any()


@pytest.mark.parametrize("weighting", ["uncertainty", "instance"])
def test_heads_that_nobody_asks_for_stay_as_they_are(
    tmp_path, trainer_in, settings, play, weighting
):
    """A start model may predict more than the weighting of its fine-tuning wants to know."""
    trainer = trainer_in(tmp_path, settings(weighting=weighting, log_var_warmup_steps=0))
    add_uncertainty(trainer.network, LOSS_NAMES, pixels=True)
    trainer = replace(trainer)
    torch.nn.init.normal_(trainer.network.uncertainty_head.weight)
    torch.nn.init.normal_(trainer.network.pixel_uncertainty_head.weight)
    before = [value.detach().clone() for value in heads_of(trainer)]
    play(trainer)
    same = [torch.equal(*pair) for pair in zip(before, heads_of(trainer), strict=True)]
    assert same == [weighting == "uncertainty", True]


def heads_of(trainer):
    network = trainer.network
    return [network.uncertainty_head.weight, network.pixel_uncertainty_head.weight]


def test_during_the_warm_up_it_is_the_training_with_an_uncertainty_per_loss(
    tmp_path, trainer_in, settings, play
):
    weights = {}
    for weighting, warmup in (("uncertainty", 99), ("instance_pixel", 99), ("instance", 0)):
        trainer = trainer_in(
            tmp_path / f"{weighting}{warmup}",
            settings(weighting=weighting, log_var_warmup_steps=warmup),
        )
        play(trainer)
        weights[weighting] = trainer.network.region_head.weight.detach()
    close = {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(weights["instance_pixel"], weights["uncertainty"], **close)
    assert not torch.allclose(weights["instance"], weights["uncertainty"], **close)  # control
