"""The topology check of an annotation: list, look, repair, undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.annotations import violations

STROMA, EPITHELIUM, LUMEN = 1, 2, 3


@pytest.fixture
def spoilt(area: Any, disc: Any) -> Any:
    """Gland 1 with a small hole and a speck, gland 2 with a second piece of some size."""
    labels = np.zeros((200, 300), np.int32)
    labels[disc(area, 60, 60, 30)] = 1
    labels[disc(area, 60, 60, 3)] = 0
    labels[150:152, 20:24] = 1
    labels[disc(area, 60, 200, 30)] = 2
    labels[disc(area, 160, 200, 12)] = 2
    area.glands_layer.data_setitem(np.nonzero(labels), labels[labels > 0])
    return area


@pytest.fixture
def checked(dock: Any, spoilt: Any, done: Any) -> Any:
    dock.panel.check.check_button.click()
    done(dock)
    return spoilt


def texts(dock: Any) -> list[str]:
    items = dock.panel.check.list
    return [items.item(row).text() for row in range(items.count())]


def marks(viewer: Any) -> list[Any]:
    return [layer for layer in viewer.layers if layer.name == "violation"]


def test_every_violation_is_listed_in_words(dock: Any, checked: Any) -> None:
    assert sorted(texts(dock)) == [
        f"Gland 1: a hole ({np.count_nonzero(checked.glands[55:66, 55:66] == 0)} px)",
        "Gland 1: a second piece (8 px)",
        f"Gland 2: a second piece ({np.count_nonzero(checked.glands[140:, 150:] == 2)} px)",
    ]
    assert dock.panel.check.label.text().startswith("3 places break the rules")


def test_a_sound_area_says_so(dock: Any, area: Any, disc: Any, done: Any) -> None:
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    dock.panel.check.check_button.click()
    done(dock)
    assert "No place breaks" in dock.panel.check.label.text()
    assert texts(dock) == []


def test_a_click_brings_a_violation_into_view_and_marks_it(
    viewer: Any, dock: Any, checked: Any, qtbot: Any
) -> None:
    from qtpy.QtCore import Qt

    items, contains = dock.panel.check.list, Qt.MatchFlag.MatchContains
    active = viewer.layers.selection.active
    place = items.visualItemRect(items.findItems("Gland 2", contains)[0]).center()
    qtbot.mouseClick(items.viewport(), Qt.MouseButton.LeftButton, pos=place)
    camera = getattr(viewer, "scene", viewer).camera
    centre = checked.glands_layer.world_to_data(tuple(camera.center)[-2:])
    np.testing.assert_allclose(centre, (160, 200), atol=1.5)
    (mark,) = marks(viewer)
    np.testing.assert_allclose(
        mark.data_to_world(mark.data[0]), checked.glands_layer.data_to_world((160, 200)), atol=1
    )
    assert viewer.layers.selection.active is active
    shown = set()
    for _ in range(40):
        shown.add(bool(mark.visible))
        qtbot.wait(40)
    assert shown == {True, False}
    assert mark.visible


def test_repair_mends_what_needs_no_guess_and_lists_the_rest(
    dock: Any, checked: Any, done: Any, disc: Any
) -> None:
    dock.panel.check.repair_button.click()
    done(dock)
    glands = checked.glands_layer.data
    assert glands[60, 60] == 1
    assert not glands[150:152, 20:24].any()
    assert (glands[disc(checked, 160, 200, 11)] == 2).all()
    assert len(texts(dock)) == 1
    assert "second piece" in texts(dock)[0]
    assert dock.panel.check.label.text().startswith("2 places were mended.")


def test_one_step_of_undo_takes_a_repair_back(
    dock: Any, viewer: Any, checked: Any, done: Any, canvas: Any, qtbot: Any
) -> None:
    from qtpy.QtCore import Qt

    before = checked.glands_layer.data.copy()
    dock.panel.check.repair_button.click()
    done(dock)
    mended = checked.glands_layer.data.copy()
    assert (mended != before).any()
    viewer.layers.selection.active = checked.glands_layer
    native = canvas()
    native.setFocus()
    qtbot.keyClick(native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool((checked.glands_layer.data == before).all()), timeout=3000)
    checked.glands_layer.redo()
    np.testing.assert_array_equal(checked.glands_layer.data, mended)
    # The list follows what was undone.
    checked.glands_layer.undo()
    qtbot.waitUntil(lambda: len(texts(dock)) == 3, timeout=5000)


def test_the_button_undoes_a_repair_and_leaves_what_was_painted_since(
    dock: Any, checked: Any, done: Any, disc: Any
) -> None:
    before = checked.glands_layer.data.copy()
    dock.panel.check.repair_button.click()
    done(dock)
    painted = disc(checked, 170, 60, 8)
    checked.glands_layer.data_setitem(np.nonzero(painted), 5)
    dock.panel.check.undo_button.click()
    done(dock)
    expected = np.where(painted, 5, before)
    np.testing.assert_array_equal(checked.glands_layer.data, expected)
    assert not dock.panel.check.undo_button.isVisible()


def test_undo_is_offered_for_the_repaired_area_only(
    viewer: Any, dock: Any, checked: Any, make_area: Any, done: Any
) -> None:
    before = checked.glands_layer.data.copy()
    dock.panel.check.repair_button.click()
    done(dock)
    make_area(box=(600, 600, 700, 700))
    assert not dock.panel.check.undo_button.isVisible()
    viewer.layers.selection.active = checked.glands_layer
    dock.panel.check.undo_button.click()
    done(dock)
    np.testing.assert_array_equal(checked.glands_layer.data, before)


def test_lumen_at_the_stroma_gets_epithelium(dock: Any, make_area: Any, done: Any) -> None:
    area = make_area(way="Regions")
    regions = np.full((200, 300), STROMA, np.uint8)
    regions[50:100, 50:100] = EPITHELIUM
    regions[60:90, 60:100] = LUMEN  # open to the right
    area.regions_layer.data_setitem(np.nonzero(regions), regions[regions > 0])
    dock.panel.check.check_button.click()
    done(dock)
    assert "lumen touches" in texts(dock)[0]
    dock.panel.check.repair_button.click()
    done(dock)
    assert (area.regions_layer.data[60:90, 99] == EPITHELIUM).all()
    assert (area.regions_layer.data[65:85, 65:95] == LUMEN).all()
    assert texts(dock) == []
    assert violations(area.store.area(area.snapshot())) == []


def test_the_list_follows_corrections_by_hand(
    dock: Any, checked: Any, disc: Any, qtbot: Any
) -> None:
    checked.glands_layer.data_setitem(np.nonzero(disc(checked, 160, 200, 14)), 3)
    qtbot.waitUntil(lambda: len(texts(dock)) == 2, timeout=5000)
