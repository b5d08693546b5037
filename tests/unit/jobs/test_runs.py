"""Claims about the list of trainings: what runs, what ended how, and what was cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from napari_gland_mtl.errors import DatasetError, OutputExistsError
from napari_gland_mtl.jobs.runs import (
    is_running,
    list_runs,
    new_run_folder,
    run_entry,
    runs_folder,
    working_in,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def made(home, name, epochs=3, done=0, at=1000):
    folder = home / name
    folder.mkdir(parents=True)
    config = {"name": f"model {name}", "training": {"epochs": epochs}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = "".join(f"{n},0,0.5\n" for n in range(1, done + 1))
    (folder / "epochs.csv").write_text(f"epoch,best,score\n{rows}")
    for file in folder.iterdir():
        os.utime(file, (at, at))
    return folder


def test_the_newest_comes_first_and_what_is_no_run_is_left_out(home):
    made(home, "old", at=1000)
    made(home, "new", at=3000, done=2)
    made(home, "middle", at=2000)
    (home / "something else").mkdir()
    (home / "file").touch()
    entries = list_runs()
    assert [entry.path.name for entry in entries] == ["new", "middle", "old"]
    assert (entries[0].name, entries[0].epoch, entries[0].epochs) == ("model new", 2, 3)
    assert list_runs(home / "nowhere") == []


def test_what_is_held_runs_and_how_it_ends_is_known(home):
    folder = made(home, "run")
    assert run_entry(folder).state == "interrupted"
    with working_in(folder, "finetune") as mark:
        assert run_entry(folder).state == "running"
        assert is_running(folder)
        mark.ended(stopped=True)
    assert (run_entry(folder).state, run_entry(folder).kind) == ("stopped", "finetune")
    with working_in(folder) as mark:
        mark.ended(stopped=False)
    assert run_entry(folder).state == "finished"
    with pytest.raises(DatasetError), working_in(folder):
        raise DatasetError("too little")
    assert (run_entry(folder).state, run_entry(folder).error) == ("failed", "too little")
    with pytest.raises(KeyboardInterrupt), working_in(folder):
        raise KeyboardInterrupt
    assert run_entry(folder).state == "interrupted"
    assert not is_running(folder)


def test_two_cannot_train_in_one_folder(home):
    folder = made(home, "run")
    with (
        working_in(folder),
        pytest.raises(OutputExistsError, match="Another process is training"),
        working_in(folder),
    ):
        pass
    with working_in(folder):  # control
        pass


HOLD = """
import sys, time
from pathlib import Path
from napari_gland_mtl.jobs.runs import working_in
with working_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_lets_go(home):
    folder = made(home, "run")
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        assert run_entry(folder).state == "running"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert run_entry(folder).state == "interrupted"


def test_a_run_of_an_older_version_is_known_by_its_epochs(home):
    assert run_entry(made(home, "done", epochs=3, done=3)).state == "finished"
    assert run_entry(made(home, "not done", epochs=3, done=2)).state == "interrupted"


def test_damaged_files_are_no_reason_to_fail(home):
    folder = made(home, "run", done=2)
    (folder / "config.json").write_text("{")
    (folder / "status.json").write_text("[]")
    with (folder / "epochs.csv").open("a") as file:
        file.write("3,0,0.")  # being written
    entry = list_runs()[0]
    assert (entry.name, entry.epoch, entry.epochs) == ("run", 2, 0)


def test_a_new_folder_is_named_after_its_model(home):
    assert new_run_folder("my model: 2/3").parent == runs_folder() == home
    first = new_run_folder("my model: 2/3")
    assert first.name == "my-model-2-3"
    first.mkdir(parents=True)
    assert new_run_folder("my model: 2/3").name == "my-model-2-3-2"
    assert new_run_folder("..").name == "run"


def test_listing_needs_no_torch(home):
    code = (
        "import sys, napari_gland_mtl.jobs.runs as runs, napari_gland_mtl.jobs.run_folder;"
        "import napari_gland_mtl.jobs.finetune_config, napari_gland_mtl.jobs.models;"
        "import napari_gland_mtl.jobs.preview, napari_gland_mtl.jobs.politeness;"
        "runs.list_runs(); print([m for m in ('torch', 'zarr', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_runs_are_listed_fast(home):
    for number in range(100):
        made(home, f"run{number}", done=3)
    began = time.perf_counter()
    assert len(list_runs()) == 100
    assert time.perf_counter() - began < 1
