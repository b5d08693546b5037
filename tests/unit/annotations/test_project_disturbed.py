"""Claims about annotations that are saved while the worst happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject, area_files, locking
from napari_gland_mtl.errors import AnnotationConflictError, OutputNotWritableError

SCRIPT = Path(__file__).with_name("disturbed.py")

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def disturbed(way, change, folder, stride):
    command = [sys.executable, str(SCRIPT), way, change, str(folder), str(stride)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250)


@needs_fork
@pytest.mark.parametrize(
    ("change", "stride", "least"),
    [("save", 1, 40), ("add", 5, 60), ("remove", 1, 5), ("restore", 1, 5)],
)
def test_killed_at_any_file_operation_a_change_is_done_or_not(tmp_path, change, stride, least):
    run = disturbed("kill", change, tmp_path, stride)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= least


@needs_fork
@pytest.mark.parametrize(
    ("change", "stride", "least"), [("save", 1, 20), ("add", 5, 30), ("remove", 1, 3)]
)
def test_when_the_disk_is_full_at_any_operation_nothing_is_lost(tmp_path, change, stride, least):
    run = disturbed("full", change, tmp_path, stride)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) >= least


@needs_fork
def test_a_save_that_writes_over_the_old_would_not_pass(tmp_path):
    """The control: the same look at what is left finds old and new mixed."""
    run = disturbed("kill", "careless", tmp_path, 1)
    assert run.returncode != 0
    assert "mixture" in run.stderr or "shows" in run.stderr


SAVING = """
import sys
import numpy as np
from napari_gland_mtl.annotations import AnnotationProject
project = AnnotationProject(sys.argv[1])
(stored,) = project.stored()
area, revision = project.load(stored.key)
noise = np.random.default_rng(revision).integers(0, 2, area.glands.shape, dtype=np.int32)
while True:
    area.glands[...] = noise * (revision + 1)
    area.regions[...] = noise * ((revision + 1) % 4)
    revision = project.save(stored.key, area, revision)
    print(".", flush=True)
"""


@needs_fork
def test_killed_at_a_random_instant_an_area_is_as_it_was_saved(project, make_area, monkeypatch):
    area = make_area(height=500, width=600)
    area.glands[...] = area.regions[...] = 1
    key, before = project.add(area)
    for seed in range(5):
        command = [sys.executable, "-c", SAVING, str(project.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(random.Random(seed).uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        loaded, revision = AnnotationProject(project.path).load(key)
        assert revision > before
        assert set(np.unique(loaded.glands)) == {0, revision}
        assert np.array_equal(loaded.regions > 0, (loaded.glands > 0) & (revision % 4 > 0))
        assert set(np.unique(loaded.regions)) <= {0, revision % 4}
        before = revision
    assert not list(project.path.rglob("*.partial"))


TAKING_TURNS = """
import sys
from napari_gland_mtl.annotations import AnnotationProject
from napari_gland_mtl.errors import AnnotationConflictError
project, own = AnnotationProject(sys.argv[1]), int(sys.argv[2])
(stored,) = project.stored()
saved = conflicts = 0
area, revision = project.load(stored.key)
while saved < 15:
    assert len(set(area.glands.ravel()) | {int(area.info.class_name)}) == 1, "a mixture"
    area.glands[...] = own
    area = type(area)(area.info.model_copy(update={"class_name": str(own)}), area.image,
                      area.glands, area.regions)
    try:
        revision = project.save(stored.key, area, revision)
        saved += 1
    except AnnotationConflictError:
        conflicts += 1
        area, revision = project.load(stored.key)
