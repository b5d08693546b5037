"""The dock or the window is closed while something is not written yet: it is written, or said."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMessageBox

from napari_gland_mtl.annotations import AnnotationProject, area_files, project_path
from napari_gland_mtl.widgets import _annotate_files, _annotation_changes


@pytest.fixture
def patients(slide_file: Path) -> Callable[[], list[str]]:
    """What is on disk, the oldest area first."""

    def read() -> list[str]:
        stored = AnnotationProject(project_path(slide_file)).stored()
        return [area.info.patient for area in stored]

    return read


@pytest.fixture
def closed_areas(dock: Any, area: Any, done: Any) -> Any:
    """Two areas that are on disk only."""
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    project = AnnotationProject(area.store.project)
    first, _ = project.load(area.store.key)
    again = first.info.model_copy(update={"name": "area 2", "created": ""})
    project.add(replace(first, info=again))
    dock.refresh_list()
    done(dock)
    return dock.areas.list.rows


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Areas that are not open are changed only when this is set."""
    go, change = threading.Event(), _annotate_files._change

    def wait(*arguments: Any) -> None:
        go.wait(20)
        change(*arguments)

    monkeypatch.setattr(_annotate_files, "_change", wait)
    yield go
    go.set()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written."""

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(area_files, "replace_labels", fail)


@pytest.fixture
def closes(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[bool, list[str]]]:
    """Tries to close the window, and says whether it would, and what was asked."""

    def close() -> tuple[bool, list[str]]:
        asked = []

        def answer(parent: Any, title: str, text: str, *buttons: Any) -> Any:
            asked.append(text)
            return QMessageBox.StandardButton.Cancel

        monkeypatch.setattr(QMessageBox, "warning", answer)
        event = QCloseEvent()
        QApplication.sendEvent(viewer.window._qt_window, event)
        return bool(event.isAccepted()), asked

    return close


def test_closing_the_dock_drops_no_patient(
    viewer: Any, dock: Any, closed_areas: Any, patients: Any, slow_disk: Any, qtbot: Any
) -> None:
    dock.shelf.assign("7")
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.wait(300)
    assert patients() == ["", ""]
    slow_disk.set()
    qtbot.waitUntil(lambda: patients() == ["7", "7"], timeout=8000)


def test_closing_the_dock_while_an_area_is_opened_drops_no_patient(
    viewer: Any, dock: Any, closed_areas: Any, patients: Any, qtbot: Any
) -> None:
    dock.open_area(closed_areas[0])
    dock.shelf.assign("7")
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.waitUntil(lambda: patients() == ["7", "7"], timeout=8000)


def test_closing_the_window_waits_for_patients_and_names(
    dock: Any, closed_areas: Any, patients: Any, slow_disk: Any, closes: Any, slide_file: Path
) -> None:
    dock.shelf.assign("7")
    dock.rename_area(closed_areas[1], "crypts")
    threading.Timer(0.5, slow_disk.set).start()
    assert closes() == (True, [])
    assert patients() == ["7", "7"]
    names = [area.info.name for area in AnnotationProject(project_path(slide_file)).stored()]
    assert names == ["area 1", "crypts"]


def test_closing_the_viewer_writes_them_too(
    viewer: Any, dock: Any, closed_areas: Any, patients: Any
) -> None:
    dock.shelf.assign("7")
    viewer.close()
    assert patients() == ["7", "7"]


def test_the_end_of_the_application_writes_them_too(
    dock: Any, closed_areas: Any, patients: Any
) -> None:
    dock.shelf.assign("7")
    dock.session._last()  # no window is there any more that could be asked
    assert patients() == ["7", "7"]


def test_a_patient_that_is_typed_and_not_entered_is_written_when_the_window_closes(
    dock: Any, closed_areas: Any, patients: Any, closes: Any, qtbot: Any
) -> None:
    qtbot.keyClicks(dock.areas.patient.edit, "P 17")
    assert closes() == (True, [])
    assert patients() == ["P 17", "P 17"]


def test_the_window_asks_before_it_closes_on_a_patient_that_cannot_be_written(
    dock: Any, closed_areas: Any, full_disk: None, closes: Any, done: Any
) -> None:
    dock.shelf.assign("7")
    closed, (text,) = closes()
    assert not closed
    assert "the disk is full" in text
    done(dock)
    assert "the disk is full" in dock.message.text()


def test_the_wait_for_a_drive_that_hangs_ends_and_is_said(
    dock: Any, closed_areas: Any, patients: Any, slow_disk: Any, closes: Any, done: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(_annotation_changes, "LONGEST_S", 0.4)
    dock.shelf.assign("7")
    closed, (text,) = closes()
    assert not closed
    assert "is not written yet" in text
    slow_disk.set()  # the user has waited
    done(dock)
    assert patients() == ["7", "7"]
    assert closes() == (True, [])


def test_without_a_dock_a_patient_that_cannot_be_written_is_logged(
    viewer: Any, dock: Any, closed_areas: Any, full_disk: None, qtbot: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    session = dock.session
    with caplog.at_level(logging.WARNING):
        dock.shelf.assign("7")
        viewer.window.remove_dock_widget(dock)
        dock.deleteLater()
        qtbot.waitUntil(lambda: not session.changes.running, timeout=8000)
    assert "the disk is full" in caplog.text


def test_one_area_that_is_gone_does_not_keep_the_patient_from_the_others(
    dock: Any, closed_areas: Any, patients: Any, done: Any
) -> None:
    project, key = closed_areas[0].identity
    AnnotationProject(project).remove(key)  # in another window
    dock.shelf.assign("7")
    done(dock)
    assert patients() == ["7"]
    assert "removed in another window" in dock.message.text()


def test_an_area_that_was_closed_and_not_saved_is_opened_with_its_last_strokes(
    dock: Any, area: Any, disc: Any, done: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    done(dock)
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    with monkeypatch.context() as patch:
        patch.setattr(area_files, "replace_labels", fail)
        dock.close_area(dock.areas.list.rows[0])
        qtbot.waitUntil(lambda: "could not be saved" in dock.message.text(), timeout=8000)
        dock.open_area(dock.areas.list.rows[0])
        again = dock.session.current
        assert again.glands_layer.data[60, 60] == 1
        assert dock.panel.saved.label.text().startswith("Not saved: ")
        assert dock.session.unsaved == ()
    dock.save_now()
    (stored,) = AnnotationProject(again.store.project).stored()
    assert stored.glands == 1
