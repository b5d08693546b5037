"""Claims about the numbers of training images: how they stand, their order, their words."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.plots import (
    LOSS_TITLES,
    ImageTable,
    RunHistory,
    images_in_words,
    rank,
    ranking_of,
    write_images_csv,
)
from napari_gland_mtl.plots.image_ranking import NOT_LEARNED, compared, deciding_losses, times
from napari_gland_mtl.storage.growing_names import NamedColumns

NAMES = tuple(LOSS_TITLES)


def read(folder):
    return RunHistory(folder, with_images=True).read()


def table_of(columns, names):
    return ImageTable(
        NamedColumns({key: np.asarray(v, float) for key, v in columns.items()}, names)
    )


def test_images_are_read_only_where_they_are_asked_for(image_run):
    folder = image_run().folder
    assert RunHistory(folder).read().images.names == ()
    history = read(folder)
    assert len(history.images.names) == 21
    assert len(history.images.columns["epoch"]) == 84


def test_an_image_stands_as_the_mean_of_its_last_five_rows():
    """By hand: the last five known rows of each image; an empty cell is left out."""
    values = [1, 10, 2, 20, 3, np.nan, 4, 40, 5, 50, 6, 60, 7]
    columns = {"epoch": np.arange(13) // 2 + 1, "image": [0, 1] * 6 + [0], "topology": values}
    table = table_of(columns, ("a", "b", "never"))
    expected = [np.mean([3, 4, 5, 6, 7]), np.mean([20, 40, 50, 60]), np.nan]
    np.testing.assert_allclose(table.latest("topology"), expected)
    assert np.isnan(table.latest("no such column")).all()


def test_the_course_of_an_image_has_its_own_rows_alone():
    columns = {"epoch": [1, 1, 2, 3, 3], "image": [0, 1, 1, 0, 1], "topology": [5, 6, 7, np.nan, 9]}
    table = table_of(columns, ("a", "b"))
    x, y = table.course("b", "topology")
    assert (x.tolist(), y.tolist()) == ([1, 2, 3], [6, 7, 9])
    assert table.course("a", "topology")[1].tolist() == [5]
    assert table.course("c", "topology")[0].size == 0


def test_the_band_is_that_of_numpy():
    rng = np.random.default_rng(0)
    epoch = np.repeat(np.arange(1, 8), 30)
    values = rng.normal(size=len(epoch))
    values[rng.random(len(epoch)) < 0.3] = np.nan
    values[epoch == 4] = np.nan
    shuffled = rng.permutation(len(epoch))
    columns = {"epoch": epoch, "image": np.tile(np.arange(30), 7), "own": values}
    table = table_of({k: v[shuffled] for k, v in columns.items()}, tuple(map(str, range(30))))
    band = table.band("own")
    assert band.x.tolist() == [1, 2, 3, 5, 6, 7]
    for part, per_cent in (("low", 10), ("middle", 50), ("high", 90)):
        expected = [np.nanpercentile(values[epoch == e], per_cent) for e in band.x]
        np.testing.assert_allclose(getattr(band, part), expected)


@pytest.mark.parametrize("learned", [True, False])
def test_the_largest_losses_come_first_whatever_was_learned(image_run, learned):
    ranking = ranking_of(read(image_run(learned=learned).folder))
    assert ranking.by == "loss"
    assert ranking.names[:3] == ("image 7", "image 3", "image 20")
    assert ranking.leading[:2] == ("classification", "topology")
    # The median of 0.01 * i over 21 images is that of image 10, or of its neighbour above where
    # an outlier has passed it.
    assert ranking.ratios[0] == pytest.approx(np.exp(0.07 + 2.5 - 0.11))
    assert ranking.ratios[1] == pytest.approx(np.exp(0.03 + 1.5 - 0.11))
    assert ranking.words(0) == "12x the usual loss (classification): check its class"
    assert ranking.words(1) == "4.1x the usual loss (topology): look at its annotation"
    assert ranking.short(1) == "4.1x usual (topology)"
    assert ranking.words(2) == "about as usual"
    assert ranking.standing_out == 2
    first, *_ = ranking.values
    assert first == "classification"


def test_the_most_uncertain_come_first_where_that_is_asked_for(image_run):
    """Image 9 is uncertain though its loss is as usual, image 7 certain of its wrong class."""
    run = read(image_run().folder)
    ranking = ranking_of(run, by="uncertainty")
    assert ranking.names[:3] == ("image 9", "image 3", "image 20")
    assert ranking.leading[:2] == ("segmentation", "topology")
    assert ranking.ratios[0] == pytest.approx(np.exp(0.09 + 2.5 - 0.11))
    assert ranking.words(0) == "12x the usual uncertainty (segmentation): look at the image"
    assert ranking.words(ranking.names.index("image 7")) == "about as usual"
    first, *_ = ranking.values
    assert first == "log_var_classification"
    text = images_in_words(run, ranking)
    assert text.startswith("2 of 21 images have 3 times the usual uncertainty or more: they look")


def test_uncertainty_that_was_not_learned_cannot_be_ranked_by(image_run):
    run = read(image_run(learned=False).folder)
    with pytest.raises(InvalidInputError, match="ranked by loss") as error:
        ranking_of(run, by="uncertainty")
    assert str(error.value).startswith(NOT_LEARNED)
    assert "“Learned uncertainty per image”" in NOT_LEARNED
    with pytest.raises(InvalidInputError, match=r"'name'.* by loss or by uncertainty"):
        ranking_of(run, by="name")


@pytest.mark.parametrize("by", ["loss", "uncertainty"])
def test_geometry_decides_only_where_it_is_chosen(image_run, by):
    """How smooth a prediction is says little of its annotation."""
    smooth = {"image 5": {"geometry": 3.0}, "image 3": {"topology": 1.5}}
    run = read(image_run(outliers=smooth, uncertain=smooth).folder)
    ranking = ranking_of(run, by=by)
    assert ranking.names[:2] == ("image 3", "image 20")
    assert ranking.losses == NAMES
    assert {"geometry", "log_var_geometry"} < set(ranking.values)
    assert ranking_of(run, ("geometry",), by).names[0] == "image 5"
    assert ranking_of(run, NAMES, by).names[:2] == ("image 5", "image 3")


def test_where_there_is_geometry_alone_it_decides():
    assert deciding_losses(("geometry",)) == ("geometry",)
    assert deciding_losses(("segmentation", "geometry")) == ("segmentation",)


def test_without_outliers_none_stands_out(image_run):
    """The control of the tests above."""
    run = read(image_run(outliers={}, uncertain={}).folder)
    for ranking in (ranking_of(run), ranking_of(run, by="uncertainty")):
        assert ranking.names[0] == "image 20"
        assert ranking.standing_out == 0
        assert set(ranking.words(place) for place in range(21)) == {"about as usual"}


def test_one_loss_may_be_chosen(image_run):
    run = read(image_run().folder)
    ranking = ranking_of(run, ("topology",))
    assert ranking.names[:2] == ("image 3", "image 20")
    assert ranking.words(0) == "4.1x the usual loss: look at its annotation"
    assert set(ranking.values) == {"log_var_topology", "topology"}
    with pytest.raises(InvalidInputError, match="'shape' is no loss"):
        ranking_of(run, ("shape",))


def test_an_unknown_class_is_no_reason_to_stand_out(new_run, add_images):
    write_images, image_rows = add_images
    writer = new_run(weighting="instance").train(5)
    rows = [
        (epoch, name, {k: v for k, v in losses.items() if keep(name, k)},
         {k: v for k, v in log_vars.items() if keep(name, k)})
        for epoch, name, losses, log_vars in image_rows((1,))
    ]  # fmt: skip
    write_images(writer.folder, rows)
    ranking = ranking_of(read(writer.folder))
    assert len(ranking.names) == 21
    assert np.isnan(ranking.values["log_var_classification"]).sum() == 5
    alone = ranking_of(read(writer.folder), ("classification",))
    assert set(alone.names[-5:]) == {f"image {i}" for i in range(5)}
    assert alone.words(20) == "not known"


def keep(name, loss):
    return loss != "classification" or int(name.split()[1]) >= 5


@pytest.mark.parametrize(
    ("outliers", "expected"),
    [
        (None, "2 of 21 images have 3 times the usual loss or more: their annotations may"),
        ({"image 3": {"topology": 1.5}}, "1 of 21 images has 3 times the usual loss or more: its"),
        ({}, "None of 21 images has 3 times the usual loss or more."),
    ],
)
def test_how_many_stand_out_is_said(image_run, outliers, expected):
    run = read(image_run(learned=False, outliers=outliers).folder)
    assert images_in_words(run, ranking_of(run)).startswith(expected)


def test_a_loss_that_is_mostly_zero_does_not_make_each_image_stand_out():
    losses = np.zeros(20)
    losses[0], losses[1:5] = 4.0, 1e-6
    table = table_of(
        {"epoch": np.ones(20), "image": np.arange(20), "topology": losses},
        tuple(map(str, range(20))),
    )
    ranking = rank(table)
    assert ranking.names[0] == "0"
    assert ranking.standing_out == 1
    assert times(ranking.ratios[0]) == "200x"


@pytest.mark.parametrize(
    ("loss", "largest", "words"),
    [
        ("classification", 0.6, "2.6x the usual loss"),  # right rather than wrong
        ("classification", 0.8, "3.5x the usual loss: check its class"),
        ("segmentation", 0.6, "60x the usual loss: look at its annotation"),
    ],
)
def test_classes_known_by_heart_are_no_reason_for_a_look(loss, largest, words):
    losses = np.full(20, 0.01)
    losses[7] = largest
    columns = {"epoch": np.ones(20), "image": np.arange(20), loss: losses}
    ranking = rank(table_of(columns, tuple(map(str, range(20)))))
    assert ranking.names[0] == "7"
    assert ranking.words(0) == words


def test_in_the_warm_up_the_loss_decides_and_the_words_say_so(new_run, add_images):
    write_images, _ = add_images
    writer = new_run(weighting="instance").train(5)
    rows = [(1, f"image {i}", {"topology": 1 + i}, dict.fromkeys(NAMES, 0.0)) for i in range(5)]
    write_images(writer.folder, rows)
    run = read(writer.folder)
    ranking = ranking_of(run, by="uncertainty")
    assert ranking.names[0] == "image 4"
    assert "equally uncertain so far" in images_in_words(run, ranking)
    assert "so far" not in images_in_words(run, ranking_of(run))


def test_nothing_to_show_is_said(new_run):
    early, old = new_run("early", weighting="instance").train(2), new_run("old").train(20)
    words = [
        images_in_words(read(w.folder), rank(ImageTable(NamedColumns()))) for w in (early, old)
    ]
    assert "after the first epoch" in words[0]
    assert "kept no numbers of its images" in words[1]
    with pytest.raises(InvalidInputError, match="no numbers of its images"):
        ranking_of(read(old.folder))


@pytest.mark.parametrize(
    ("ratio", "by", "loss", "several", "expected"),
    [
        (4.12, "loss", "topology", False, "4.1x the usual loss: look at its annotation"),
        (3.0, "loss", "classification", False, "3.0x the usual loss: check its class"),
        (4.0, "uncertainty", "topology", False, "4.0x the usual uncertainty: look at the image"),
        (2.0, "uncertainty", "geometry", True, "2.0x the usual uncertainty (geometry)"),
        (0.4, "loss", "geometry", False, "0.4x the usual loss"),
        (1.2, "uncertainty", "topology", True, "about as usual"),
        (5e6, "loss", "topology", False, ">999x the usual loss: look at its annotation"),
        (float("nan"), "loss", "", True, "not known"),
    ],
)  # fmt: skip
def test_words(ratio, by, loss, several, expected):
    assert compared(ratio, by, loss, several) == expected


def test_the_table_is_written_with_all_its_numbers(image_run, tmp_path):
    ranking = ranking_of(read(image_run().folder))
    path = write_images_csv(ranking, tmp_path / "table.csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["image"] for row in rows] == list(ranking.names)
    assert float(rows[1]["log_var_topology"]) == pytest.approx(1.53)
    assert float(rows[1]["topology"]) == pytest.approx(np.exp(1.53))
    assert rows[0]["leading_loss"] == "classification"


def test_a_thousand_images_over_two_hundred_epochs_take_a_moment():
    rng = np.random.default_rng(0)
    count, epochs = 1000, 200
    columns = {"epoch": np.repeat(np.arange(1, epochs + 1), count)}
    columns["image"] = np.concatenate([rng.permutation(count) for _ in range(epochs)])
    for name in NAMES:
        columns |= {name: rng.random(count * epochs), f"log_var_{name}": rng.random(count * epochs)}
    began = time.perf_counter()
    table = table_of(columns, tuple(map(str, range(count))))
    rank(table)
    rank(table, by="uncertainty")
    table.band("topology")
    # Some 0.07 s on one core; the bound is for a machine that is busy with other things.
    assert time.perf_counter() - began < 1.0