print(conflicts)
"""


def test_of_two_programs_at_work_on_one_area_none_overwrites_the_other(project, make_area):
    area = make_area(class_name="1")
    area.glands[...] = 1
    key, _ = project.add(area)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKING_TURNS, str(project.path), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (2, 3)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    loaded, revision = project.load(key)
    assert revision == 1 + 2 * 15  # every save that was confirmed is one, and no other
    assert set(np.unique(loaded.glands)) == {int(loaded.info.class_name)}


def test_the_second_of_two_windows_is_told_and_can_save_a_copy(project, make_area):
    key, revision = project.add(make_area())
    first, second = AnnotationProject(project.path), AnnotationProject(project.path)
    mine, theirs = make_area(value=5), make_area(value=6)
    assert first.save(key, theirs, revision) == revision + 1
    with pytest.raises(AnnotationConflictError, match="another window"):
        second.save(key, mine, revision)
    assert np.array_equal(project.load(key)[0].glands, theirs.glands)
    copy, _ = second.add(mine)
    assert np.array_equal(project.load(copy)[0].glands, mine.glands)
    first.remove(key)
    with pytest.raises(AnnotationConflictError, match="removed in another window"):
        second.save(key, mine, revision + 1)


def test_areas_added_by_many_programs_at_once_have_names_of_their_own(project):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from disturbed import area_of\n"
        "from napari_gland_mtl.annotations import AnnotationProject\n"
        "project = AnnotationProject(sys.argv[1])\n"
        "for _ in range(4): project.add(area_of(1))\n"
    )
    command = [sys.executable, "-c", code, str(project.path), str(SCRIPT.parent)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    names = [stored.info.name for stored in project.stored()]
    assert sorted(names) == sorted({"area 1", *(f"area 1 ({n})" for n in range(2, 9))})


def test_a_slow_reader_beside_a_fast_writer_gets_its_turn(project, make_area, monkeypatch):
    key, revision = project.add(make_area())
    revisions, kept_out, read = [revision], [], area_files.read_labels

    def save():
        try:
            revisions.append(project.save(key, make_area(value=50), revisions[-1]))
        except OutputNotWritableError:
            kept_out.append(1)

    def overtaken(folder, state):
        writer = threading.Thread(target=save)
        writer.start()
        writer.join()
        return read(folder, state)

    monkeypatch.setattr(area_files, "read_labels", overtaken)
    monkeypatch.setattr(locking, "LONGEST_WAIT_S", 0.1)
    loaded, found = project.load(key)
    assert found == revisions[-1] > 3
    assert kept_out
    assert set(np.unique(loaded.glands)) == {0, 50}


def test_threads_of_one_program_do_not_mix_either(project, make_area, same_pixels):
    with ThreadPoolExecutor(4) as pool:
        keys = [key for key, _ in pool.map(project.add, [make_area(value=n) for n in range(1, 9)])]
        revisions = pool.map(project.save, keys, [make_area(value=9)] * 8, [1] * 8)
    assert list(revisions) == [2] * 8
    for key in keys:
        assert set(np.unique(project.load(key)[0].glands)) == {0, 9}
    assert len({stored.info.name for stored in project.stored()}) == 8


def test_a_project_whose_drive_is_gone_is_not_made_anew(project, make_area, tmp_path):
    key, revision = project.add(make_area())
    away = project.path.rename(tmp_path / "unplugged")
    for change in (
        lambda: project.save(key, make_area(value=4), revision),
        lambda: project.remove(key),
    ):
        with pytest.raises(OutputNotWritableError, match="is gone"):
            change()
    assert not project.path.exists()
    away.rename(project.path)
    assert project.save(key, make_area(value=4), revision) == revision + 1


def test_a_reader_sees_old_or_new_while_another_program_saves(project, make_area):
    area = make_area(height=300, width=300)
    area.glands[...] = area.regions[...] = 1
    key, _ = project.add(area)
    command = [sys.executable, "-c", SAVING, str(project.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        seen = set()
        until = time.monotonic() + 3
        while time.monotonic() < until and len(seen) < 25:
            loaded, revision = project.load(key)
            seen.add(revision)
            assert set(np.unique(loaded.glands)) == {0, revision}
        process.kill()
    assert len(seen) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_what_is_saved_is_on_the_disk_before_it_counts(project, make_area, monkeypatch):
    """Else a power cut would leave the new description with empty labels."""
    key, revision = project.add(make_area())
    happened = []
    fsync, rename = os.fsync, os.replace

    def flushed(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        happened.append(name.removeprefix(str(project.path / "areas" / key)))
        fsync(descriptor)

    def renamed(source, target):
        if str(target).endswith(f"{key}/zarr.json"):
            happened.append("the step")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    project.save(key, make_area(value=4), revision)
    before = happened[: happened.index("the step")]
    for labels in ("glands", "regions"):
        for file in ("", "/2", "/2/zarr.json", "/2/c/0/0", "/2/c/0", "/2/c"):
            assert f"/labels/{labels}{file}" in before
    assert "/.zarr.json" in before[-1]  # its own content


def test_a_folder_that_may_not_be_written_to_is_said_so(project, make_area, monkeypatch):
    key, revision = project.add(make_area())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(area_files, "_write_labels", refuse)
    with pytest.raises(OutputNotWritableError, match=r"not allowed.*what was saved before"):
        project.save(key, make_area(value=4), revision)
    monkeypatch.undo()
    assert project.save(key, make_area(value=4), revision) == revision + 1


def test_a_lock_that_is_held_for_long_ends_with_words(project, make_area, monkeypatch):
    from filelock import FileLock

    key, revision = project.add(make_area())
    monkeypatch.setattr(locking, "LONGEST_WAIT_S", 0.1)
    code = (
        "import sys\nfrom filelock import FileLock\n"
        "with FileLock(sys.argv[1]):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(project.path / ".lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.readline()
        with pytest.raises(OutputNotWritableError, match="Another program"):
            project.save(key, make_area(value=4), revision)
        assert len(project.stored()) == 1  # reading needs no lock
        process.stdin.close()
    with FileLock(project.path / ".lock", timeout=0):
        pass
    assert project.save(key, make_area(value=4), revision) == revision + 1
