"""How a command of the experiments ends: what is missing is said, and told by the exit code.

The trainings are made up here: what they come to is not what is looked at.
"""

import csv
import errno
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import _carry_out
import _runs
import _step_cost

from napari_gland_mtl.errors import DeviceNotAvailableError
from napari_gland_mtl.plots import files
from napari_gland_mtl.training import multi_objective

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PATIENTS = ("1", "2", "3", "5")
MEASURES = {"class_accuracy": 0.5, "pixel_accuracy": 0.75}


@pytest.fixture
def glas(tmp_path):
    """Noise with squares for glands; nobody learns from them."""
    folder = tmp_path / "glas"
    folder.mkdir()
    rng, lines = np.random.default_rng(0), ["name,patient ID,grade (GlaS)"]
    for number, patient in enumerate(PATIENTS, 1):
        mask = np.zeros((48, 64), dtype=np.uint8)
        mask[8:40, 8:56] = 1
        image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"train_{number}.bmp")
        Image.fromarray(mask).save(folder / f"train_{number}_anno.bmp")
        lines.append(f"train_{number}, {patient}, {('benign', 'malignant')[number % 2]}")
    (folder / "Grade.csv").write_text("\r".join(lines))
    return folder


class Trainings:
    """Stand for trainings: note down which were begun, and fail as they are told to."""

    def __init__(self):
        self.begun = []
        self.errors = {}

    def done(self, place, run, config, say):
        losses = "".join(loss[0] for loss in run.settings["losses"])
        self.begun.append(losses)
        multi_objective.check_multi_objective(config.weighting)
        if losses in self.errors:
            raise self.errors[losses]
        result = {
            **{"settings": run.settings, "seed": run.seed, "noisy": [], "machine": "none"},
            **{"measures": MEASURES, "weights": {}, "training_seconds": 1, "measuring_seconds": 1},
        }
        (place.folder(run) / _runs.RESULT_FILE).write_text(json.dumps(result))


@pytest.fixture
def trainings(monkeypatch):
    made_up = Trainings()
    monkeypatch.setattr(_runs, "_done", made_up.done)
    return made_up


@pytest.fixture
def command(glas, tmp_path, trainings, monkeypatch, capsys):
    """Gives an experiment's command in this process: its exit code and what it said."""
    out = tmp_path / "out"

    def give(*given, script="table1"):
        path = str(EXPERIMENTS / f"{script}.py")
        usual = ["--reduced", "--device", "cpu", "--seeds", 1]
        monkeypatch.setattr(sys, "argv", [path, *map(str, [glas, out, *usual, *given])])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    give.out = out
    return give


