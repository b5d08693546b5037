"""What is asked of an area while it is still being written: nothing is lost, nothing is twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets._annotation_queue import Work, WriteQueue


@pytest.fixture
def slow_save(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], threading.Event]]:
    """Lets the saves of an area wait until an event is set."""
    go = threading.Event()

    def slow_down(area: Any) -> threading.Event:
        write = area.store.write

        def slow(snapshot: Any) -> Any:
            go.wait(20)
            return write(snapshot)

        monkeypatch.setattr(area.store, "write", slow)
        return go

    yield slow_down
    go.set()


@pytest.fixture
def paint(disc: Any) -> Any:
    """Draws a gland into an area."""

    def draw(area: Any, x: float, label: int = 1) -> None:
        area.glands_layer.data_setitem(np.nonzero(disc(area, 60, x, 30)), label)

    return draw


@pytest.fixture
def closed_in_a_save(dock: Any, area: Any, done: Any, paint: Any, slow_save: Any) -> Any:
    """An area that was just closed, whose last strokes are still being written."""
    done(dock)
    paint(area, 60)
    go = slow_save(area)
    dock.close_area(dock.areas.list.rows[0])
    assert area.state.saving
    return go


def test_a_name_given_while_a_closed_area_is_written_is_kept(
    dock: Any, area: Any, closed_in_a_save: Any, on_disk: Any, done: Any, qtbot: Any
) -> None:
    dock.rename_area(dock.areas.list.rows[0], "crypts")
    qtbot.wait(500)
    closed_in_a_save.set()
    qtbot.waitUntil(lambda: "crypts" in on_disk(), timeout=8000)
    done(dock)
    assert list(on_disk()) == ["crypts"]
    assert on_disk()["crypts"].glands[60, 60] == 1
    assert not dock.message.isVisible(), dock.message.text()
    qtbot.waitUntil(lambda: [r.stored.info.name for r in dock.areas.list.rows] == ["crypts"])


def test_a_name_given_while_an_open_area_is_written_is_kept(
    dock: Any, area: Any, on_disk: Any, done: Any, qtbot: Any, paint: Any, slow_save: Any
) -> None:
    done(dock)
    go = slow_save(area)
    paint(area, 60)
    qtbot.waitUntil(lambda: area.state.saving, timeout=8000)
    dock.rename_area(dock.areas.list.rows[0], "crypts")
    go.set()
    qtbot.waitUntil(lambda: "crypts" in on_disk(), timeout=8000)
    assert area.info.name == "crypts"
    assert list(on_disk()) == ["crypts"]


def test_an_area_that_is_removed_while_it_is_written_after_closing_stays_removed(
    dock: Any, area: Any, closed_in_a_save: Any, on_disk: Any, done: Any, qtbot: Any
) -> None:
    dock.remove_area(dock.areas.list.rows[0])
    qtbot.wait(500)
    closed_in_a_save.set()
    done(dock)
    qtbot.wait(500)
    assert on_disk() == {}
    dock.message.button.click()
    done(dock)
    assert list(on_disk()) == ["area 1"]
    assert on_disk()["area 1"].glands[60, 60] == 1


def test_an_older_save_does_not_bring_back_a_removed_area(
    dock: Any, area: Any, on_disk: Any, done: Any, qtbot: Any, paint: Any, slow_save: Any
) -> None:
    done(dock)
    go = slow_save(area)
    paint(area, 60)
    qtbot.waitUntil(lambda: area.state.saving, timeout=8000)
    paint(area, 200, 2)  # newer than what is being written
    dock.remove_area(dock.areas.list.rows[0])
    qtbot.wait(500)
    go.set()
    done(dock)
    qtbot.wait(500)
    assert on_disk() == {}
    dock.message.button.click()
    done(dock)
    assert list(on_disk()) == ["area 1"]
    assert on_disk()["area 1"].glands[60, 200] == 2


def test_an_older_snapshot_never_takes_the_place_of_a_newer_one(
    dock: Any, area: Any, done: Any, paint: Any, stored: Any
) -> None:
    done(dock)
    paint(area, 60)
    older = area.snapshot()
    paint(area, 200, 2)
    dock.save_now()
    assert not area.store.write(older).changed  # a thread that comes late
    assert stored(area).glands[60, 200] == 2


def test_an_older_snapshot_does_not_undo_what_was_taken_back(
    dock: Any, area: Any, done: Any, paint: Any, stored: Any
) -> None:
    done(dock)
    dock.save_now()
    paint(area, 60)
    older = area.snapshot()
    area.glands_layer.undo()
    assert not area.store.write(area.snapshot()).changed  # as it is on the disk
    assert not area.store.write(older).changed  # a thread that comes late
    assert not stored(area).glands.any()


def test_an_area_that_is_being_removed_is_not_opened(
    dock: Any, area: Any, on_disk: Any, done: Any
) -> None:
    done(dock)
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    row = dock.areas.list.rows[0]
    dock.session.changes.hold()
    dock.remove_area(row)
    dock.open_area(row)
    assert "being removed" in dock.message.text()
    assert not dock.session.areas
    dock.session.changes.release()
    done(dock)
    assert on_disk() == {}


def test_what_waits_in_a_queue_that_is_not_held_stays_there() -> None:
    queue = WriteQueue()
    queue.add(Work((Path("project"), "1"), lambda: pytest.fail("not yet")))
    assert queue.release() == []
    assert queue.waiting


def test_each_of_several_names_is_given(
    dock: Any, make_area: Any, on_disk: Any, done: Any, qtbot: Any
) -> None:
    for top in (50, 350, 650):
        make_area(box=(top, 200, top + 200, 500))
        done(dock)
        dock.close_area(dock.areas.list.rows[-1])
        done(dock)
    for row, name in zip(dock.areas.list.rows, "abc", strict=True):
        dock.rename_area(row, name)
    # The last one may still be on its way to the disk, which keeps nobody from going on.
    qtbot.waitUntil(lambda: sorted(on_disk()) == ["a", "b", "c"], timeout=30_000)


def test_an_area_that_is_opened_right_after_a_renaming_has_the_name_and_no_copy(
    dock: Any, area: Any, on_disk: Any, done: Any, paint: Any
) -> None:
    done(dock)
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    dock.rename_area(dock.areas.list.rows[0], "crypts")
    dock.open_area(dock.areas.list.rows[0])
    done(dock)
    again = dock.session.current
    assert again.info.name == "crypts"
    paint(again, 60)
    dock.save_now()
    assert list(on_disk()) == ["crypts"]


def test_a_name_that_is_taken_back_at_once_is_taken_back(
    dock: Any, area: Any, on_disk: Any, done: Any
) -> None:
    done(dock)
    dock.rename_area(dock.areas.list.rows[0], "crypts")
    assert dock.areas.list.rows[0].stored.info.name == "crypts"  # before it is saved
    dock.rename_area(dock.areas.list.rows[0], "area 1")
    assert area.info.name == "area 1"
    dock.save_now()
    assert list(on_disk()) == ["area 1"]
