"""The part of the image: the view or a drawn rectangle limits the result, and it sits in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.widgets import _layers
from napari_gland_mtl.widgets._extent import Extent, view_corners, window_around

MPP = 0.5


def choose(widget: Any, extent: Extent) -> None:
    widget.inputs.extent_chooser.combo.setCurrentText(extent.value)


def test_a_drawn_rectangle_limits_the_result_and_it_sits_in_place(
    viewer: Any, widget: Any, image: Any, finish: Any
) -> None:
    choose(widget, Extent.SHAPES)
    widget.inputs.extent_chooser.draw_button.click()
    shapes = viewer.layers[-1]
    assert shapes.mode == "add_rectangle"
    assert shapes.units == image.units
    shapes.add_rectangles(np.array([[10.5, 19.5], [99.5, 119.5]]))
    widget.run()
    finish(widget)
    regions = _layers.result_layers(viewer, image)["regions"]
    assert regions.data.shape == (89, 100)
    np.testing.assert_allclose(regions.data_to_world((0, 0)), image.data_to_world((11, 20)))
    np.testing.assert_allclose(regions.scale, image.scale)


def test_a_part_shows_what_the_whole_shows_there(
    viewer: Any, widget: Any, image: Any, finish: Any
) -> None:
    widget.run()
    finish(widget)
    whole = _layers.result_layers(viewer, image)["regions"].data.copy()
    choose(widget, Extent.SHAPES)
    widget.inputs.extent_chooser.draw_button.click()
    viewer.layers[-1].add_rectangles(np.array([[-0.5, -0.5], [99.5, 127.5]]))
    widget.run()
    finish(widget)
    found = _layers.result_layers(viewer, image)
    assert len(found) == 3
    inner = np.s_[:90, :100]
    np.testing.assert_array_equal(found["regions"].data[inner], whole[inner])


def test_run_without_a_rectangle_asks_for_one(viewer: Any, widget: Any, image: Any) -> None:
    choose(widget, Extent.SHAPES)
    widget.run()
    assert "Press “Draw”" in widget.message.text()
    assert list(viewer.layers) == [image]
    assert not widget.running


def test_a_rectangle_beside_the_image_is_refused(viewer: Any, widget: Any, image: Any) -> None:
    choose(widget, Extent.SHAPES)
    widget.inputs.extent_chooser.draw_button.click()
    viewer.layers[-1].add_rectangles(np.array([[500.0, 500.0], [600.0, 600.0]]))
    widget.run()
    assert "outside" in widget.message.text()


def test_the_current_view_limits_the_result(
    viewer: Any, widget: Any, image: Any, finish: Any, qtbot: Any
) -> None:
    centre = image.data_to_world((80, 112))
    central = widget.window().centralWidget()
    camera = getattr(viewer, "scene", viewer).camera
    camera.center = centre
    camera.zoom = central.width() / (64 * MPP)
    qtbot.wait(200)
    choose(widget, Extent.VIEW)
    # Now: the window may be laid out anew when the result comes.
    shape = central.height() / central.width()
    widget.run()
    finish(widget)
    regions = _layers.result_layers(viewer, image)["regions"]
    height, width = regions.data.shape
    assert width == pytest.approx(64, abs=2)
    assert height == pytest.approx(64 * shape, abs=2)
    middle = regions.data_to_world(((height - 1) / 2, (width - 1) / 2))
    np.testing.assert_allclose(middle, centre, atol=2 * MPP)
    # What napari itself says is in view.
    np.testing.assert_allclose(image.corner_pixels[:, 1], (112 - 32, 112 + 32), atol=3)


def test_the_view_reaches_half_the_canvas_from_its_centre() -> None:
    corners = view_corners((0.0, 10.0, 20.0), 2.0, (100, 200))
    assert corners.min(axis=0).tolist() == [-15.0, -30.0]
    assert corners.max(axis=0).tolist() == [35.0, 70.0]


def test_a_speck_is_too_small_a_part(image: Any) -> None:
    points = [image.data_to_world(p) for p in ((10, 10), (14, 14))]
    with pytest.raises(InvalidInputError, match="at least"):
        window_around(points, image)


def test_a_box_is_clipped_to_the_image(image: Any) -> None:
    points = [image.data_to_world(p) for p in ((-50, 100), (60, 900))]
    assert window_around(points, image) == (0, 100, 61, 224)


def test_of_a_round_shape_the_box_around_it_is_segmented_and_said_to_be(
    viewer: Any, widget: Any, image: Any, finish: Any
) -> None:
    choose(widget, Extent.SHAPES)
    widget.inputs.extent_chooser.draw_button.click()
    shapes = viewer.layers[-1]
    shapes.add_rectangles(np.array([[9.5, 19.5], [89.5, 119.5]]))
    widget.inputs.refresh()
    assert "around the shape" not in widget.inputs.way_label.text()
    shapes.data = []
    shapes.add_ellipses(np.array([[49.5, 69.5], [40.0, 50.0]]))
    widget.inputs.refresh()
    assert "around the shape" in widget.inputs.way_label.text()
    widget.run()
    finish(widget)
    assert _layers.result_layers(viewer, image)["regions"].data.shape == (80, 100)
