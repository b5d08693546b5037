"""How certain the model is, on a real window: the layer, the table, the words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QTableView

from napari_gland_mtl.widgets import _layers
from napari_gland_mtl.widgets._layer_styles import UNCERTAINTY_COLOR, class_color

MPP = 0.5


@pytest.fixture(autouse=True)
def _table_of_napari(npe2pm: Any, _plugin: None) -> None:
    """napari's own widgets, of which the table is one."""
    import napari_builtins
    from npe2 import PluginManifest

    manifest = Path(napari_builtins.__file__).parent / "builtins.yaml"
    npe2pm.register(PluginManifest.from_file(manifest))


@pytest.fixture
def segmented(viewer: Any, widget: Any, image: Any, finish: Any) -> Any:
    widget.run()
    finish(widget)
    return image


@pytest.fixture
def layer(viewer: Any, segmented: Any) -> Any:
    return _layers.result_layers(viewer, segmented)["uncertainty"]


def gland_table(widget: Any) -> Any:
    tables = widget.window().findChildren(QTableView)
    (table,) = [found for found in tables if found.property("goes_to_glands")]
    return table


def column(table: Any, name: str) -> list[Any]:
    from qtpy.QtCore import Qt

    model = table.model()
    headers = [model.headerData(i, Qt.Orientation.Horizontal) for i in range(model.columnCount())]
    index = headers.index(name)
    return [model.index(row, index).data() for row in range(model.rowCount())]


def set_uncertainty(viewer: Any, image: Any, values: list[float]) -> Any:
    glands = _layers.result_layers(viewer, image)["glands"]
    features = glands.features.copy()
    features.loc[features["label"] > 0, "uncertainty"] = values
    glands.features = features
    return glands


def test_the_uncertainty_is_a_hidden_layer_that_the_tick_and_its_eye_show(
    widget: Any, layer: Any
) -> None:
    tick = widget.result.uncertainty.tick
    assert tick.isVisible()
    assert not layer.visible
    assert not tick.isChecked()
    assert 0 <= np.nanmin(layer.data) <= np.nanmax(layer.data) <= 1
    tick.click()
    assert layer.visible
    layer.visible = False
    assert not tick.isChecked()


def test_a_new_run_keeps_it_shown(widget: Any, layer: Any, finish: Any) -> None:
    widget.result.uncertainty.tick.click()
    widget.run()
    finish(widget)
    assert layer.visible
    assert widget.result.uncertainty.tick.isChecked()


def test_it_is_no_image_to_segment_and_has_a_colour_of_its_own(widget: Any, layer: Any) -> None:
    from napari_gland_mtl.regions import GLAND_REGIONS

    combo = widget.inputs.image_chooser
    assert [combo.itemText(i) for i in range(combo.count())] == ["tissue"]
    used = {region.color for region in GLAND_REGIONS.regions} | {class_color(i) for i in range(4)}
    assert UNCERTAINTY_COLOR not in used
    np.testing.assert_allclose(layer.colormap.map([0.0])[0, 3], 0)
    np.testing.assert_allclose(layer.colormap.map([1.0])[0, 3], 1)


def test_one_click_lists_the_least_certain_gland_first_and_a_row_goes_to_its_gland(
    viewer: Any, widget: Any, segmented: Any, qtbot: Any
) -> None:
    glands = set_uncertainty(viewer, segmented, [0.2, 0.6])
    widget.result.uncertainty.first_button.click()
    table = gland_table(widget)
    labels = [int(value) for value in column(table, "index")]
    by_label = dict(zip(glands.features["index"], glands.features["uncertainty"], strict=True))
    assert [by_label[label] for label in labels] == [0.6, 0.2]
    camera = getattr(viewer, "scene", viewer).camera
    for row, label in enumerate(labels):
        table.clicked.emit(table.model().index(row, 2))
        centre = np.mean(np.nonzero(glands.data == label), axis=1)
        np.testing.assert_allclose(
            np.asarray(camera.center)[-2:], glands.data_to_world(centre), atol=2 * MPP
        )


def test_the_least_certain_gland_is_chosen_and_in_view_at_once(
    viewer: Any, widget: Any, segmented: Any
) -> None:
    # The other way round napari itself would have chosen this row.
    glands = set_uncertainty(viewer, segmented, [0.6, 0.2])
    widget.result.uncertainty.first_button.click()
    table = gland_table(widget)
    assert {index.row() for index in table.selectionModel().selectedIndexes()} == {0}
    label = int(column(table, "index")[0])
    centre = glands.data_to_world(np.mean(np.nonzero(glands.data == label), axis=1))
    camera = getattr(viewer, "scene", viewer).camera
    np.testing.assert_allclose(np.asarray(camera.center)[-2:], centre, atol=2 * MPP)


def test_annotating_closes_the_table_which_would_be_empty_and_it_opens_again(
    viewer: Any, widget: Any, segmented: Any, qtbot: Any
) -> None:
    widget.result.uncertainty.first_button.click()
    table = gland_table(widget)
    assert table.isVisible()
    widget.result.uncertainty.next_button.click()
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    qtbot.waitUntil(lambda: not dock.running, timeout=30_000)
    assert dock.session.current is not None
    assert not table.window().isHidden()
    assert not table.parentWidget().isVisible()
    widget.window().raise_()
    widget.result.table_button.click()
    assert gland_table(widget).isVisible()


def test_of_a_part_the_rows_go_to_their_glands_as_well(
    viewer: Any, widget: Any, image: Any, finish: Any
) -> None:
    from napari_gland_mtl.widgets._extent import Extent

    widget.inputs.extent_chooser.combo.setCurrentText(Extent.SHAPES.value)
    widget.inputs.extent_chooser.draw_button.click()
    viewer.layers[-1].add_rectangles(np.array([[59.5, 99.5], [159.5, 219.5]]))
    widget.run()
    finish(widget)
    glands = _layers.result_layers(viewer, image)["glands"]
    widget.result.table_button.click()
    table = gland_table(widget)
    viewer.layers.selection.active = glands
    label = int(column(table, "index")[0])
    table.clicked.emit(table.model().index(0, 2))
    centre = np.mean(np.nonzero(glands.data == label), axis=1)
    camera = getattr(viewer, "scene", viewer).camera
    np.testing.assert_allclose(
        np.asarray(camera.center)[-2:], glands.data_to_world(centre), atol=2 * MPP
    )


def test_a_result_without_uncertainty_says_so(
    viewer: Any, widget: Any, segmented: Any, layer: Any
) -> None:
    row = widget.result.uncertainty
    viewer.layers.remove(layer)
    assert not row.tick.isVisible()
    assert row.next_button.isEnabled()  # the table still says it
    glands = _layers.result_layers(viewer, segmented)["glands"]
    glands.features = glands.features.drop(columns="uncertainty")
    glands.metadata = dict(glands.metadata, changed=True)
    widget.shown.forget()
    widget.shown.refresh()
    assert "earlier version" in row.note.text()
    assert row.note.isVisible()
    assert not row.next_button.isEnabled()
    assert not row.first_button.isEnabled()
