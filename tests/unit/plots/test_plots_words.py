"""Claims about the words: they say what the numbers say, and no more."""

from __future__ import annotations

import csv
import math

import pytest

from napari_gland_mtl.plots import FigureOptions, in_short, in_words
from napari_gland_mtl.plots.curves import panel_curves

from .conftest import NAMES


def rewrite(writer, **columns):
    """Replace columns of the last row of steps.csv."""
    path = writer.folder / "steps.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    rows[-1].update({name: str(value) for name, value in columns.items()})
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return writer.history()


def with_log_vars(writer, *values, **columns):
    weights = {f"weight_{n}": math.exp(-v) for n, v in zip(NAMES, values, strict=True)}
    log_vars = {f"log_var_{n}": v for n, v in zip(NAMES, values, strict=True)}
    return rewrite(writer, **log_vars, **weights, **columns)


def test_the_most_uncertain_loss_is_named_with_its_share(new_run):
    run = with_log_vars(new_run().train(3), 0.0, 0.0, 2.0, -1.0)
    text = in_words(run)
    weights = [1.0, 1.0, math.exp(-2), math.e]
    share = 100 * weights[2] / sum(weights)
    assert f"Topology is at present the most uncertain loss: its weight is {share:.0f} %" in text
    assert f"Geometry is the most certain and has {100 * math.e / sum(weights):.0f} %." in text
    assert in_short(run) in text
    assert in_short(run).count(".") == 1


def test_a_total_below_zero_is_explained_and_one_above_is_not(new_run):
    writer = new_run().train(3)
    assert "below zero (\N{MINUS SIGN}1.25): that is normal, because" in in_words(
        rewrite(writer, total=-1.25)
    )
    assert "below zero" not in in_words(rewrite(writer, total=1.25))


@pytest.mark.parametrize("options", [FigureOptions(smoothing=3), FigureOptions(x="epoch")])
def test_the_total_is_the_one_that_the_figure_ends_with(new_run, options):
    run = rewrite(new_run().train(15), total=-100.0)
    (curve,) = panel_curves(run, "total", options)
    said = f"below zero (\N{MINUS SIGN}{-curve.y[-1]:.2f})"
    assert (said in in_words(run, options)) == (curve.y[-1] < 0)
    assert ("below zero" in in_words(run, options)) == (options.smoothing == 3)


def test_where_weights_are_not_known_nothing_is_said_of_the_total(new_run):
    writer = new_run().train(15)
    path = writer.folder / "epochs.csv"
    path.write_text(path.read_text().replace("weight_", "other_"))
    assert "below zero" not in in_words(writer.history(), FigureOptions(x="epoch"))


def test_before_the_first_epoch_nothing_is_said_of_its_total(new_run):
    run = rewrite(new_run().train(3), total=-1.25)
    assert "below zero" not in in_words(run, FigureOptions(x="epoch"))


def test_during_the_warm_up_nobody_is_called_uncertain(new_run):
    writer = new_run(log_var_warmup_steps=1400).train(3)
    text = in_words(with_log_vars(writer, 0, 0, 0, 0))
    assert "for the first 1,400 steps every log σ² is held at 0" in text
    assert "uncertain" not in text


def test_weights_that_hardly_differ_are_called_equal(new_run):
    text = in_words(with_log_vars(new_run().train(3), -0.3, -0.31, -0.3, -0.3))
    assert "about equally uncertain" in text
    assert "25 %" in text


def test_a_weight_at_its_bound_is_said(new_run):
    writer = new_run(log_var_min=-1.5, log_var_max=3.0).train(3)
    text = in_words(with_log_vars(writer, -1.5, 0.0, 3.0, -1.5))
    assert "Classification and geometry stand at the largest weight that is allowed, 4.48." in text
    assert "Topology stands at the smallest weight that is allowed, 0.0498." in text
    assert "allowed" not in in_words(with_log_vars(writer, -1.4, 0.0, 2.0, -1.4))


@pytest.mark.parametrize(
    ("weighting", "said"),
    [
        ("fixed", "fixed numbers"),
        ("equal", "count alike"),
        ("convex", "share a weight of 1"),
        ("convex_trained", "is learned"),
        ("alternating", "in its turn"),
        ("something new", "not learned from uncertainty"),
    ],
)
def test_other_weightings_are_said_to_have_no_log_var(new_run, weighting, said):
    text = in_words(new_run(learned=False, weighting=weighting).train(3).history())
    assert said in text
    assert "there is no log σ² to show" in text
    assert ("Topology 25 %" in text) == (weighting not in ("equal", "alternating"))
    assert said in in_short(new_run("b", learned=False, weighting=weighting).train(1).history())


def test_weights_that_are_all_the_same_are_said_to_be(new_run):
    writer = new_run(learned=False, weighting="equal").train(3)
    assert "All four weights are the same: their lines lie" in in_words(writer.history())
    # Of one step only they differ: the lines do not lie on one another.
    assert "the same" not in in_words(rewrite(writer, weight_topology=0.3))
    two = new_run("two", names=NAMES[:2], learned=False, weighting="fixed").train(3).history()
    assert "Both weights are the same" in in_words(two)


def test_one_loss_alone_decides_nothing(new_run):
    text = in_words(new_run(names=("topology",)).train(3).history())
    assert "one loss alone" in text


def test_before_the_first_step_it_says_so(new_run):
    assert "No step is done yet" in in_words(new_run().history())


def test_the_best_score_and_the_latest_are_told_apart(new_run):
    writer = new_run().train(20)
    assert "best validation score so far is 0.640, of epoch 4, the latest" in in_words(
        writer.history()
    )
    path = writer.folder / "epochs.csv"
    path.write_text(path.read_text().replace("0.64", "0.11"))
    text = in_words(writer.history())
    assert "0.630, of epoch 3; the latest, of epoch 4, is 0.110" in text
