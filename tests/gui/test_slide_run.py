"""A slide on a real window: what a run writes, shows while it grows, replaces and leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.export.slide_layers import (
    HEAT_MAP,
    SLIDE_GLANDS,
    SLIDE_REGIONS,
    SLIDE_UNCERTAINTY,
    TISSUE_MASK,
)
from napari_gland_mtl.widgets import _layers, _slide_layers
from napari_gland_mtl.widgets._extent import Extent

MPP = 0.5
EPITHELIUM, LUMEN = 2, 3
GLANDS = 4 * 8


ROLES = {TISSUE_MASK, HEAT_MAP, SLIDE_REGIONS, SLIDE_UNCERTAINTY, SLIDE_GLANDS}


def shown(viewer: Any, image: Any) -> dict[str, Any]:
    """The layers of a slide's result by their role."""
    return {role: layer for (role, _), layer in _slide_layers.slide_layers(viewer, image).items()}


def label_at(layer: Any, image: Any, y: float, x: float) -> int:
    """What a multiscale labels layer says at a pixel of its image."""
    row, column = np.round(layer.world_to_data(image.data_to_world((y, x)))).astype(int)
    return int(np.asarray(layer.data[0][row, column]))


@pytest.fixture
def segmented(viewer: Any, widget: Any, slide: Any, finish: Any) -> Any:
    widget.run()
    finish(widget, 60_000)
    return slide


def test_the_dock_says_that_a_slide_is_written_to_disk_and_where(
    widget: Any, slide: Any, slide_file: Path
) -> None:
    inputs = widget.inputs
    assert inputs.is_slide
    assert "written to disk" in inputs.way_label.text()
    assert inputs.output_chooser.isVisible()
    assert inputs.tissue.isVisible()
    assert inputs.output_chooser.output.path == slide_file.with_name("slide.glands.ome.zarr")
    assert widget.run_panel.run_button.text() == "Run"


def test_a_field_of_view_is_asked_neither_for_a_folder_nor_for_tissue(
    widget: Any, image: Any, small_fields: None
) -> None:
    inputs = widget.inputs
    inputs.refresh()
    assert not inputs.is_slide
    assert "in memory" in inputs.way_label.text()
    assert not inputs.output_chooser.isVisible()
    assert not inputs.tissue.isVisible()


def test_a_run_shows_layers_that_read_the_store_and_lie_on_the_slide(
    viewer: Any, segmented: Any, slide_file: Path
) -> None:
    found = shown(viewer, segmented)
    assert set(found) == ROLES
    names = [layer.name for layer in viewer.layers]
    layers = ["tissue", "malignant", "regions", "uncertainty", "glands"]
    assert names == ["slide", *(f"slide {name}" for name in layers)]
    hidden = {role for role, layer in found.items() if not layer.visible}
    assert hidden == {TISSUE_MASK, HEAT_MAP, SLIDE_UNCERTAINTY}
    regions = found[SLIDE_REGIONS]
    assert regions.multiscale
    assert not isinstance(regions.data[0], np.ndarray)
    np.testing.assert_allclose(regions.extent.world, segmented.extent.world, atol=2 * MPP)
    assert label_at(regions, segmented, 272, 208) == LUMEN
    assert label_at(regions, segmented, 272, 248) == EPITHELIUM
    assert label_at(found[SLIDE_GLANDS], segmented, 272, 208) > 0
    assert slide_file.with_name("slide.glands.ome.zarr").is_dir()


def test_the_dock_says_what_was_found_on_the_slide(widget: Any, segmented: Any) -> None:
    panel = widget.slide_result
    assert panel.isVisible()
    assert panel.statement_label.text().startswith(f"{GLANDS} glands")
    assert panel.disclaimer.text().startswith("Research result, not a diagnosis.")
    assert "mm²" in panel.area_label.text()
    assert "rules of gland structure" in panel.topology_label.text()
    assert "slide malignant" in panel.map_label.text()
    assert not panel.trouble_label.isVisible()
    assert not panel.part_label.isVisible()
    assert panel.table_button.isVisible()
    assert "Done" in widget.run_panel.status_label.text()
    assert not widget.message.isVisible()


def test_the_gland_table_is_the_features_of_the_slide_glands(viewer: Any, segmented: Any) -> None:
    glands = shown(viewer, segmented)[SLIDE_GLANDS]
    assert len(glands.features) == GLANDS
    row = glands.features.iloc[0]
    world = np.array([row["y_um"], row["x_um"]])
    y, x = segmented.world_to_data(world)
    assert label_at(glands, segmented, y, x) in (0, row["index"])
    assert row["area_um2"] == pytest.approx(np.pi * (55 * MPP) ** 2, rel=0.1)


