"""“Segment glands” on a real window: what a run shows, replaces and leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

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


def test_a_run_gives_its_layers_over_the_image(viewer: Any, segmented: Any) -> None:
    found = results(viewer, segmented)
    assert set(found) == {"regions", "uncertainty", "glands"}
    for layer in found.values():
        assert layer.data.shape == segmented.data.shape[:2]
        np.testing.assert_allclose(layer.scale, segmented.scale)
        np.testing.assert_allclose(layer.translate, segmented.translate)
        assert layer.units == segmented.units
        np.testing.assert_allclose(layer.extent.world, segmented.extent.world)
    names = ["tissue", "tissue regions", "tissue uncertainty", "tissue glands"]
    assert [layer.name for layer in viewer.layers] == names
    assert viewer.layers.selection.active is found["glands"]


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


def test_running_again_changes_the_data_in_place_and_leaves_other_layers_alone(
    viewer: Any, widget: Any, segmented: Any, finish: Any
) -> None:
    before = results(viewer, segmented)
    mine = viewer.add_labels(np.zeros((160, 224), int), name="tissue glands of mine", units="um")
    before["regions"].opacity = 0.3
    before["glands"].contour = 3
    labels, place = before["glands"].data, before["glands"].features["y_um"].tolist()
    segmented.data = segmented.data[::-1].copy()
    segmented.translate = (3, 4)
    widget.inputs.image_chooser.choose(segmented)
    removed = []
    viewer.layers.events.removed.connect(removed.append)
    widget.run()
    finish(widget)
    after = results(viewer, segmented)
    assert not removed
    assert after == before  # the very same layers ...
    assert after["glands"].data is not labels  # ... with other labels
    assert np.any(after["glands"].data != labels)
    assert after["glands"].features["y_um"].tolist() != place
    assert (after["regions"].opacity, after["glands"].contour) == (0.3, 3)
    np.testing.assert_allclose(after["uncertainty"].translate, (3, 4))
    assert mine in viewer.layers
    assert len(viewer.layers) == 5
    assert viewer.layers.selection.active is mine  # the user was at work there


def test_a_hidden_layer_that_was_opened_last_is_nobodys_work(
    viewer: Any, widget: Any, image: Any, finish: Any
) -> None:
    """So it is with the samples, whose last layer is the hidden truth."""
    truth = viewer.add_labels(np.zeros((160, 224), int), units="um", visible=False)
    assert viewer.layers.selection.active is truth
    widget.run()
    finish(widget)
    glands = results(viewer, image)["glands"]
    assert viewer.layers.selection.active is glands
    pixel = np.argwhere(glands.data)[0]
    status = glands.get_status(
        glands.data_to_world(pixel), view_direction=None, dims_displayed=[0, 1]
    )
    assert "area_um2" in str(status)


def test_the_closing_words_of_a_run_go_with_its_image(
    viewer: Any, widget: Any, segmented: Any, tissue: Any
) -> None:
    words = widget.run_panel.status_label
    assert "Done after" in words.text()
    viewer.add_labels(np.zeros((160, 224), int), units="um")
    assert "Done after" in words.text()
    viewer.layers.clear()
    viewer.add_image(tissue, name="another", scale=(0.5, 0.5), units="um")
    assert words.text() == ""
    assert widget.run_panel.run_button.isEnabled()


def test_in_place_nothing_of_the_labels_before_can_be_undone_into_the_new_ones(
    viewer: Any, widget: Any, segmented: Any, finish: Any
) -> None:
    glands = results(viewer, segmented)["glands"]
    glands.paint((50, 60), 7)
    glands.undo()  # as it was computed again, with a step that could be done again
    glands.mode = "paint"
    segmented.data = segmented.data[::-1].copy()
    widget.run()
    finish(widget)
    assert results(viewer, segmented)["glands"] is glands
    computed = glands.data.copy()
    glands.redo()
    glands.undo()
    np.testing.assert_array_equal(glands.data, computed)
    assert str(glands.mode) == "paint"
    glands.paint((80, 80), 7)
    glands.undo()
    np.testing.assert_array_equal(glands.data, computed)


def test_the_window_answers_between_layers_and_the_user_may_remove_them(
    viewer: Any, widget: Any, segmented: Any, finish: Any, qtbot: Any
) -> None:
    """One layer per turn of the event loop; what is removed in between is made again or left."""
    turns: list[int] = []
    go_on = widget.runs.turns._go_on

    def watched() -> None:
        turns.append(len(viewer.layers))
        go_on()
        found = results(viewer, segmented)
        if len(turns) == 4 and "uncertainty" in found:
            viewer.layers.remove(found["uncertainty"])

    widget.runs.turns._timer.timeout.disconnect()
    widget.runs.turns._timer.timeout.connect(watched)
    widget.run()
    finish(widget)
    assert len(turns) >= 6
    assert not widget.message.isVisible(), widget.message.text()
    assert set(results(viewer, segmented)) >= {"regions", "glands"}
    assert widget.result.isVisible()


def test_napari_computes_once_what_a_new_layer_looks_like(
    viewer: Any, widget: Any, image: Any, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a large field each time takes a tenth of a second, in which the window waits."""
    computed: list[str] = []
    compute = Labels._raw_to_displayed

    def counted(layer: Any, raw: Any, *rest: Any, **named: Any) -> Any:
        if raw.shape == image.data.shape[:2] and not rest and not named:
            computed.append(layer.name)
        return compute(layer, raw, *rest, **named)

    monkeypatch.setattr(Labels, "_raw_to_displayed", counted)
    widget.run()
    finish(widget)
    assert sorted(computed) == ["tissue glands", "tissue regions"]
    assert [layer.visible for layer in viewer.layers] == [True, True, False, True]


def test_an_image_that_is_removed_between_two_layers_ends_the_showing_quietly(
    viewer: Any, widget: Any, image: Any, finish: Any, qtbot: Any
) -> None:
    go_on = widget.runs.turns._go_on

    def watched() -> None:
        go_on()
        if len(viewer.layers) == 2 and image in viewer.layers:
            viewer.layers.remove(image)

    widget.runs.turns._timer.timeout.disconnect()
    widget.runs.turns._timer.timeout.connect(watched)
    widget.run()
    finish(widget)
    assert [layer.name for layer in viewer.layers] == ["tissue regions"]
    assert "Traceback" not in widget.message.text()
    assert widget.run_panel.run_button.isEnabled()


def test_closing_the_viewer_between_two_layers_is_quiet(
    viewer: Any, widget: Any, image: Any, qtbot: Any
) -> None:
    widget.run()
    qtbot.waitUntil(lambda: widget.runs.turns.running and len(viewer.layers) > 1, timeout=30_000)
    viewer.close()
    qtbot.wait(300)


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
    assert len(viewer.layers) == 5
    assert results(viewer, segmented)["glands"] is not edited
    widget.run()
    finish(widget)
    assert len(viewer.layers) == 5


def test_results_of_two_images_do_not_replace_each_other(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tissue: Any
) -> None:
    other = viewer.add_image(tissue[:, ::-1], name="other", scale=(MPP, MPP), units="um")
    assert widget.inputs.image_chooser.layer is other
    widget.run()
    finish(widget)
    assert set(results(viewer, other)) == set(results(viewer, segmented))
    assert not set(results(viewer, other).values()) & set(results(viewer, segmented).values())
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
