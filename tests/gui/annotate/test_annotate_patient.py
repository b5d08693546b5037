"""Whose tissue an image shows: entered once, saved with all its areas, kept for the next one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_gland_mtl.annotations import AnnotationProject, project_path
from napari_gland_mtl.datasets import open_annotated
from napari_gland_mtl.widgets import _annotate_files


@pytest.fixture
def type_in(dock: Any, qtbot: Any) -> Any:
    """Types a patient into the field, as a user does."""

    def type_name(name: str) -> None:
        edit = dock.areas.patient.edit
        qtbot.waitUntil(edit.isEnabled)
        edit.selectAll()
        qtbot.keyClick(edit, Qt.Key.Key_Delete)
        qtbot.keyClicks(edit, name)
        qtbot.keyClick(edit, Qt.Key.Key_Return)

    return type_name


@pytest.fixture
def enter(dock: Any, type_in: Any, done: Any) -> Any:
    """Types a patient into the field and waits until it is saved."""

    def type_and_wait(name: str) -> None:
        type_in(name)
        dock.save_now()
        done(dock)

    return type_and_wait


@pytest.fixture
def slow_assignment(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Closed areas get their patient only when this is set."""
    go, write = threading.Event(), _annotate_files._change

    def wait(*arguments: Any) -> None:
        go.wait(20)
        write(*arguments)

    monkeypatch.setattr(_annotate_files, "_change", wait)
    yield go
    go.set()


@pytest.fixture
def patients(slide_file: Path) -> Any:
    """What is on disk, by area."""

    def read() -> dict[str, str]:
        stored = AnnotationProject(project_path(slide_file)).stored()
        return {area.info.name: area.info.patient for area in stored}

    return read


def test_the_patient_is_saved_with_all_areas_open_or_closed(
    dock: Any, make_area: Any, enter: Any, patients: Any, done: Any, qtbot: Any, disc: Any
) -> None:
    make_area()
    done(dock)
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    make_area(box=(500, 200, 700, 500))
    done(dock)
    assert patients() == {"area 1": "", "area 2": ""}
    enter("P 17 ")
    assert patients() == {"area 1": "P 17", "area 2": "P 17"}
    qtbot.waitUntil(lambda: "Patient P 17" in dock.areas.list.tree.topLevelItem(0).toolTip(0))
    # A training takes it for the patient, in place of the slide.
    path = dock.areas.list.rows[0].project
    area = dock.session.current
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    dock.save_now()
    (record,) = open_annotated(path).records
    assert record.patient == "P 17"


def test_a_new_area_has_the_patient_of_the_earlier_ones(
    viewer: Any, dock: Any, make_area: Any, enter: Any, patients: Any, done: Any, slide_layer: Any,
    slide_file: Path,
) -> None:  # fmt: skip
    enter("7")  # before there is any area
    make_area()
    done(dock)
    assert patients() == {"area 1": "7"}
    # The slide is opened again, by somebody who types nothing.
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    viewer.layers.clear()
    assert dock.areas.patient.edit.text() == ""
    viewer.open(slide_file, plugin="napari-gland-mtl")
    done(dock)
    assert dock.areas.patient.edit.text() == "7"
    make_area(box=(500, 200, 700, 500))
    assert patients() == {"area 1": "7", "area 2": "7"}


def test_another_image_does_not_inherit_it(
    viewer: Any, dock: Any, area: Any, enter: Any, done: Any, write_pyramid: Any, slide_pixels: Any
) -> None:
    enter("7")
    other = write_pyramid("other.tif", slide_pixels)
    (layer,) = viewer.open(other, plugin="napari-gland-mtl")
    dock.inputs.image_chooser.choose(layer)
    done(dock)
    assert dock.areas.patient.edit.text() == ""
    assert dock.areas.patient.edit.placeholderText() == "unknown"


def test_different_patients_are_said_and_left_alone_until_one_is_entered(
    dock: Any, make_area: Any, enter: Any, patients: Any, done: Any, slide_file: Path, qtbot: Any
) -> None:
    make_area()
    done(dock)
    make_area(box=(500, 200, 700, 500))
    done(dock)
    for row in dock.areas.list.rows:
        dock.close_area(row)
        done(dock)
    project = AnnotationProject(project_path(slide_file))
    for stored, name in zip(project.stored(), ("A", "B"), strict=True):
        area, revision = project.load(stored.key)
        info = area.info.model_copy(update={"patient": name})
        project.save(stored.key, replace(area, info=info), revision)
    dock.refresh_list()
    done(dock)
    edit = dock.areas.patient.edit
    qtbot.waitUntil(lambda: edit.placeholderText() == "several: A, B")
    assert edit.text() == ""
    edit.setFocus()
    edit.clearFocus()
    done(dock)
    assert sorted(patients().values()) == ["A", "B"]
    enter("C")
    assert set(patients().values()) == {"C"}
    assert edit.text() == "C"