def test_a_finished_result_is_opened_unless_the_user_replaces_it(
    viewer: Any, widget: Any, segmented: Any, finish: Any, slide_file: Path
) -> None:
    store = slide_file.with_name("slide.glands.ome.zarr")
    stamp = (store / "zarr.json").stat().st_mtime_ns
    chooser = widget.inputs.output_chooser
    assert "finished result" in chooser.note.text()
    assert widget.run_panel.run_button.text() == "Open result"
    viewer.layers.remove(shown(viewer, segmented)[SLIDE_GLANDS])
    assert not widget.slide_result.isVisible()
    widget.run()
    finish(widget)
    assert (store / "zarr.json").stat().st_mtime_ns == stamp
    assert set(shown(viewer, segmented)) == ROLES
    assert widget.slide_result.isVisible()
    chooser.action_combo.setCurrentText("Replace it")
    assert widget.run_panel.run_button.text() == "Run"
    widget.run()
    finish(widget, 60_000)
    assert (store / "zarr.json").stat().st_mtime_ns != stamp
    assert len(viewer.layers) == 6


def test_a_new_run_replaces_the_layers_and_keeps_how_they_look(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tmp_path: Path
) -> None:
    before = shown(viewer, segmented)
    before[SLIDE_REGIONS].opacity = 0.2
    before[HEAT_MAP].visible = True
    widget.inputs.output_chooser.choose(tmp_path / "other")
    assert widget.inputs.output_chooser.output.path == tmp_path / "other.ome.zarr"
    widget.run()
    finish(widget, 60_000)
    after = shown(viewer, segmented)
    assert not set(before.values()) & set(after.values())
    assert after[SLIDE_REGIONS].opacity == 0.2
    assert after[HEAT_MAP].visible
    assert len(viewer.layers) == 6


def test_something_else_of_that_name_is_never_touched(
    viewer: Any, widget: Any, slide: Any, slide_file: Path
) -> None:
    other = slide_file.with_name("slide.glands.ome.zarr")
    other.mkdir()
    (other / "precious.txt").write_text("mine")
    widget.run()
    assert "Something else" in widget.message.text()
    assert not widget.running
    assert (other / "precious.txt").read_text() == "mine"


def test_the_current_view_of_a_slide_is_segmented_in_memory_if_it_is_small(
    viewer: Any, widget: Any, segmented: Any, finish: Any, qtbot: Any
) -> None:
    zoom_to(viewer, widget, segmented, (512, 768), 400)
    widget.inputs.extent_chooser.combo.setCurrentText(Extent.VIEW.value)
    assert not widget.inputs.is_slide
    widget.run()
    finish(widget)
    field = _layers.result_layers(viewer, segmented)
    assert set(field) == {"regions", "uncertainty", "glands"}
    assert field["regions"].data.shape[1] == pytest.approx(400, abs=4)
    assert isinstance(field["regions"].data, np.ndarray)
    assert len(shown(viewer, segmented)) == len(ROLES)
    assert widget.result.isVisible()
    assert widget.slide_result.isVisible()


def test_a_large_view_of_a_slide_is_segmented_on_disk_and_nothing_beside_it(
    viewer: Any, widget: Any, slide: Any, finish: Any
) -> None:
    zoom_to(viewer, widget, slide, (512, 500), 900)
    widget.inputs.extent_chooser.combo.setCurrentText(Extent.VIEW.value)
    assert widget.inputs.is_slide
    widget.run()
    finish(widget, 60_000)
    regions = shown(viewer, slide)[SLIDE_REGIONS]
    assert label_at(regions, slide, 432, 528) == LUMEN
    assert label_at(regions, slide, 432, 1328) == 0


def zoom_to(viewer: Any, widget: Any, image: Any, centre: tuple[int, int], width: int) -> None:
    """Show so many px of the image around a pixel of it."""
    camera = getattr(viewer, "scene", viewer).camera
    camera.center = image.data_to_world(centre)
    camera.zoom = widget.window().centralWidget().width() / (width * MPP)


