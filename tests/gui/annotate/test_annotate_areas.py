"""A part of a slide becomes an area: in place, at the model's um/px, empty or predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject, project_path
from napari_gland_mtl.widgets._extent import Extent

MPP = 0.5
STROMA, EPITHELIUM, LUMEN = 1, 2, 3
PREDICTION = "The model's prediction"


def test_a_drawn_rectangle_becomes_layers_in_place_and_a_project_beside_the_slide(
    viewer: Any, slide_layer: Any, slide_file: Path, area: Any
) -> None:
    assert area.info.window == (250, 200, 450, 500)
    assert [layer.name for layer in area.layers.values()] == [
        "slide · area 1 regions",
        "slide · area 1 glands",
    ]
    for layer in area.layers.values():
        assert not layer.multiscale
        assert layer.data.shape == (200, 300)
        assert layer.units == slide_layer.units
        for inside, pixel in (((0, 0), (250, 200)), ((199, 299), (449, 499))):
            np.testing.assert_allclose(
                layer.data_to_world(inside), slide_layer.data_to_world(pixel)
            )
    (stored,) = AnnotationProject(project_path(slide_file)).stored()
    assert (stored.info.name, stored.info.way, stored.glands) == ("area 1", "glands", 0)
    assert stored.info.slide_path == str(slide_file)
    assert viewer.layers.selection.active is area.glands_layer
    assert area.glands_layer.mode == "polygon"


def test_the_area_is_the_part_of_the_slide_that_is_in_view(
    viewer: Any, dock: Any, slide_layer: Any, start: Any, done: Any, qtbot: Any
) -> None:
    camera = getattr(viewer, "scene", viewer).camera
    camera.center = slide_layer.data_to_world((500, 700))
    camera.zoom = 4.0
    qtbot.wait(200)
    start(dock)
    done(dock)
    y0, x0, y1, x1 = dock.session.current.info.window
    assert ((y0 + y1) / 2, (x0 + x1) / 2) == pytest.approx((500, 700), abs=2)
    width = dock.window().centralWidget().width()
    assert x1 - x0 == pytest.approx(width / 4.0 / MPP, abs=3)


def test_a_small_image_is_an_area_as_a_whole(
    viewer: Any, dock: Any, image: Any, start: Any, done: Any, own_folder: Path
) -> None:
    dock.inputs.extent_chooser.combo.setCurrentText(Extent.WHOLE.value)
    start(dock)
    done(dock)
    area = dock.session.current
    assert area.info.window == (0, 0, 160, 224)
    # It comes from no file: the dock says where its areas are.
    assert area.store.project.parent == own_folder
    said = dock.areas.place_label.text().replace("\u200b", "")
    assert "no file" in said
    assert str(area.store.project) in said


def test_two_images_in_one_place_are_said_and_a_map_of_the_own_result_is_none(
    viewer: Any, widget: Any, dock: Any, image: Any, tissue: Any, finish: Any
) -> None:
    widget.run()
    finish(widget)
    widget.result.uncertainty.tick.click()
    (shown,) = [layer for layer in viewer.layers if layer.name.endswith("uncertainty")]
    assert shown.visible
    dock.inputs.refresh()
    assert "Not in sight" not in dock.inputs.size_label.text()
    viewer.add_image(tissue, name="other", scale=image.scale, translate=image.translate, units="um")
    dock.inputs.image_chooser.choose(image)
    dock.inputs.refresh()
    assert "Not in sight: “other” lies over “tissue”" in dock.inputs.size_label.text()


@pytest.mark.parametrize("mpp", [0.25, 0.8])
def test_a_slide_of_another_scale_is_annotated_at_the_scale_of_the_model(
    viewer: Any,
    dock: Any,
    write_pyramid: Any,
    slide_pixels: Any,
    draw: Any,
    start: Any,
    done: Any,
    mpp: float,
) -> None:
    (layer,) = viewer.open(write_pyramid("other.tif", slide_pixels, mpp), plugin="napari-gland-mtl")
    draw(dock, 200, 100, 600, 500)
    start(dock)
    done(dock)
    area = dock.session.current
    assert area.info.mpp == MPP
    assert area.painted_layer.data.shape == pytest.approx((400 * mpp / MPP,) * 2, abs=1)
    np.testing.assert_allclose(area.painted_layer.scale, (MPP, MPP))
    # A ring of the slide is where the area shows it.
    for pixel in ((352.5, 288.5), (500.5, 400.5)):
        world = layer.data_to_world(pixel)
        inside = np.asarray(area.painted_layer.world_to_data(world))
        expected = ((np.array(pixel) + 0.5) - (200, 100)) * mpp / MPP - 0.5
        np.testing.assert_allclose(inside, expected, atol=0.01)


def test_a_shifted_rotated_and_scaled_slide_has_its_area_in_place_and_takes_it_along(
    viewer: Any, dock: Any, tissue: Any, draw: Any, start: Any, done: Any
) -> None:
    affine = np.array([[0.0, 1.0, 5.0], [-1.0, 0.0, 7.0], [0.0, 0.0, 1.0]])
    image = viewer.add_image(
        tissue, scale=(MPP, MPP), rotate=20, translate=(3, -4), affine=affine, units="um"
    )
    dock.inputs.extent_chooser.combo.setCurrentText(Extent.WHOLE.value)
    start(dock)
    done(dock)
    area = dock.session.current

    def check() -> None:
        for layer in area.layers.values():
            for point in ((0, 0), (159, 223), (30, 90)):
                np.testing.assert_allclose(
                    layer.data_to_world(point), image.data_to_world(point), atol=1e-9
                )

    check()
    image.translate = (40, 50)
    image.rotate = 70
    check()


def test_whole_glands_begin_as_the_model_predicts_them_and_nothing_is_said_of_the_rest(
    make_area: Any, stored: Any
) -> None:
    area = make_area(PREDICTION)
    found = stored(area)
    assert found.info.model == "tiny"
    assert len(np.unique(found.glands)) > 3
    np.testing.assert_array_equal(area.glands_layer.data, found.glands)
    inside = found.glands > 0
    assert set(np.unique(found.regions[inside])) == {EPITHELIUM, LUMEN}
    assert not found.regions[~inside].any()


def test_the_prediction_lies_where_the_glands_are(
    make_area: Any, slide_layer: Any, slide_pixels: Any
) -> None:
    area = make_area(PREDICTION)
    y0, x0, y1, x1 = area.info.window
    purple = slide_pixels[y0:y1, x0:x1, 0] < 170
    found = area.regions_layer.data == EPITHELIUM
    overlap = (purple & found).sum() / (purple | found).sum()
    assert overlap > 0.85


def test_regions_begin_as_the_model_predicts_them(make_area: Any, stored: Any) -> None:
    area = make_area(PREDICTION, "Regions")
    assert area.glands_layer is None
    assert set(np.unique(area.regions_layer.data)) == {STROMA, EPITHELIUM, LUMEN}
    assert stored(area).info.way == "regions"


def test_a_cancelled_prediction_makes_no_area(
    dock: Any, viewer: Any, slide_layer: Any, slide_file: Path, draw: Any, start: Any, done: Any
) -> None:
    draw(dock, 200, 200, 800, 800)
    before = list(viewer.layers)
    start(dock, PREDICTION)
    dock.inputs.run_panel.cancel_button.click()
    done(dock)
    assert dock.session.areas == []
    assert list(viewer.layers) == before
    assert (
        not project_path(slide_file).exists()
        or not AnnotationProject(project_path(slide_file)).stored()
    )
    assert "no area was made" in dock.inputs.run_panel.status_label.text()


def test_too_large_and_too_small_areas_are_refused_before_anything_is_read(
    dock: Any,
    viewer: Any,
    slide_layer: Any,
    draw: Any,
    start: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_gland_mtl.widgets._annotate_inputs.LARGEST_SIDE", 256)
    draw(dock, 200, 200, 500, 400)
    start(dock)
    assert "at most 256 px" in dock.message.text()
    assert not dock.running
    draw(dock, 200, 200, 225, 400)
    start(dock)
    assert "at least 32 px" in dock.message.text()
    assert dock.session.areas == []


def test_of_several_rectangles_the_last_becomes_the_area(
    dock: Any, make_area: Any, draw: Any
) -> None:
    draw(dock, 600, 600, 800, 800)
    area = make_area(box=(250, 200, 450, 500))
    assert area.info.window == (250, 200, 450, 500)


def test_an_image_of_unknown_pixel_size_is_asked_for_it(
    viewer: Any, dock: Any, tissue: Any, start: Any
) -> None:
    viewer.add_image(tissue)
    start(dock)
    assert "pixel size" in dock.message.text()


def test_areas_of_one_slide_have_names_of_their_own(make_area: Any, dock: Any) -> None:
    first, second = make_area(), make_area(box=(600, 600, 800, 800))
    assert [first.info.name, second.info.name] == ["area 1", "area 2"]
    assert dock.session.current is second
    listed = [row.stored.info.name for row in dock.areas.list.rows]
    assert listed == ["area 1", "area 2"]
