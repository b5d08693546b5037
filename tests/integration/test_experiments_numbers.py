"""What the experiments' tables are computed from: names of runs, spreads, areas under curves."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import _detection
import _figures
import _runs
import _settings
import _step_cost
import _tables
import table1
import tradeoff
from _run import Run

from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.datasets.dataset import Record
from napari_gland_mtl.errors import InvalidInputError, NonFiniteLossError
from napari_gland_mtl.training.config import TrainingConfig

REDUCED = {**_settings.REDUCED, "precision": "float32"}


def a_run(seed=0, images="images", labels="clean", part="validation", measuring=None, **changes):
    settings = {**REDUCED, **table1.learned("cs"), **changes}
    return Run(settings, seed, images, measuring or _settings.MEASURING["reduced"], part, labels)


def test_a_run_has_another_name_for_all_that_decides_its_result():
    others = [
        a_run(seed=1),
        a_run(images="others"),
        a_run(labels="flipped"),
        a_run(measuring=_settings.MEASURING["full"]),
        a_run(learning_rate=1e-3),
        a_run(augmentation={**_settings.AUGMENTATION, "stain": 0.3}),
        a_run(losses=["classification", "topology"]),
    ]
    assert len({run.name for run in [a_run(), *others]}) == len(others) + 1
    assert a_run().name == a_run().name


def test_names_do_not_hang_on_how_settings_are_written_down():
    turned = dict(reversed(list(a_run().settings.items())))
    again = Run(turned, 0, "images", _settings.MEASURING["reduced"])
    assert again.name == a_run().name


def test_runs_of_the_first_experiments_keep_their_names():
    # Who changes this does all runs again that anybody has done.
    assert a_run().key == "4087970f64"


@pytest.mark.parametrize("name", ["FULL", "REDUCED"])
def test_settings_leave_nothing_to_defaults_that_may_change(name):
    given = getattr(_settings, name)
    given_later = {"precision", "losses", "weighting", "seed"}  # by probe, row and command line
    only_for_their_weighting = {"loss_weights", "convex_share"}
    not_used = {"momentum", "validate_every", "keep", "freeze_encoder", "freeze_statistics"}
    where = {"device", "devices"}
    known = given.keys() | _settings.SINCE.keys() | given_later
    left = TrainingConfig.model_fields.keys() - known - only_for_their_weighting - not_used - where
    assert not left
    TrainingConfig.model_validate({**given, **table1.learned("cstg")})


def test_table1_has_the_papers_eleven_rows():
    assert len(table1.ROWS) == 11
    assert table1.ROWS.keys() == table1.PAPER.keys()
    for _, changes in table1.ROWS.values():
        TrainingConfig.model_validate({**REDUCED, **changes})


def test_lambda_means_what_the_curves_label_says():
    pair, three = tradeoff.CURVES
    assert pair.changes(0.3) == {
        "losses": ["classification", "segmentation"],
        "weighting": "convex",
        "convex_share": 0.7,  # of the first loss, L_c
    }
    assert three.changes(0.1)["loss_weights"] == {
        "segmentation": 1.0,
        "topology": 0.1,
        "geometry": 0.9,
    }
    assert pair.share({"classification": 1.0, "segmentation": 3.0}) == 0.75
    assert three.share({"segmentation": 5.0, "topology": 1.0, "geometry": 3.0}) == 0.25


def test_mean_and_spread_are_those_over_the_seeds():
    values = [0.7, 0.8, 0.95]
    middle, deviation = _tables.spread(values)
    assert middle == pytest.approx(np.mean(values))
    assert deviation == pytest.approx(np.std(values, ddof=1))
    assert _tables.spread([0.5]) == (0.5, None)
    assert _tables.cell([], 2) == "-"
    assert _tables.cell([0.5], 2) == "0.50"


def test_area_under_the_curve_is_the_chance_of_a_right_order():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, 40).astype(float)  # with ties
    flags = rng.random(40) < 0.3
    pairs = list(itertools.product(values[flags], values[~flags]))
    oracle = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs])
    assert _detection.roc_auc(values, flags) == pytest.approx(oracle)
    assert _detection.roc_auc([1.0, 2.0], [True, True]) is None


def test_noisy_images_are_looked_for_in_the_last_row_of_each(tmp_path):
    path = tmp_path / "images.csv"
    path.write_text(
        "epoch,image,patches,classification,segmentation,log_var_segmentation\n"
        "1,a,2,0.1,9.0,3.0\n"
        "1,b,1,0.1,1.0,0.0\n"
        "2,a,2,,0.5,0.1\n"
        "2,c,1,0.3,0.7,0.2\n"
    )
    found = _detection.found_out(path, ["classification", "segmentation"], {"b"})
    # Of b against a and c: the largest loss, the smallest uncertainty; no class known of a.
    assert found == {
        "segmentation": 1.0,
        "log_var_segmentation": 0.0,
        "classification": 0.0,
        "loss_sum": 1.0,
    }
    assert _detection.found_out(tmp_path / "none.csv", ["segmentation"], {"b"}) == {}


class TwoSides:
    """Images that note down when they are read."""

    def __init__(self, noted):
        def reader(name):
            return lambda: noted.append(name)

        records = [Record(name, 0, "1", 1.0, reader(name)) for name in ("here", "there")]
        self.sides = tuple(Dataset((record,), ("benign", "malignant")) for record in records)

    def divided(self, part):
        return self.sides


def test_reading_the_images_is_no_part_of_a_runs_time(tmp_path, monkeypatch):
    noted = []

    def timed(*_given):
        noted.append("timed")
        raise NonFiniteLossError("a loss is nan")

    monkeypatch.setattr(_runs, "_trained", timed)
    place = _runs.Place(TwoSides(noted), tmp_path, "cpu")
    assert _runs.do(place, a_run(), say=lambda _text: None)
    assert noted == ["here", "there", "timed"]
    result = place.result(a_run())
    assert result["failed"] == "a loss is nan"
    row = _tables.Row("row", "row", [a_run()])
    assert row.values(place, _tables.MEASURES[0]) == []
    assert "1 runs ended" in _tables.footer(place, [row], "command", "Reduced setting")


def test_the_figure_has_a_legend_though_the_first_row_is_empty(tmp_path):
    rows = [_tables.Row("s", "L_s", [])]
    place = _runs.Place(TwoSides([]), tmp_path, "cpu")
    _figures.draw_rows(tmp_path / "a.svg", "title", rows, place, {"s": {"pixel_accuracy": 0.8}})
    words = (tmp_path / "a.svg").read_text()
    assert "<!-- here -->" in words
    assert "<!-- paper -->" in words


def test_cost_of_a_step_is_told_from_other_work_on_the_machine(tmp_path, monkeypatch):
    seconds = {"equal": 0.1, "uncertainty": 0.1, "instance": 0.25}
    begun = []

    def steps(_place, run, _folder):
        weighting = run.settings["weighting"]
        begun.append(weighting)
        if weighting == "upgrad":
            raise InvalidInputError("not here")
        load = np.random.default_rng(0)  # twentyfold, as others come and go
        yield 9.0  # the first step prepares
        while True:
            factor = load.uniform(1, 20)
            yield from [factor * seconds[weighting]] * _step_cost.BLOCK

    monkeypatch.setattr(_step_cost, "_steps", steps)
    place = _runs.Place(TwoSides([]), tmp_path, "cpu")
    names = (*seconds, "upgrad")
    runs = {name: a_run(weighting=name) for name in names}
    assert _step_cost.step_costs(place, runs, measure=False) == {}
    found = _step_cost.step_costs(place, runs)
    assert found == pytest.approx({"equal": 1.0, "uncertainty": 1.0, "instance": 2.5})
    begun.clear()
    assert _step_cost.step_costs(place, {name: runs[name] for name in seconds}) == found
    assert not begun, "what is known was measured again"
