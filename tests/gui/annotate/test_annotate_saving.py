"""Areas are closed, opened again, renamed, removed; nothing is lost whoever closes what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets._annotation_registry import save_open_annotations


@pytest.fixture
def painted(area: Any, disc: Any) -> Any:
    """An area with a gland that is not saved yet."""
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    return area


def choose(dock: Any, name: str) -> Any:
    for row in dock.areas.list.rows:
        if row.stored.info.name == name:
            dock.areas.list.choose(row.identity)
            return row
    raise AssertionError(f"{name} is not listed")


def test_the_line_says_when_it_was_saved(
    dock: Any, painted: Any, until_saved: Any, qtbot: Any
) -> None:
    label = dock.panel.saved.label
    qtbot.waitUntil(lambda: label.text().startswith("Changes are saved in a moment"), timeout=2000)
    until_saved(painted)
    qtbot.waitUntil(lambda: label.text() == "Saved just now", timeout=3000)
    qtbot.waitUntil(lambda: label.text() == "Saved 4 s ago", timeout=6000)
    assert not dock.panel.saved.button.isVisible()


def test_close_saves_and_a_double_click_opens_the_area_again(
    viewer: Any, dock: Any, slide_layer: Any, painted: Any, done: Any, on_disk: Any, qtbot: Any
) -> None:
    from qtpy.QtCore import Qt

    data = painted.glands_layer.data.copy()
    dock.areas.list.close_button.click()
    assert list(viewer.layers) == [slide_layer] or len(viewer.layers) == 2  # and the shapes
    assert not dock.panel.isVisible()
    qtbot.waitUntil(lambda: bool(on_disk()["area 1"].glands.any()), timeout=5000)
    done(dock)
    tree = dock.areas.list.tree
    place = tree.visualItemRect(tree.topLevelItem(0)).center()
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    done(dock)
    again = dock.session.current
    assert again is not painted
    np.testing.assert_array_equal(again.glands_layer.data, data)
    np.testing.assert_allclose(
        again.glands_layer.data_to_world((0, 0)), slide_layer.data_to_world((250, 200))
    )
    # And it is in the middle of the window.
    camera = getattr(viewer, "scene", viewer).camera
    centre = again.glands_layer.world_to_data(tuple(camera.center)[-2:])
    np.testing.assert_allclose(centre, (99.5, 149.5), atol=0.6)


def test_opening_the_slide_again_offers_its_areas(
    make_napari_viewer: Any, painted: Any, viewer: Any, slide_file: Path, done: Any
) -> None:
    save_open_annotations(viewer)
    viewer.close()
    other = make_napari_viewer(show=True)
    other.open(slide_file, plugin="napari-gland-mtl")
    _, dock = other.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    done(dock)
    assert [row.stored.glands for row in dock.areas.list.rows] == [1]
    choose(dock, "area 1")
    dock.areas.list.open_button.click()
    done(dock)
    assert dock.session.current.glands_layer.data[60, 60] == 1


def test_a_removed_layer_closes_the_area_and_saves_it(
    viewer: Any, dock: Any, painted: Any, on_disk: Any, qtbot: Any
) -> None:
    viewer.layers.remove(painted.glands_layer)
    assert painted.regions_layer not in viewer.layers
    qtbot.waitUntil(lambda: bool(on_disk()["area 1"].glands.any()), timeout=5000)
    assert "so the area was closed" in dock.message.text()


def test_closing_the_window_saves(viewer: Any, painted: Any, on_disk: Any) -> None:
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QApplication

    assert not on_disk()["area 1"].glands.any()
    QApplication.sendEvent(viewer.window._qt_window, QCloseEvent())
    assert on_disk()["area 1"].glands.any()


def test_closing_the_viewer_saves(viewer: Any, painted: Any, on_disk: Any) -> None:
    viewer.close()
    assert on_disk()["area 1"].glands.any()


def test_without_the_dock_it_is_still_saved_and_the_dock_finds_the_area_again(
    viewer: Any, dock: Any, area: Any, disc: Any, on_disk: Any, qtbot: Any, done: Any
) -> None:
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.wait(200)
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), 1)
    qtbot.waitUntil(lambda: bool(on_disk()["area 1"].glands.any()), timeout=8000)
    _, again = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    done(again)
    assert again.panel.area is area
    assert again.panel.isVisible()


def test_others_can_ask_for_everything_to_be_saved_at_once(
    viewer: Any, dock: Any, painted: Any, on_disk: Any
) -> None:
    save_open_annotations(viewer)
    assert on_disk()["area 1"].glands.any()
    painted.glands_layer.paint((150, 150), 2)
    dock.save_now()
    assert on_disk()["area 1"].glands[150, 150] == 2


def test_an_open_area_is_renamed_with_its_layers(
    dock: Any, area: Any, on_disk: Any, until_saved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_gland_mtl.widgets._annotate_shelf.QInputDialog.getText",
        lambda *args, **settings: ("crypts", True),
    )
    choose(dock, "area 1")
    dock.areas.list.rename_button.click()
    assert area.glands_layer.name == "slide · crypts glands"
    until_saved(area)
    assert list(on_disk()) == ["crypts"]


def test_a_closed_area_is_renamed_and_a_name_in_use_is_not_taken_twice(
    dock: Any, make_area: Any, on_disk: Any, done: Any, qtbot: Any
) -> None:
    make_area()
    make_area(box=(600, 600, 800, 800))
    for name in ("area 1", "area 2"):
        choose(dock, name)
        dock.areas.list.close_button.click()
        done(dock)
    dock.rename_area(choose(dock, "area 2"), "area 1")

    def listed() -> list[str]:
        return [row.stored.info.name for row in dock.areas.list.rows]

    qtbot.waitUntil(lambda: listed() == ["area 1", "area 1 (2)"], timeout=8000)
    assert list(on_disk()) == listed()


def test_remove_is_undone_by_a_button_with_the_last_strokes(
    viewer: Any, dock: Any, painted: Any, on_disk: Any, done: Any
) -> None:
    choose(dock, "area 1")
    dock.areas.list.remove_button.click()
    done(dock)
    assert on_disk() == {}
    assert dock.areas.list.rows == ()
    assert painted.glands_layer not in viewer.layers
    assert dock.message.button.text() == "Undo"
    dock.message.button.click()
    done(dock)
    assert on_disk()["area 1"].glands.any()
    assert [row.stored.info.name for row in dock.areas.list.rows] == ["area 1"]


def test_two_areas_are_worked_on_side_by_side(
    viewer: Any, dock: Any, make_area: Any, qtbot: Any
) -> None:
    first = make_area()
    second = make_area(way="Regions", box=(600, 600, 800, 800))
    assert dock.panel.area is second
    viewer.layers.selection.active = first.glands_layer
    assert dock.panel.area is first
    assert dock.panel.tools.gland_tools.isVisible()
    choose(dock, "area 2")
    dock.areas.list.open_button.click()
    assert dock.panel.area is second
    assert viewer.layers.selection.active is second.regions_layer
    assert not dock.panel.tools.gland_tools.isVisible()
