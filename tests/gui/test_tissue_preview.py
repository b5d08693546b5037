"""The tissue is shown before anything is segmented, and follows its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.export.slide_layers import SLIDE_ROLES, TISSUE_MASK
from napari_gland_mtl.widgets import _slide_layers


@pytest.fixture
def preview(viewer: Any, widget: Any, slide: Any, qtbot: Any) -> Any:
    """The preview of the slide, once it is shown."""
    widget.inputs.tissue.preview_button.click()
    qtbot.waitUntil(lambda: tissue_layer(viewer, slide) is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not widget.preview.running)
    return slide


def tissue_layer(viewer: Any, image: Any) -> Any:
    return _slide_layers.slide_layers(viewer, image).get((TISSUE_MASK, None))


def area(layer: Any) -> int:
    return int(np.count_nonzero(layer.data))


def test_the_preview_lies_on_the_tissue(viewer: Any, preview: Any) -> None:
    layer = tissue_layer(viewer, preview)
    assert layer.visible
    for (y, x), expected in {(512, 768): 1, (20, 20): 0, (1000, 1510): 0}.items():
        row, column = np.round(layer.world_to_data(preview.data_to_world((y, x)))).astype(int)
        assert layer.data[row, column] == expected
    assert viewer.layers.selection.active is preview


def test_the_preview_follows_the_settings_and_reads_the_slide_once(
    viewer: Any, widget: Any, preview: Any, qtbot: Any, monkeypatch: Any
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the slide was read again")

    monkeypatch.setattr("napari_gland_mtl.slides.tissue.picture_for_tissue", refuse)
    layer = tissue_layer(viewer, preview)
    before = area(layer)
    widget.inputs.tissue.form.controls["margin_um"].value = 0
    qtbot.waitUntil(lambda: 0 < area(tissue_layer(viewer, preview)) < before, timeout=10_000)
    assert tissue_layer(viewer, preview) is layer
    widget.inputs.tissue.combo.setCurrentText("Own threshold")
    widget.inputs.tissue.spin.setValue(0.9)
    qtbot.waitUntil(lambda: area(tissue_layer(viewer, preview)) == 0, timeout=10_000)
    assert len(viewer.layers) == 2


def test_without_a_preview_a_setting_adds_no_layer(
    viewer: Any, widget: Any, slide: Any, qtbot: Any
) -> None:
    widget.inputs.tissue.form.controls["margin_um"].value = 0
    qtbot.wait(700)
    assert list(viewer.layers) == [slide]


def test_switched_off_everything_is_segmented(widget: Any, slide: Any) -> None:
    tissue = widget.inputs.tissue
    assert widget.inputs.settings()["tissue"]["threshold"] is None
    tissue.combo.setCurrentText("Own threshold")
    tissue.spin.setValue(0.2)
    assert widget.inputs.settings()["tissue"]["threshold"] == 0.2
    tissue.check.setChecked(False)
    assert widget.inputs.settings()["tissue"] is None
    assert not tissue.preview_button.isEnabled()


def test_the_result_takes_the_place_of_the_preview(
    viewer: Any, widget: Any, preview: Any, finish: Any
) -> None:
    before = tissue_layer(viewer, preview)
    widget.run()
    finish(widget, 60_000)
    after = tissue_layer(viewer, preview)
    assert before not in viewer.layers
    assert after.metadata["napari_gland_mtl"]["role"] in SLIDE_ROLES
    assert len(viewer.layers) == 6


def test_a_preview_without_a_pixel_size_asks_for_it(
    viewer: Any, widget: Any, small_fields: None, write_pyramid: Any, slide_pixels: Any
) -> None:
    viewer.open(write_pyramid("unknown.tif", slide_pixels, mpp=None), plugin="napari-gland-mtl")
    widget.inputs.refresh()
    widget.inputs.tissue.preview_button.click()
    assert "pixel size" in widget.message.text()
    assert not widget.preview.running
