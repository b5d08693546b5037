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
from napari_gland_mtl.plots.image_ranking import compared, times
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


def test_the_most_uncertain_come_first_with_the_loss_in_which_they_stand_out(image_run):
    ranking = ranking_of(read(image_run().folder))
    assert ranking.names[:3] == ("image 7", "image 3", "image 20")
    assert ranking.leading[:2] == ("classification", "topology")
    # The median of 0.01 * i over 21 images is that of image 10, or of its neighbour above where
    # an outlier has passed it.
    assert ranking.ratios[0] == pytest.approx(np.exp(0.07 + 2.5 - 0.11))
    assert ranking.ratios[1] == pytest.approx(np.exp(0.03 + 1.5 - 0.11))
    assert ranking.words(0) == "12x the usual uncertainty (classification): check its class"
    assert ranking.words(1) == "4.1x the usual uncertainty (topology): look at its annotation"
    assert ranking.short(1) == "4.1x usual (topology)"
    assert ranking.words(2) == "about as usual"
    assert ranking.standing_out == 2


def test_without_outliers_none_stands_out(image_run):
    """The control of the test above."""
    ranking = ranking_of(read(image_run(outliers={}).folder))
    assert ranking.names[0] == "image 20"
    assert ranking.standing_out == 0
    assert set(ranking.words(place) for place in range(21)) == {"about as usual"}


def test_one_loss_may_be_chosen(image_run):
    run = read(image_run().folder)
    ranking = ranking_of(run, ("topology",))
    assert ranking.names[:2] == ("image 3", "image 20")
    assert ranking.words(0) == "4.1x the usual uncertainty: look at its annotation"
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


def test_without_learned_uncertainty_images_are_sorted_by_their_loss(image_run):
    run = read(image_run(learned=False).folder)
    ranking = ranking_of(run)
    assert ranking.names[:2] == ("image 7", "image 3")
    assert ranking.words(0) == "12x the usual loss (classification): check its class"
    text = images_in_words(run, ranking)
    assert text.startswith("2 of 21 images have 3 times the usual loss or more")
    assert "no uncertainty of each image was learned here: all losses count alike" in text
    assert "“Learned uncertainty per image”" in text


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


def test_in_the_warm_up_the_loss_decides_and_the_words_say_so(new_run, add_images):
    write_images, _ = add_images
    writer = new_run(weighting="instance").train(5)
    rows = [(1, f"image {i}", {"topology": 1 + i}, dict.fromkeys(NAMES, 0.0)) for i in range(5)]
    write_images(writer.folder, rows)
    run = read(writer.folder)
    ranking = ranking_of(run)
    assert ranking.names[0] == "image 4"
    assert "equally uncertain so far" in images_in_words(run, ranking)


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
    ("ratio", "learned", "loss", "several", "expected"),
    [
        (4.12, True, "topology", False, "4.1x the usual uncertainty: look at its annotation"),
        (3.0, False, "classification", False, "3.0x the usual loss: check its class"),
        (2.0, True, "geometry", True, "2.0x the usual uncertainty (geometry)"),
        (0.4, False, "geometry", False, "0.4x the usual loss"),
        (1.2, True, "topology", True, "about as usual"),
        (5e6, True, "topology", False, ">999x the usual uncertainty: look at its annotation"),
        (float("nan"), True, "", True, "not known"),
    ],
)  # fmt: skip
def test_words(ratio, learned, loss, several, expected):
    assert compared(ratio, learned, loss, several) == expected


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
    table.band("topology")
    # Some 0.07 s on one core; the bound is for a machine that is busy with other things.
    assert time.perf_counter() - began < 1.0
