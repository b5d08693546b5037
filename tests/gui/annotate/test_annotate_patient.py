"""Whose tissue an image shows: entered once, saved with all its areas, kept for the next one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_gland_mtl.annotations import AnnotationProject, project_path
from napari_gland_mtl.datasets import open_annotated


@pytest.fixture
def enter(dock: Any, qtbot: Any, done: Any) -> Any:
    """Types a patient into the field, as a user does, and waits until it is saved."""

    def type_in(name: str) -> None:
        edit = dock.areas.patient.edit
        edit.selectAll()
        qtbot.keyClicks(edit, name)
        qtbot.keyClick(edit, Qt.Key.Key_Return)
        dock.save_now()
        done(dock)

    return type_in


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
    dock: Any, make_area: Any, enter: Any, patients: Any, done: Any, slide_file: Path
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
    assert edit.text() == ""
    assert edit.placeholderText() == "several: A, B"
    edit.setFocus()
    edit.clearFocus()
    done(dock)
    assert sorted(patients().values()) == ["A", "B"]
    enter("C")
    assert set(patients().values()) == {"C"}
    assert edit.text() == "C"
