"""What the experiments' tables are computed from: names of runs, spreads, areas under curves."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import _changes
import _detection
import _figures
import _measure
import _runs
import _settings
import _step_cost
import _tables
import _times
import new_scanner
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


def test_a_warm_up_that_is_cut_short_makes_another_run():
    # 100 steps an epoch and a warm-up of 50: cut to a fifth of two epochs, left alone in three.
    assert a_run(epochs=2).key != "b4d06d0ddf", "the name of runs with the whole warm-up"
    assert a_run(epochs=3).key == "be2c0a2d8c"
    # As nothing is cut there, either.
    assert a_run(epochs=2, schedule_warmup_steps=40).key == "3164e6775e"


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


def test_violations_are_counted_per_annotated_gland_however_many_are_made_up():
    none = {name: {"mean": None, "pooled": None} for name in _measure.OBJECTS}
    images = [
        {"glands_annotated": 3, "glands_found": 90},
        {"glands_annotated": 1, "glands_found": 0},
    ]
    summary = {
        "pixel_accuracy": 0.5,
        "topology_violations_raw": 6,
        "per_image": images,
        **none,
    }
    found = _measure._of_regions(summary, a_run())
    assert (found["glands"], found["glands_annotated"]) == (90, 4)
    assert found["violations_per_annotated_gland"] == 1.5


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


def test_the_ranking_of_the_dock_is_measured_as_it_is_shown(tmp_path):
    path = tmp_path / "images.csv"
    path.write_text(
        "epoch,image,patches,classification,topology,geometry,log_var_topology\n"
        "1,a,2,0.1,9.0,1.0,3.0\n"  # stands out, though no longer in its last row
        '1,"b, c",1,0.1,1.0,9.0,0.0\n'
        "1,d,1,0.1,1.1,9.0,0.1\n"
        "1,e,1,,,,\n"  # nothing is known of it
        "2,a,2,0.1,0.5,1.0,0.1\n"
    )
    assert _detection.found_by_ranking(path, {"a"}) == 1.0
    assert _detection.found_by_ranking(path, {"d"}) == 0.5
    assert _detection.found_by_ranking(path, {"b, c", "e"}) == 0.0
    assert _detection.found_by_ranking(path, {"e"}) is None
    assert _detection.found_by_ranking(tmp_path / "none.csv", {"a"}) is None
    # Its last row alone would hide it, and so would the loss that says how smooth it is.
    assert _detection.found_out(path, ["topology", "geometry"], {"a"})["loss_sum"] == 0.0


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
    words = _tables.footer(place, [row], "command", "Reduced setting")
    assert (
        f"1 runs ended because a loss was no longer finite, and have no measures: {a_run().name}"
        in words
    )


def test_the_figure_has_a_legend_though_the_first_row_is_empty(tmp_path):
    rows = [_tables.Row("s", "L_s", [])]
    place = _runs.Place(TwoSides([]), tmp_path, "cpu")
    _figures.draw_rows(tmp_path / "a.svg", "title", rows, place, {"s": {"pixel_accuracy": 0.8}})
    words = (tmp_path / "a.svg").read_text()
    assert "<!-- here -->" in words
    assert "<!-- paper -->" in words


def test_the_same_numbers_give_the_same_file(tmp_path):
    place, rows = _runs.Place(TwoSides([]), tmp_path, "cpu"), [_tables.Row("s", "L_s", [])]
    first, second = (tmp_path / name / "a.svg" for name in ("one", "two"))
    for path in (first, second):
        _figures.draw_rows(path, "title", rows, place)
    assert first.read_bytes() == second.read_bytes()


def test_changed_settings_are_those_that_a_training_takes():
    setting = _changes.changed(REDUCED, ["epochs=2", "learning_rate=.002", "seam_um=0"])
    assert {k: v for k, v in setting.items() if REDUCED[k] != v} == {"epochs": 2, "seam_um": 0}
    assert isinstance(setting["seam_um"], int), "the hash of such runs is that of a whole number"
    other = _changes.changed(REDUCED, ['augmentation={"stain": 0.3}'])
    assert other["augmentation"] == {**_settings.AUGMENTATION, "stain": 0.3}
    assert REDUCED["augmentation"]["stain"] == 0.2


def test_who_changes_nothing_has_a_setting_of_its_own():
    setting = _changes.changed(REDUCED, [])
    assert setting == REDUCED
    setting["precision"] = "bfloat16"
    setting["augmentation"]["stain"] = 9
    assert (REDUCED["precision"], REDUCED["augmentation"]["stain"]) == ("float32", 0.2)


def test_times_outlive_a_kill_in_the_middle_of_a_line(tmp_path):
    _times.note_time(tmp_path, 1, 10.0, [0.1, 0.3, 0.2], "a")
    path = tmp_path / _times.TIMES_FILE
    path.write_text(path.read_text() + '{"epoch": 2, "sec')
    assert _times.times_of(tmp_path)["training_seconds"] == 10
    for seconds in (7.0, 5.0):  # the second epoch is done again
        _times.note_time(tmp_path, 2, seconds, [0.4], "b")
    found = _times.times_of(tmp_path)
    assert found == {"training_seconds": 15.0, "step_seconds": 0.4, "machine": "a; b"}


def test_a_step_that_goes_wrong_does_not_take_the_other_costs_along(tmp_path, monkeypatch):
    def steps(_place, run, _folder):
        for number in range(1000):
            if run.settings["weighting"] == "mgda" and number == 7:
                raise InvalidInputError("Memory ran out")
            yield 0.1

    monkeypatch.setattr(_step_cost, "_steps", steps)
    place = _runs.Place(TwoSides([]), tmp_path, "cpu")
    runs = {name: a_run(weighting=name) for name in ("equal", "mgda", "instance")}
    assert _step_cost.step_costs(place, runs) == pytest.approx({"equal": 1.0, "instance": 1.0})


def test_tables_are_drawn_where_the_device_is_not(tmp_path):
    place = _runs.Place(TwoSides([]), tmp_path, "cuda:99")
    assert _step_cost.step_costs(place, {"equal": a_run()}, measure=False) == {}


def test_results_of_another_start_model_are_not_mixed_in(tmp_path):
    start, other = tmp_path / "start", tmp_path / "other"
    start.write_bytes(b"one")
    other.write_bytes(b"two")
    out = tmp_path / "out"
    asked = new_scanner.asked_for(start, {"keep": 0.5})

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new_scanner.measured_before(out, new_scanner.asked_for(other, {}), stopped)
    for _ in range(2):  # what was stopped before its first result does not block the folder
        new_scanner.refuse_others(out, asked)
        assert new_scanner.measured_before(out, asked, lambda: {"old": {}}) == {"old": {}}
    for model, settings in ((other, {"keep": 0.5}), (start, {"keep": 0.6})):
        with pytest.raises(InvalidInputError, match="another start model"):
            new_scanner.refuse_others(out, new_scanner.asked_for(model, settings))


@pytest.mark.parametrize("name", ["before.json", "10-0.json"])
def test_results_that_do_not_say_what_they_are_of_are_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInputError, match="do not say"):
        new_scanner.refuse_others(tmp_path, {"start": "one", "settings": {}})


def test_settings_of_a_fine_tuning_are_checked_at_once():
    assert new_scanner.changes(["keep=0.5", "epochs=2"]) == {"keep": 0.5, "epochs": 2}
    for text, words in (
        ("keep=3", "keep: Input"),
        ("kept=1", "kept: Extra"),
        ("name=a", "not set"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            new_scanner.changes([text])


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