def test_all_drawn_shapes_are_segmented_in_one_run(
    viewer: Any, widget: Any, slide: Any, finish: Any
) -> None:
    chooser = widget.inputs.extent_chooser
    chooser.combo.setCurrentText(Extent.SHAPES.value)
    chooser.draw_button.click()
    shapes = viewer.layers[-1]
    shapes.add_rectangles(np.array([[192, 128], [512, 448]]))
    shapes.add_ellipses(np.array([[592, 848], [100, 100]]))
    shapes.add_polygons(np.array([[672, 128], [832, 128], [832, 448], [672, 448]]))
    shapes.add_paths(np.array([[250, 1328], [700, 1328]]))
    widget.inputs.refresh()
    assert widget.inputs.way_label.text().startswith("3 shapes")
    widget.run()
    finish(widget, 60_000)
    regions = shown(viewer, slide)[SLIDE_REGIONS]
    assert label_at(regions, slide, 272, 208) == LUMEN
    assert label_at(regions, slide, 592, 848) == LUMEN  # in the ellipse
    assert label_at(regions, slide, 667, 923) == 0  # in the box around it
    assert label_at(regions, slide, 752, 208) == LUMEN
    assert label_at(regions, slide, 272, 1168) == 0  # at no shape
    assert label_at(regions, slide, 432, 1328) == 0  # on the path


def test_a_single_small_shape_on_a_slide_is_segmented_in_memory(
    viewer: Any, widget: Any, slide: Any, finish: Any
) -> None:
    chooser = widget.inputs.extent_chooser
    chooser.combo.setCurrentText(Extent.SHAPES.value)
    chooser.draw_button.click()
    viewer.layers[-1].add_rectangles(np.array([[192, 128], [511, 447]]))
    widget.run()
    finish(widget)
    assert _layers.result_layers(viewer, slide)["regions"].data.shape == (320, 320)
    assert shown(viewer, slide) == {}


def test_a_saved_slide_result_opens_again_in_place(
    viewer: Any, widget: Any, segmented: Any, slide_file: Path
) -> None:
    statement = widget.slide_result.statement_label.text()
    before = shown(viewer, segmented)
    placed = {role: (layer.scale, layer.translate) for role, layer in before.items()}
    viewer.layers.clear()
    assert not widget.slide_result.isVisible()
    viewer.open(slide_file.with_name("slide.glands.ome.zarr"), plugin="napari-gland-mtl")
    image = next(layer for layer in viewer.layers if layer.name == "slide")
    after = shown(viewer, image)
    assert set(after) == set(placed)
    for role, (scale, translate) in placed.items():
        np.testing.assert_allclose(after[role].scale, scale)
        np.testing.assert_allclose(after[role].translate, translate, atol=1e-9)
    assert after[SLIDE_GLANDS].contour > 0
    assert widget.slide_result.statement_label.text() == statement
    assert widget.inputs.image_chooser.layer is image
    assert widget.inputs.output_chooser.output.path.name == "slide.glands.ome.zarr"


def test_maps_are_not_offered_as_images_to_segment(widget: Any, segmented: Any) -> None:
    combo = widget.inputs.image_chooser
    assert [combo.itemText(i) for i in range(combo.count())] == ["slide"]


def test_settings_carry_over_from_fields_to_slides(
    widget: Any, slide: Any, finish: Any, viewer: Any
) -> None:
    advanced = widget.inputs.advanced
    assert advanced.values()["tile_size"] == 512
    assert advanced.values()["flips"] is False
    zoom_to(viewer, widget, slide, (512, 768), 400)
    widget.inputs.extent_chooser.combo.setCurrentText(Extent.VIEW.value)
    assert "engine" not in advanced.values()
    assert advanced.values()["flips"] is False
    advanced.form.controls["flips"].value = True
    widget.inputs.extent_chooser.combo.setCurrentText(Extent.WHOLE.value)
    assert advanced.values()["engine"] == "torch"
    assert advanced.values()["flips"] is True


def test_a_large_image_without_a_file_is_read_from_its_arrays_and_keeps_its_place(
    viewer: Any,
    widget: Any,
    small_fields: None,
    slide_pixels: Any,
    make_quick: Any,
    finish: Any,
    own_folder: Path,
) -> None:
    image = viewer.add_image(
        slide_pixels, name="my / scan", scale=(MPP, MPP), rotate=20, translate=(3, -4), units="um"
    )
    widget.inputs.refresh()
    make_quick(widget.inputs.advanced)
    widget.run()
    finish(widget, 60_000)
    assert (own_folder / "my_scan.glands.ome.zarr").is_dir()
    found = shown(viewer, image)
    for y, x in ((272, 208), (752, 1328)):
        assert label_at(found[SLIDE_REGIONS], image, y, x) == LUMEN
    assert found[SLIDE_REGIONS].name == "my / scan regions"
