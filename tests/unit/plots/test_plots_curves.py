"""Claims about the lines: each is what its panel says, and the cursor reads what is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.plots import FigureOptions, loss_title
from napari_gland_mtl.plots.curves import has_panel, panel_curves
from napari_gland_mtl.plots.options import PANELS
from napari_gland_mtl.plots.reading import LOSS_PANELS, read_at

from .conftest import NAMES, PER_EPOCH, epoch_row, step_row

PLAIN = FigureOptions(smoothing=1)
EPOCHS = FigureOptions(x="epoch")


def by_key(run, panel, options=PLAIN):
    return {curve.key: curve for curve in panel_curves(run, panel, options)}


def literal(panel, row, name):
    """What a panel shows of a row, written out."""
    loss, weight, log_var = (row[f"{kind}_{name}"] for kind in ("loss", "weight", "log_var"))
    return {
        "losses": loss,
        "weighted": weight * loss,
        "log_var": log_var,
        "sigma": math.sqrt(math.exp(log_var)),
        "weights": math.exp(-log_var),
        "shares": 100 * weight / sum(row[f"weight_{other}"] for other in NAMES),
    }[panel]


@pytest.mark.parametrize("panel", LOSS_PANELS)
def test_each_panel_shows_what_it_says(run, panel):
    curves = by_key(run, panel)
    assert list(curves) == list(NAMES)
    for name, curve in curves.items():
        assert curve.x.tolist() == list(range(1, 21))
        expected = [literal(panel, step_row(step), name) for step in range(1, 21)]
        np.testing.assert_allclose(curve.y, expected, rtol=1e-12)
        assert curve.title == loss_title(name)


@pytest.mark.parametrize("panel", LOSS_PANELS)
def test_by_epoch_there_is_one_point_per_epoch(run, panel):
    for name, curve in by_key(run, panel, EPOCHS).items():
        expected = [literal(panel, epoch_row(epoch), name) for epoch in range(1, 5)]
        np.testing.assert_allclose(curve.y, expected, rtol=1e-12)
        assert curve.raw is None


def test_the_total_of_an_epoch_is_that_of_its_mean_losses(run):
    row = epoch_row(3)
    expected = sum(row[f"weight_{n}"] * row[f"loss_{n}"] + row[f"log_var_{n}"] for n in NAMES)
    assert by_key(run, "total", EPOCHS)["total"].y[2] == pytest.approx(expected)
    assert by_key(run, "total")["total"].y[2] == pytest.approx(step_row(3)["total"])


def test_losses_are_smoothed_and_what_was_learned_is_not(run):
    smooth = FigureOptions(smoothing=4)
    for panel in LOSS_PANELS:
        curve, plain = by_key(run, panel, smooth)["topology"], by_key(run, panel)["topology"]
        if panel in ("losses", "weighted"):
            assert curve.y[-1] == pytest.approx(np.mean(plain.y[-4:]))
            assert curve.raw is not None
            assert curve.raw.tolist() == plain.y.tolist()
        else:
            assert curve.y.tolist() == plain.y.tolist()


def test_measures_stand_at_the_end_of_their_epoch(run):
    assert by_key(run, "measures")["object_dice"].x.tolist() == [5, 10, 15, 20]
    assert by_key(run, "measures", EPOCHS)["score"].x.tolist() == [1, 2, 3, 4]
    assert by_key(run, "measures")["score"].y == pytest.approx([0.61, 0.62, 0.63, 0.64])
    assert by_key(run, "distance") == {}


def test_one_loss_in_turn_counts_as_the_mean_over_a_turn(new_run):
    run = new_run(learned=False, weighting="alternating").train(20).history()
    turns = np.array([[float(step % 4 == place) for step in range(20)] for place in range(4)])
    columns = {f"weight_{name}": turns[place] for place, name in enumerate(NAMES)}
    run._steps._columns = {**run.steps, **columns}
    shares = by_key(run, "shares")
    assert [curve.y[-1] for curve in shares.values()] == pytest.approx([25] * 4)


def test_fixed_weights_have_no_log_var(new_run):
    run = new_run(learned=False).train(5).history()
    found = {panel for panel in PANELS if panel_curves(run, panel, PLAIN)}
    assert found == {"losses", "weighted", "total", "weights", "shares", "measures"}


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("steps", [0, 3, 10])
@pytest.mark.parametrize("options", [PLAIN, EPOCHS])
def test_the_glance_at_the_columns_agrees_with_the_curves(new_run, learned, steps, options):
    run = new_run(learned=learned).train(steps).history()
    for panel in PANELS:
        assert has_panel(run, panel, options) == bool(panel_curves(run, panel, options))


@pytest.mark.parametrize("options", [PLAIN, FigureOptions(smoothing=7), EPOCHS])
@pytest.mark.parametrize("x", [1, 3.7, 4, 12.2, 20, 1e9])
def test_the_cursor_reads_what_is_drawn(run, options, x):
    reading = read_at(run, x, options)
    for panel in LOSS_PANELS:
        for name, curve in by_key(run, panel, options).items():
            assert reading.losses[name][panel] == pytest.approx(curve.at(x), rel=1e-9)
    assert reading.total == pytest.approx(by_key(run, "total", options)["total"].at(x))
    assert reading.x == min(math.floor(x), 20 if options.x == "step" else 4)


def test_the_cursor_reads_the_last_measures_before_it(run):
    assert read_at(run, PER_EPOCH - 1, PLAIN).measures == {}
    reading = read_at(run, 2 * PER_EPOCH + 1, PLAIN)
    assert reading.measured == 2
    assert reading.measures == pytest.approx({"Score": 0.62, "Object Dice": 0.52})


def test_a_table_without_losses_has_measures_to_read(run):
    """The histories of other programs may hold no more."""
    run._epochs._columns = {name: run.epochs[name] for name in ("epoch", "score")}
    reading = read_at(run, 3, EPOCHS)
    assert reading.measures == pytest.approx({"Score": 0.63})
    assert math.isnan(reading.total)
    assert panel_curves(run, "total", EPOCHS) == []


def test_before_the_first_step_there_is_nothing_to_read(run, new_run):
    assert read_at(run, 0.5, PLAIN) is None
    assert read_at(new_run("empty").history(), 5, PLAIN) is None


@pytest.mark.parametrize(
    "wrong", [{"panels": ("loses",)}, {"panels": ()}, {"x": "hour"}, {"smoothing": 0}]
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        FigureOptions(**wrong)
