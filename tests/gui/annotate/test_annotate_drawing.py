"""Drawing with the mouse: outlines, brush, picking, regions, and what is saved of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
PREDICTION = "The model's prediction"


@pytest.fixture
def outline(qtbot: Any, canvas: Any, position: Any) -> Any:
    """Clicks the corners of an outline and ends it with a double click."""

    def click(layer: Any, *corners: tuple[float, float]) -> None:
        native = canvas()
        for corner in corners:
            point = position(native, layer, corner)
            qtbot.mouseMove(native, point)
            qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=point)
            qtbot.wait(50)
        qtbot.mouseDClick(native, Qt.MouseButton.LeftButton, pos=point)
        qtbot.wait(50)

    return click


@pytest.fixture
def close_up(dock: Any, area: Any, qtbot: Any) -> Any:
    """The area, filling the window."""
    dock.areas.list.open_button.click()
    qtbot.wait(200)
    return area


def test_each_outline_is_another_gland_and_is_saved_by_itself(
    close_up: Any, outline: Any, stored: Any, until_saved: Any
) -> None:
    layer = close_up.glands_layer
    outline(layer, (20, 20), (20, 80), (80, 80), (80, 20))
    outline(layer, (20, 120), (20, 180), (80, 180), (80, 120))
    found = layer.data
    assert found[50, 50] == 1
    assert found[50, 150] == 2
    assert found[150, 150] == 0
    assert np.count_nonzero(found == 1) == pytest.approx(3600, rel=0.1)
    assert layer.selected_label == 3
    until_saved(close_up)
    np.testing.assert_array_equal(stored(close_up).glands, found)


def test_without_the_tick_outlines_go_on_with_the_same_gland(
    dock: Any, close_up: Any, outline: Any
) -> None:
    dock.panel.tools.next_tick.setChecked(False)
    layer = close_up.glands_layer
    outline(layer, (20, 20), (20, 80), (80, 80), (80, 20))
    outline(layer, (60, 60), (60, 120), (120, 120), (120, 60))
    assert set(np.unique(layer.data)) == {0, 1}
    dock.panel.tools.new_gland()
    assert layer.selected_label == 2


def test_a_gland_is_picked_then_painted_on_and_undone(
    dock: Any, close_up: Any, disc: Any, drag: Any, qtbot: Any
) -> None:
    layer = close_up.glands_layer
    layer.data_setitem(np.nonzero(disc(close_up, 60, 60, 30)), 1)
    layer.data_setitem(np.nonzero(disc(close_up, 60, 200, 30)), 2)
    before = layer.data.copy()
    dock.findChild(type(dock.panel.check.check_button), "pick_button").click()
    drag(layer, (60, 60))
    qtbot.waitUntil(lambda: layer.mode == "paint")
    assert layer.selected_label == 1
    drag(layer, (60, 75), (60, 100), (60, 130))
    assert layer.data[60, 125] == 1
    assert layer.data[60, 200] == 2
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)


def test_while_painting_goes_on_it_is_saved_all_the_same(
    close_up: Any, stored: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_gland_mtl.widgets._annotation_area.LONGEST_S", 3.0)
    layer = close_up.glands_layer
    for step in range(60):  # 6 s without a pause
        layer.paint((30 + step, 60), 1)
        qtbot.wait(100)
        if stored(close_up).glands.any():
            break
    assert 10 < step < 59, "saved too early, or not before the painting ended"


def test_what_is_undone_is_saved_too(
    close_up: Any, disc: Any, stored: Any, until_saved: Any
) -> None:
    layer = close_up.glands_layer
    layer.data_setitem(np.nonzero(disc(close_up, 60, 60, 30)), 1)
    until_saved(close_up)
    assert stored(close_up).glands.any()
    layer.undo()
    until_saved(close_up)
    assert not stored(close_up).glands.any()


def test_looking_around_writes_nothing(
    dock: Any, viewer: Any, close_up: Any, until_saved: Any, qtbot: Any
) -> None:
    from napari_gland_mtl.annotations import AnnotationProject

    project = AnnotationProject(close_up.store.project)
    (before,) = project.stored()
    close_up.glands_layer.visible = False
    close_up.glands_layer.visible = True
    close_up.glands_layer.opacity = 0.5
    until_saved(close_up)
    assert project.stored() == [before]
    close_up.glands_layer.paint((50, 50), 1)  # the control
    until_saved(close_up)
    assert project.stored() != [before]


def test_class_and_tick_are_saved(
    dock: Any, area: Any, stored: Any, until_saved: Any, done: Any
) -> None:
    tools = dock.panel.tools
    tools.class_combo.setCurrentText("malignant")
    tools.complete_tick.click()
    until_saved(area)
    assert (stored(area).info.class_name, stored(area).info.complete) == ("malignant", True)
    done(dock)
    (item,) = [dock.areas.list.tree.topLevelItem(0)]
    assert item.text(2) == "malignant"
    tools.class_combo.setCurrentText("unknown")
    until_saved(area)
    assert stored(area).info.class_name == ""


def test_regions_are_painted_with_the_button_of_their_name(
    dock: Any, make_area: Any, drag: Any, qtbot: Any, stored: Any, until_saved: Any
) -> None:
    area = make_area(way="Regions")
    dock.areas.list.open_button.click()
    qtbot.wait(200)
    layer = area.regions_layer
    for code, name in ((STROMA, "stroma"), (EPITHELIUM, "epithelium"), (LUMEN, "lumen")):
        button = dock.findChild(type(dock.panel.check.check_button), f"{name}_button")
        button.click()
        drag(layer, (40.0 * code, 50), (40.0 * code, 200))
        assert layer.data[40 * code, 120] == code
    dock.findChild(type(dock.panel.check.check_button), "unpaint_button").click()
    drag(layer, (40, 50), (40, 200))
    assert layer.data[40, 120] == 0
    until_saved(area)
    np.testing.assert_array_equal(stored(area).regions, layer.data)
    assert stored(area).info.way == "regions"


def test_there_are_no_regions_beyond_the_known_ones(make_area: Any) -> None:
    layer = make_area(way="Regions").regions_layer
    layer.selected_label = 7
    assert layer.selected_label == LUMEN


def test_the_regions_of_an_erased_gland_go_with_it_and_come_back_with_it(
    make_area: Any, qtbot: Any
) -> None:
    area = make_area(PREDICTION)
    glands, regions = area.glands_layer, area.regions_layer
    label = int(np.bincount(glands.data[glands.data > 0]).argmax())
    gland = glands.data == label
    before = regions.data.copy()
    assert before[gland].any()
    glands.data_setitem(np.nonzero(gland), 0)
    qtbot.waitUntil(lambda: not regions.data[gland].any(), timeout=3000)
    np.testing.assert_array_equal(regions.data[~gland], before[~gland])
    glands.undo()
    qtbot.waitUntil(lambda: bool((regions.data == before).all()), timeout=3000)
