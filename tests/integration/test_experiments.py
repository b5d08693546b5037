"""The experiments run as their docstrings say, are gone on with when killed, and share their runs.

On a tiny folder drawn like GlaS, with networks of a few channels and two steps: what comes out
means nothing, and that is not what is looked at.
"""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TINY = [
    "--reduced",
    "--device",
    "cpu",
    "--set",
    "widths=[4,4,4,4,8]",
    "patch_size=32",
    "batch_size=2",
    "patches_per_epoch=2",
    "epochs=2",
    "mpp=1.24",
    "precision=float32",
]
# Patients 3 and 5 are held out, 1 and 4 the inner split's; benign and malignant on every side.
PATIENTS = {"1": "malignant", "4": "benign", "2": "malignant", "9": "benign", "3": "malignant"}
KILLED_AFTER_AN_EPOCH = """
import os, runpy, sys
sys.path.insert(0, sys.argv[1])
import _runs
noted = _runs.note_time
_runs.note_time = lambda *given: (noted(*given), os._exit(9))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def glas(tmp_path_factory, synthetic_field):
    folder = tmp_path_factory.mktemp("glas")
    grades = ["name,patient ID,grade (GlaS)"]
    for number, (patient, kind) in enumerate([*PATIENTS.items(), ("5", "benign")], 1):
        field = synthetic_field(kind=kind, height=128, width=128, seed=number)
        Image.fromarray(field.image).save(folder / f"train_{number}.bmp")
        Image.fromarray(field.glands.astype(np.uint8)).save(folder / f"train_{number}_anno.bmp")
        grades.append(f"train_{number}, {patient}, {kind}")
    (folder / "Grade.csv").write_text("\r".join(grades))
    return folder


@pytest.fixture
def experiment(glas, monkeypatch, capsys):
    """Gives an experiment's command in this process; returns what it prints."""
    monkeypatch.syspath_prepend(EXPERIMENTS)

    def give(script, out, *given, expected=0):
        path = str(EXPERIMENTS / f"{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, [glas, out, *given])])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        said = capsys.readouterr()
        assert ended.value.code == expected, said.out + said.err
        return said.out + said.err

    return give


def results(out):
    paths = (out / "runs").glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {row["row"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_table1_killed_and_given_again_is_that_of_an_undisturbed_run(experiment, glas, tmp_path):
    given = ["--seeds", 1, "--only", "c", "cst-learned", *TINY]
    whole = experiment("table1", tmp_path / "whole", *given)
    killed = tmp_path / "killed"
    script = [EXPERIMENTS, EXPERIMENTS / "table1.py", glas, killed, *given]
    arguments = [sys.executable, "-c", KILLED_AFTER_AN_EPOCH, *map(str, script)]
    assert subprocess.run(arguments, capture_output=True, timeout=280).returncode == 9
    assert not results(killed), "nothing was left to be resumed"
    states = list(killed.glob("runs/*/state.safetensors"))
    assert states, "the killed run left no state"
    for state in states:  # as if it had begun on another machine
        config = state.with_name("config.json")
        settings = json.loads(config.read_text())
        settings["training"]["device"] = "cuda:99"
        config.write_text(json.dumps(settings))
    experiment("table1", killed, *given)
    once, again = results(tmp_path / "whole"), results(killed)
    assert once.keys() == again.keys()
    assert len(once) == 2
    for name, result in once.items():
        assert result["measures"] == again[name]["measures"]
        assert result["losses"] == again[name]["losses"]
        times = (killed / "runs" / name / "times.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in times] == [1, 2]
    assert "Reduced setting" in whole
    assert "Seeds 0; 2 of 2 runs" in whole


@pytest.mark.slow
def test_what_was_not_trained_for_is_not_measured(experiment, tmp_path):
    experiment("table1", tmp_path, "--seeds", 1, "--only", "c", "t", *TINY)
    found = rows(tmp_path / "table1.csv")
    assert found["c"]["class_accuracy"]
    assert not found["c"]["pixel_accuracy"]
    assert not found["t"]["class_accuracy"]
    assert found["t"]["pixel_accuracy"]
    assert found["c"]["paper_class_accuracy"] == "0.87"
    assert (tmp_path / "table1.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_runs_are_shared_and_not_done_twice(experiment, tmp_path):
    experiment("table1", tmp_path, "--seeds", 1, "--only", "cs-equal", *TINY)
    experiment("tradeoff", tmp_path, "--only", "cs", "--points", 3, *TINY)
    before = {name: (tmp_path / "runs" / name / "result.json").stat() for name in results(tmp_path)}
    given = ["--seeds", 1, "--only", "cs-equal", "cs-convex", "cs-convex-trained"]
    said = experiment("weightings", tmp_path, *given, *TINY)
    assert "1 of 3 runs to do" in said, "only the trained pair is new"
    for name, stat in before.items():
        assert (tmp_path / "runs" / name / "result.json").stat().st_mtime_ns == stat.st_mtime_ns
    drawn = rows(tmp_path / "tradeoff.csv")
    assert [drawn[f"cs-{share}"]["lambda"] for share in ("0.1", "0.5", "0.9")] == [
        "0.1",
        "0.5",
        "0.9",
    ]
    assert 0 < float(drawn["cs-learned"]["lambda"]) < 1


@pytest.mark.slow
def test_search_judges_on_other_patients_and_trains_again(experiment, tmp_path):
    given = ["--seeds", 1, "--candidates", 2, "--only", "grid", "equal", "uncertainty"]
    said = experiment("weightings", tmp_path, *given, *TINY)
    runs = results(tmp_path)
    inner = [result for result in runs.values() if result["part"] == "inner"]
    assert len(inner) == 2
    chosen = max(inner, key=judged)["settings"]["loss_weights"]
    last = [r for r in runs.values() if r["part"] == "validation" and is_fixed(r)]
    assert [result["settings"]["loss_weights"] for result in last] == [chosen]
    for name, result in runs.items():
        data = json.loads((tmp_path / "runs" / name / "data.json").read_text())
        assert len(data["training"]) == (2 if result["part"] == "inner" else 4)
    assert "2 of 2 trainings" in said
    table = rows(tmp_path / "weightings.csv")
    assert float(table["equal"]["step_relative_to_equal"]) == 1
    assert float(table["uncertainty"]["step_relative_to_equal"]) > 0
    search = sum(r["training_seconds"] + r["measuring_seconds"] for r in inner)
    grid = table["grid"]
    assert float(grid["seconds_with_search"]) - float(grid["seconds"]) == pytest.approx(search)


def judged(result):
    names = ("class_accuracy", "pixel_accuracy", "object_f1", "object_dice")
    return sum(result["measures"][name] for name in names)


def is_fixed(result):
    return result["settings"]["weighting"] == "fixed"


@pytest.mark.slow
def test_noisy_labels_are_trained_on_and_clean_ones_measured(experiment, tmp_path):
    labels = ["--labels", "clean", "flipped", "--only", "instance"]
    experiment("noisy_labels", tmp_path, "--seeds", 1, *labels, *TINY, "patches_per_epoch=16")
    runs = list(results(tmp_path).values())
    assert sorted(result["labels"] for result in runs) == ["clean", "flipped"]
    noisy = {result["labels"]: result["noisy"] for result in runs}
    assert noisy["clean"] == []
    assert len(noisy["flipped"]) == 1  # a third of four
    one, other = runs
    assert one["losses"] != other["losses"], "the wrong labels were not trained on"
    table = rows(tmp_path / "noisy_labels.csv")
    assert not table["clean-instance"]["auc_loss_sum"]
    found = table["flipped-instance"]
    assert 0 <= float(found["auc_loss_sum"]) <= 1
    assert 0 <= float(found["auc_ranking"]) <= 1
    assert not table["clean-instance"]["auc_ranking"]
    assert float(found["auc_log_var_sum"]) == 0.5  # still the warm-up: one value for all


@pytest.mark.slow
def test_shards_do_what_the_whole_does(experiment, tmp_path):
    given = ["--seeds", 1, "--only", "c", "s", "t", *TINY]
    first = experiment("table1", tmp_path, "--shard", "1/2", *given)
    assert len(results(tmp_path)) == 2
    assert "1 runs are left to other shards" in first
    experiment("table1", tmp_path, "--shard", "2/2", *given)
    assert len(results(tmp_path)) == 3
    assert "3 of 3 runs done" in experiment("table1", tmp_path, "--list", *given)
