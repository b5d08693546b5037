"""“Segment glands” on a real window: what a run shows, replaces and leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets import _layers

MPP = 0.5


def results(viewer: Any, image: Any) -> dict[str, Any]:
    return _layers.result_layers(viewer, image)


@pytest.fixture
def segmented(viewer: Any, widget: Any, image: Any, finish: Any) -> Any:
    widget.run()
    finish(widget)
    return image


def test_the_dock_opens_from_the_manifest_and_lists_the_models(widget: Any) -> None:
    combo = widget.inputs.model_chooser.combo
    assert type(widget).__name__ == "SegmentWidget"
    assert combo.itemText(0) == "tiny"
    assert combo.itemText(combo.count() - 1) == "Open model file…"


def test_a_run_gives_two_layers_over_the_image(viewer: Any, segmented: Any) -> None:
    found = results(viewer, segmented)
    assert set(found) == {"regions", "glands"}
    for layer in found.values():
        assert layer.data.shape == segmented.data.shape[:2]
        np.testing.assert_allclose(layer.scale, segmented.scale)
        np.testing.assert_allclose(layer.translate, segmented.translate)
        assert layer.units == segmented.units
        np.testing.assert_allclose(layer.extent.world, segmented.extent.world)
    assert [layer.name for layer in viewer.layers] == ["tissue", "tissue regions", "tissue glands"]


def test_the_gland_table_is_the_features_of_the_gland_layer(viewer: Any, segmented: Any) -> None:
    glands = results(viewer, segmented)["glands"]
    labels = np.unique(glands.data)
    assert list(glands.features["index"]) == [label for label in labels if label]
    assert {"area_um2", "solidity", "malignant_probability"} <= set(glands.features.columns)
    pixels = np.sum(glands.data == glands.features["index"][0])
    assert glands.features["area_um2"][0] == pytest.approx(pixels * MPP**2)


def test_the_dock_says_what_was_found_and_that_it_is_no_diagnosis(
    widget: Any, segmented: Any
) -> None:
    panel = widget.result
    assert panel.isVisible()
    assert "probabilit" in panel.class_label.text()
    assert panel.disclaimer.text().startswith("Research result, not a diagnosis.")
    assert "gland" in panel.gland_label.text()
    assert "rules of gland structure" in panel.topology_label.text()
    legend = [row.findChildren(type(panel.class_label))[1].text() for row in rows(panel)]
    assert legend[:3] == ["stroma (faint)", "epithelium", "lumen"]


def rows(panel: Any) -> list[Any]:
    layout = panel.legend_box.layout()
    return [layout.itemAt(i).widget() for i in range(layout.count())]


def test_running_again_replaces_and_leaves_other_layers_alone(
    viewer: Any, widget: Any, segmented: Any, finish: Any
) -> None:
    before = results(viewer, segmented)
    mine = viewer.add_labels(np.zeros((160, 224), int), name="tissue glands of mine", units="um")
    before["regions"].opacity = 0.3
    widget.inputs.image_chooser.choose(segmented)
    widget.run()
    finish(widget)
    after = results(viewer, segmented)
    assert len(viewer.layers) == 4
    assert mine in viewer.layers
    assert not set(before.values()) & set(after.values())
    assert after["regions"].opacity == 0.3
    assert after["regions"].name == "tissue regions"


def test_a_result_that_was_painted_on_is_kept_with_a_notice(
    viewer: Any, widget: Any, segmented: Any, finish: Any
) -> None:
    edited = results(viewer, segmented)["glands"]
    edited.paint((80, 80), 7)
    widget.run()
    finish(widget)
    assert edited in viewer.layers
    assert edited.name == "tissue glands (edited)"
    assert not edited.visible
    assert "tissue glands (edited)" in widget.message.text()
    assert len(viewer.layers) == 4
    widget.run()
    finish(widget)
    assert len(viewer.layers) == 4


def test_results_of_two_images_do_not_replace_each_other(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tissue: Any
) -> None:
    other = viewer.add_image(tissue[:, ::-1], name="other", scale=(MPP, MPP), units="um")
    assert widget.inputs.image_chooser.layer is other
    widget.run()
    finish(widget)
    assert set(results(viewer, other)) == set(results(viewer, segmented)) == {"regions", "glands"}
    widget.inputs.image_chooser.choose(segmented)
    assert widget.result.isVisible()


@pytest.mark.parametrize("kind", ["rgba", "grey", "multiscale", "float"])
def test_images_of_every_kind_are_segmented(
    viewer: Any, widget: Any, finish: Any, tissue: Any, kind: str
) -> None:
    alpha = np.full((*tissue.shape[:2], 1), 255, np.uint8)
    data = {
        "rgba": np.concatenate([tissue, alpha], axis=2),
        "grey": tissue[..., 1],
        "multiscale": [tissue, tissue[::2, ::2]],
        "float": tissue / 255.0,
    }[kind]
    image = viewer.add_image(data, name=kind, scale=(MPP, MPP), units="um")
    widget.run()
    finish(widget)
    assert not widget.message.isVisible()
    assert results(viewer, image)["regions"].data.shape == (160, 224)


def test_a_rotated_and_moved_image_keeps_its_result_in_place(
    viewer: Any, widget: Any, finish: Any, tissue: Any
) -> None:
    affine = np.array([[0.0, 1.0, 5.0], [-1.0, 0.0, 7.0], [0.0, 0.0, 1.0]])
    image = viewer.add_image(
        tissue, scale=(MPP, MPP), rotate=20, translate=(3, -4), affine=affine, units="um"
    )
    widget.run()
    finish(widget)
    regions = results(viewer, image)["regions"]
    for point in ((0, 0), (159, 223), (30, 90)):
        np.testing.assert_allclose(regions.data_to_world(point), image.data_to_world(point))


def test_settings_of_the_advanced_form_reach_the_run(
    viewer: Any, widget: Any, segmented: Any, finish: Any
) -> None:
    from napari_gland_mtl.widgets._layer_data import record_of

    widget.inputs.advanced.expand()
    form = widget.inputs.advanced.form
    form.controls["flips"].value = False
    widget.run()
    finish(widget)
    layer = results(viewer, segmented)["regions"]
    record = record_of({"metadata": layer.metadata})
    assert record is not None
    assert record.summary["provenance"]["settings"]["flips"] is False