PRECISION = ("--set", "precision=float32")
THREE = ("--only", "c", "s", "t", *PRECISION)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {row["row"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "epoch=3"], "Was epochs meant?"),
        (["--set", "epochs=many"], "epochs: Input should be a valid integer"),
        (["--set", "widths=[4]"], "--set widths=[4] is refused"),
        (["--set", "epochs=2", 'augmentation={"stain": 9}'], "augmentation: stain: Input should"),
        (["--set", "weighting=equal"], "Each row has its own"),
        (["--set", "epochs"], "NAME=VALUE"),
        (["--split", "test"], "testA_N"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(command, trainings, given, words):
    code, said = command(*given)
    assert code == 1
    assert words in said
    assert not trainings.begun
    assert not command.out.exists()


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_ends_with_the_tables_and_an_exit_code(command, trainings, error):
    trainings.errors["s"] = error
    code, said = command(*THREE)
    assert code == 1
    assert trainings.begun == ["c", "s", "t"], "the others were not done"
    assert "1 of 3 runs could not be done: s-equal-seed0" in said
    assert "Why: Memory ran out" in said
    assert "L_s 0 of 1" in said
    table = rows(command.out / "table1.csv")
    assert [table[row]["seeds"] for row in "cst"] == ["1", "0", "1"]
    del trainings.errors["s"]
    code, said = command(*THREE)
    assert code == 0
    assert trainings.begun[3:] == ["s"]
    assert "could not be done" not in said


def test_what_nobody_foresaw_is_not_put_into_words(command, trainings):
    trainings.errors["s"] = RuntimeError("sizes of tensors must match")
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        command(*THREE)


def test_a_full_disk_ends_it_all_and_names_what_is_left(command, trainings):
    trainings.errors["s"] = OSError(errno.ENOSPC, "No space left on device")
    code, said = command(*THREE)
    assert code == 1
    assert trainings.begun == ["c", "s"], "the next run was begun on a full disk"
    assert "2 of 3 runs could not be done" in said
    assert "the disk is full" in said
    assert rows(command.out / "table1.csv")["c"]["seeds"] == "1"


def test_a_device_that_is_gone_does_not_take_the_tables_along(command, trainings):
    trainings.errors["t"] = DeviceNotAvailableError("The device 'cuda' is not available.")
    code, said = command(*THREE)
    assert code == 1
    assert said.rstrip().endswith("Why: The device 'cuda' is not available.")
    assert rows(command.out / "table1.csv")["s"]["pixel_accuracy"] == "0.75"


def test_without_the_extra_its_rows_are_left_out(command, trainings, monkeypatch):
    monkeypatch.setattr(multi_objective, "find_spec", lambda _name: None)
    monkeypatch.setattr(_step_cost, "step_costs", lambda *_given, **_more: {})
    only = ("--only", "equal", "mgda", "upgrad", *PRECISION)
    code, said = command(*only, script="weightings")
    assert code == 1
    assert "2 of 3 runs could not be done" in said
    assert "pip install 'napari-gland-mtl[multi-objective]'" in said
    assert "Seeds done of each row that lacks some: MGDA 0 of 1; UPGrad 0 of 1." in said
    assert rows(command.out / "weightings.csv")["equal"]["seeds"] == "1"


def test_runs_that_another_shard_just_led_to_are_not_missed(capsys):
    class Run:
        def __init__(self, name):
            self.name = name

    done, plans = {"first"}, []

    class Place:
        def missing(self, runs):
            return [run for run in runs if run.name not in done]

    def plan(_given):  # from the second time on the other shard's search is over
        plans.append([Run("first"), *([Run("found")] if plans else [])])
        return plans[-1]

    given = SimpleNamespace(place=Place(), arguments=SimpleNamespace(shard=(1, 1)))
    missing = _carry_out.carry_out(given, plan)
    assert missing.in_words() == ""
    assert missing.of == 1


def test_without_matplotlib_there_are_tables(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError):
        files.check_matplotlib()
    code, said = command(*THREE)
    assert code == 1
    assert "napari-gland-mtl[plots]" in said
    assert rows(command.out / "table1.csv")["c"]["seeds"] == "1"


def test_runs_of_other_shards_are_not_missed(command):
    code, said = command("--shard", "1/2", *THREE)
    assert code == 0
    assert "1 runs are left to other shards" in said
    assert command("--tables-only", *THREE)[0] == 0


def test_who_only_looks_writes_nothing(command):
    code, said = command("--list", *THREE)
    assert code == 0
    assert "0 of 3 runs done" in said
    assert not command.out.exists()


def stored(path, change=None):
    pixels = np.array(Image.open(path))
    if change:
        change(pixels)
    return Image.fromarray(pixels)


def shrunk(mask):
    mask[8] = 0


@pytest.mark.parametrize("name", ["train_2_anno.bmp", "train_2.bmp", "train_3_anno.bmp"])
def test_other_pixels_are_refused_and_the_same_in_another_format_are_not(command, glas, name):
    assert command(*THREE)[0] == 0
    path, kept = glas / name, (glas / name).read_bytes()
    stored(path, shrunk).save(path)
    for only_looks in ("--tables-only", "--list", "--shard=1/1"):
        code, said = command(only_looks, *THREE)
        assert code == 1
        assert f"other images than those in {glas}: {name[:7]} differ" in said
        assert "another folder" in said
    path.write_bytes(kept)
    stored(path).save(path.with_suffix(".png"))
    path.unlink()
    assert command(*THREE)[0] == 0


def test_a_folder_that_remembers_no_images_takes_those_of_the_next_run(command, glas, trainings):
    assert command(*THREE)[0] == 0
    memory = command.out / "images.json"
    first = json.loads(memory.read_text())
    assert set(first) == {f"train_{number}" for number in range(1, 5)}
    memory.unlink()
    mask = glas / "train_1_anno.bmp"
    stored(mask, shrunk).save(mask)
    assert command("--list", *THREE)[0] == 0
    assert command("--tables-only", *THREE)[0] == 0
    assert not memory.exists()
    code, _ = command(*THREE)
    assert code == 0
    assert len(trainings.begun) == 3, "runs that are done were done again"
    now = json.loads(memory.read_text())
    assert {name for name in now if now[name] != first[name]} == {"train_1"}


def test_waiting_is_said_once_and_not_every_few_seconds(tmp_path, monkeypatch):
    class Run:
        name = "run"

    place, answers, said = _runs.Place(None, tmp_path), iter([False] * 5), []
    monkeypatch.setattr(_runs, "do", lambda *_given: next(answers, True))
    monkeypatch.setattr(_runs.time, "sleep", lambda _seconds: None)
    assert _runs.do_all(place, [Run()], said.append) == {}
    assert said == ["Waiting for 1 runs that other processes are at."]