def test_an_area_that_is_closed_while_it_is_saved_gets_it_and_no_copy(
    dock: Any, area: Any, type_in: Any, patients: Any, done: Any, qtbot: Any, disc: Any,
    stored: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    go, write = threading.Event(), area.store.write

    def slow(snapshot: Any) -> Any:
        go.wait(20)
        return write(snapshot)

    done(dock)
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    monkeypatch.setattr(area.store, "write", slow)
    dock.close_area(dock.areas.list.rows[0])
    assert area.state.saving
    type_in("7")
    dock.open_area(dock.areas.list.rows[0])
    qtbot.wait(300)
    assert dock.session.current is None  # it waits for the save
    go.set()
    done(dock)
    again = dock.session.current
    assert again.info.patient == "7"
    assert again.glands_layer.data[60, 60] == 1
    again.glands_layer.data_setitem(np.nonzero(disc(again, 60, 200, 30)), 2)
    dock.save_now()
    assert patients() == {"area 1": "7"}
    assert stored(again).glands[60, 200] == 2


def test_what_is_drawn_during_a_save_is_kept_when_the_area_is_closed_before_its_end(
    dock: Any, area: Any, done: Any, qtbot: Any, disc: Any, stored: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    go, write = threading.Event(), area.store.write

    def slow(snapshot: Any) -> Any:
        go.wait(20)
        return write(snapshot)

    done(dock)
    monkeypatch.setattr(area.store, "write", slow)
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    qtbot.waitUntil(lambda: area.state.saving, timeout=8000)
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 200, 30)), 2)
    dock.close_area(dock.areas.list.rows[0])
    go.set()
    qtbot.waitUntil(lambda: stored(area).glands[60, 200] == 2, timeout=8000)


def test_an_area_that_is_opened_right_after_typing_has_it_and_is_not_copied(
    dock: Any, area: Any, type_in: Any, patients: Any, done: Any, qtbot: Any, disc: Any,
    slow_assignment: Any,
) -> None:  # fmt: skip
    done(dock)
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    type_in("7")
    dock.open_area(dock.areas.list.rows[0])
    qtbot.wait(300)
    slow_assignment.set()
    done(dock)
    again = dock.session.current
    assert again.info.patient == "7"
    again.glands_layer.data_setitem(np.nonzero(disc(again, 60, 60, 30)), 1)
    dock.save_now()
    assert patients() == {"area 1": "7"}
    assert not dock.message.isVisible()


def test_what_is_entered_while_an_area_is_opened_waits_for_it(
    dock: Any, area: Any, patients: Any, done: Any
) -> None:
    done(dock)
    dock.close_area(dock.areas.list.rows[0])
    done(dock)
    dock.open_area(dock.areas.list.rows[0])
    dock.shelf.assign("7")  # as a field that loses the focus when it is disabled
    done(dock)
    assert dock.session.current.info.patient == "7"
    dock.save_now()
    assert patients() == {"area 1": "7"}


def test_a_new_area_does_not_have_a_patient_that_was_just_cleared(
    dock: Any, make_area: Any, enter: Any, type_in: Any, patients: Any, done: Any
) -> None:
    make_area()
    enter("7")
    type_in("")
    assert patients() == {"area 1": "7"}  # it is not saved yet
    make_area(box=(500, 200, 700, 500))
    assert dock.session.current.info.patient == ""


def test_patients_of_several_images_are_saved_one_after_the_other(
    viewer: Any, dock: Any, make_area: Any, type_in: Any, done: Any, write_pyramid: Any,
    slide_pixels: Any, slow_assignment: Any,
) -> None:  # fmt: skip
    paths = []
    for number in range(3):
        if number:
            path = write_pyramid(f"slide{number}.tif", slide_pixels)
            (layer,) = viewer.open(path, plugin="napari-gland-mtl")
            dock.inputs.image_chooser.choose(layer)
            done(dock)
        paths.append(make_area().store.project)
        done(dock)
        dock.close_area(dock.areas.list.rows[0])
        done(dock)
    images = [layer for layer in viewer.layers if type(layer).__name__ == "Image"]
    for number, image in enumerate(images):
        dock.inputs.image_chooser.choose(image)
        type_in(f"P{number}")
    slow_assignment.set()
    done(dock)
    found = [AnnotationProject(path).stored()[0].info.patient for path in paths]
    assert found == ["P0", "P1", "P2"]


def test_nothing_is_entered_before_it_is_known_which_areas_there_are(
    dock: Any, area: Any, done: Any
) -> None:
    done(dock)
    edit = dock.areas.patient.edit
    assert edit.isEnabled()
    dock.shelf.show_another_image()
    assert not edit.isEnabled()
    done(dock)
    assert edit.isEnabled()


def test_the_field_rests_while_an_area_of_no_open_slide_is_worked_on(
    viewer: Any, dock: Any, area: Any, done: Any, write_pyramid: Any, slide_pixels: Any
) -> None:
    done(dock)
    row = dock.areas.list.rows[0]
    dock.close_area(row)
    done(dock)
    other = write_pyramid("other.tif", slide_pixels)
    (layer,) = viewer.open(other, plugin="napari-gland-mtl")
    dock.inputs.image_chooser.choose(layer)
    done(dock)
    assert dock.areas.patient.edit.isEnabled()
    assert dock.open_area_on(None, row)
    assert not dock.open_area_on(None, row)  # busy
    done(dock)
    assert dock.session.current is not None
    assert not dock.areas.patient.edit.isEnabled()
