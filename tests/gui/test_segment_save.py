"""“Save masks…”: what is written comes back as the same layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets import _layers


@pytest.fixture
def segmented(widget: Any, image: Any, finish: Any) -> Any:
    widget.run()
    finish(widget)
    return image


def test_saved_masks_open_again_as_the_same_layers(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tmp_path: Path
) -> None:
    before = _layers.result_layers(viewer, segmented)
    path = tmp_path / "tissue.ome.zarr"
    widget.save_masks(path)
    finish(widget)
    assert str(path) in widget.run_panel.status_label.text()
    uncertainty = before.pop("uncertainty").data.copy()
    old = {role: (layer.data.copy(), layer.features.copy()) for role, layer in before.items()}
    viewer.layers.clear()
    viewer.open(path, plugin="napari-gland-mtl")
    image = next(layer for layer in viewer.layers if layer.name == "tissue")
    after = _layers.result_layers(viewer, image)
    for role, (labels, features) in old.items():
        np.testing.assert_array_equal(after[role].data, labels)
        np.testing.assert_allclose(after[role].scale, segmented.scale)
        assert list(after[role].features.columns) == list(features.columns)
    assert after["glands"].contour > 0
    np.testing.assert_allclose(after["uncertainty"].data, uncertainty, atol=0.5 / 255)
    assert not after["uncertainty"].visible
    assert widget.result.isVisible()
    assert widget.inputs.pixel_size.edit.text() == "0.5"


def test_running_on_a_reopened_image_replaces_what_was_saved(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tmp_path: Path
) -> None:
    widget.save_masks(tmp_path / "tissue.ome.zarr")
    finish(widget)
    viewer.layers.clear()
    viewer.open(tmp_path / "tissue.ome.zarr", plugin="napari-gland-mtl")
    widget.inputs.image_chooser.setCurrentText("tissue")
    widget.run()
    finish(widget)
    assert sorted(layer.name for layer in viewer.layers) == [
        "tissue",
        "tissue glands",
        "tissue regions",
        "tissue uncertainty",
    ]


def test_painted_corrections_are_saved_and_measured_again(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tmp_path: Path
) -> None:
    from napari_gland_mtl.export.ome_zarr import read_segmentation

    found = _layers.result_layers(viewer, segmented)
    first = int(found["glands"].features["index"][0])
    erased = found["glands"].data == first
    found["glands"].data = np.where(erased, 0, found["glands"].data)
    found["regions"].data = np.where(erased, 1, found["regions"].data).astype(np.uint8)
    widget.save_masks(tmp_path / "corrected.ome.zarr")
    finish(widget)
    saved = read_segmentation(tmp_path / "corrected.ome.zarr")
    assert first not in saved.table["label"]
    assert not (saved.regions[erased] != 1).any()
    assert saved.provenance["corrected_by_hand"]
    assert np.isfinite(saved.table["malignant_probability"]).all()


def test_an_existing_folder_is_not_overwritten_unasked(
    viewer: Any, widget: Any, segmented: Any, finish: Any, tmp_path: Path
) -> None:
    path = tmp_path / "tissue.ome.zarr"
    widget.save_masks(path)
    finish(widget)
    stamp = (path / "zarr.json").stat().st_mtime_ns
    widget.save_masks(path)
    finish(widget)
    assert widget.message.isVisible()
    assert (path / "zarr.json").stat().st_mtime_ns == stamp
    widget.save_masks(path, overwrite=True)
    finish(widget)
    assert not widget.message.isVisible()
    assert (path / "zarr.json").stat().st_mtime_ns != stamp


def test_a_result_without_an_image_to_write_is_refused(widget: Any, image: Any) -> None:
    widget.save_masks("nowhere.ome.zarr")
    assert "Press Run first" in widget.message.text()


def test_the_manifest_opens_the_samples(viewer: Any, widget: Any) -> None:
    viewer.open_sample("napari-gland-mtl", "synthetic_benign")
    assert widget.inputs.image_chooser.layer is not None
    assert widget.inputs.pixel_size.value() == pytest.approx(0.62)
