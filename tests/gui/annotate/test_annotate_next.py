"""“Annotate next”: areas around the least certain glands, one press after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject
from napari_gland_mtl.widgets import _layers, _least_certain

MPP = 0.5


@pytest.fixture(autouse=True)
def _small_areas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of the tests are small, too."""
    monkeypatch.setattr(_least_certain, "SIDE_PX", 64)
    monkeypatch.setattr(_least_certain, "GLANDS_WIDE", 1.0)


@pytest.fixture
def field(viewer: Any, widget: Any, image: Any, finish: Any) -> Any:
    """A segmented image of two glands, of which the second is the less certain."""
    widget.run()
    finish(widget)
    glands = _layers.result_layers(viewer, image)["glands"]
    features = glands.features.copy()
    features.loc[features["label"] > 0, "uncertainty"] = [0.2, 0.6]
    glands.features = features
    return image


def annotate_dock(viewer: Any) -> Any:
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    return dock


def centre_of(viewer: Any, image: Any, row: int) -> Any:
    glands = _layers.result_layers(viewer, image)["glands"]
    label = glands.features["label"][row]
    return np.mean(np.nonzero(glands.data == label), axis=1)


def holds(window: Any, point: Any) -> bool:
    y0, x0, y1, x1 = window
    return bool(y0 <= point[0] < y1 and x0 <= point[1] < x1)


def test_each_press_makes_the_next_area_and_says_so_until_none_is_left(
    viewer: Any, widget: Any, field: Any, done: Any
) -> None:
    widget.result.uncertainty.next_button.click()
    dock = annotate_dock(viewer)
    done(dock)
    first = dock.session.current
    assert dock.isVisible()
    assert holds(first.info.window, centre_of(viewer, field, 1))
    assert not holds(first.info.window, centre_of(viewer, field, 0))
    assert first.info.mpp == MPP  # the model's
    assert first.glands.any()  # the prediction is there to be corrected
    assert "the least certain" in dock.message.text()
    assert "0.60" in dock.message.text()
    assert "1 gland is still outside" in dock.message.text()
    dock.areas.next_button.click()
    done(dock)
    second = dock.session.current
    assert second is not first
    assert holds(second.info.window, centre_of(viewer, field, 0))
    camera = getattr(viewer, "scene", viewer).camera
    height, width = second.painted_layer.data.shape
    middle = second.painted_layer.data_to_world(((height - 1) / 2, (width - 1) / 2))
    np.testing.assert_allclose(np.asarray(camera.center)[-2:], middle, atol=MPP)
    dock.areas.next_button.click()
    done(dock)
    assert "lies in an area already" in dock.message.text()
    assert len(dock.session.areas) == 2


def test_where_there_is_no_room_beside_an_area_what_was_drawn_there_is_taken_over(
    viewer: Any, widget: Any, field: Any, done: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_least_certain, "SIDE_PX", 128)
    dock = annotate_dock(viewer)
    dock.annotate_next(field)
    done(dock)
    first = dock.session.current
    assert first.info.window == (32, 96, 160, 224)
    first.painted_layer.paint((80, 12), 900)  # a gland that no model found
    drawn = np.array(first.painted_layer.data)
    dock.areas.next_button.click()  # at once, before it is saved by itself
    done(dock)
    second = dock.session.current
    assert second.info.window == (0, 0, 128, 128)
    taken = np.asarray(second.painted_layer.data)[32:, 96:]
    np.testing.assert_array_equal(taken, drawn[:96, :32])
    assert (taken == 900).any()
    text = dock.message.text()
    assert f"no room beside “{first.info.name}”" in text
    assert "in both" in text


def test_areas_that_are_closed_count_as_well(
    viewer: Any, widget: Any, field: Any, done: Any
) -> None:
    dock = annotate_dock(viewer)
    dock.annotate_next(field)
    done(dock)
    first = dock.session.current.info.window
    dock.session.close(dock.session.current)
    dock.annotate_next(field)
    done(dock)
    assert dock.session.current.info.window != first


def test_a_pixel_size_that_was_typed_in_goes_along(
    viewer: Any, widget: Any, tissue: Any, finish: Any, done: Any
) -> None:
    viewer.add_image(tissue, name="unknown")
    widget.inputs.pixel_size.edit.insert("0.5")
    widget.run()
    finish(widget)
    widget.result.uncertainty.next_button.click()
    dock = annotate_dock(viewer)
    done(dock)
    assert dock.inputs.pixel_size.value() == 0.5
    assert dock.session.current is not None


def test_without_a_result_it_is_said_what_to_do(viewer: Any, image: Any, done: Any) -> None:
    dock = annotate_dock(viewer)
    dock.areas.next_button.click()
    done(dock)
    assert "Segment it first" in dock.message.text()
    assert dock.session.current is None


def test_a_result_of_an_earlier_version_is_refused_in_words(
    viewer: Any, widget: Any, field: Any, done: Any
) -> None:
    glands = _layers.result_layers(viewer, field)["glands"]
    glands.features = glands.features.drop(columns="uncertainty")
    dock = annotate_dock(viewer)
    dock.annotate_next(field)
    done(dock)
    assert "earlier version" in dock.message.text()
    assert dock.session.current is None


def test_on_a_slide_the_area_is_cut_from_it_beside_the_slide(
    viewer: Any, widget: Any, slide: Any, slide_file: Path, finish: Any, done: Any
) -> None:
    widget.run()
    finish(widget, 60_000)
    assert widget.slide_result.uncertainty.tick.isVisible()
    widget.slide_result.uncertainty.next_button.click()
    dock = annotate_dock(viewer)
    done(dock, 60_000)
    window = dock.session.current.info.window
    project = AnnotationProject(slide_file.with_name("slide.annotations.zarr"))
    assert [stored.info.window for stored in project.stored()] == [window]
    table = _least_certain.slide_table(viewer, slide).read()
    likeliest = int(np.argmax(table["uncertainty"]))
    centre = [float(table[name][likeliest]) / MPP for name in ("y_um", "x_um")]
    assert holds(window, centre)
    assert dock.session.current.glands.any()
