"""What goes wrong: each case has its message, and no layer changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets import _layers

MPP = 0.5


def job_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("gland-mtl")]


def shown(viewer: Any, image: Any) -> dict[str, tuple[Any, Any]]:
    """Data and gland table of an image's result by role."""
    found = _layers.result_layers(viewer, image)
    tables = {r: getattr(layer, "features", None) for r, layer in found.items()}
    return {
        role: (layer.data, "" if tables[role] is None else tables[role].to_csv())
        for role, layer in found.items()
    }


@pytest.fixture
def long_run(viewer: Any, widget: Any, tissue: Any, qtbot: Any) -> Any:
    """A run of dozens of tiles, some of which are done."""
    image = viewer.add_image(np.tile(tissue, (8, 6, 1)), scale=(MPP, MPP), units="um")
    widget.inputs.advanced.expand()
    widget.inputs.advanced.form.controls["tile_size"].value = 192
    widget.run()
    qtbot.waitUntil(lambda: widget.run_panel.bar.value() > 2, timeout=30_000)
    return image


def test_an_empty_viewer_is_told_to_open_an_image(widget: Any) -> None:
    widget.run()
    assert "Open one" in widget.message.text()


def test_a_missing_pixel_size_is_asked_for_and_never_guessed(
    viewer: Any, widget: Any, tissue: Any, finish: Any
) -> None:
    image = viewer.add_image(tissue, name="tissue", scale=(0.25, 0.25))
    assert widget.inputs.pixel_size.edit.text() == ""
    assert "0.25, without a unit" in widget.inputs.pixel_size.note.text()
    widget.run()
    assert "µm per pixel" in widget.message.text()
    assert not widget.running
    assert list(viewer.layers) == [image]
    widget.inputs.pixel_size.edit.clear()
    widget.inputs.pixel_size.edit.insert("0,5")
    widget.run()
    finish(widget)
    assert len(_layers.result_layers(viewer, image)) == 3
    assert not widget.message.isVisible()


@pytest.mark.parametrize(("scale", "units"), [((0.5, 0.7), "um"), ((500.0, 500.0), "um")])
def test_an_impossible_pixel_size_is_not_taken(
    viewer: Any, widget: Any, tissue: Any, scale: Any, units: str
) -> None:
    viewer.add_image(tissue, scale=scale, units=units)
    assert widget.inputs.pixel_size.edit.text() == ""
    assert "enter" in widget.inputs.pixel_size.note.text()


def test_the_pixel_size_follows_the_units_of_the_layer(
    viewer: Any, widget: Any, tissue: Any
) -> None:
    image = viewer.add_image(tissue, scale=(0.00025, 0.00025), units="mm")
    assert float(widget.inputs.pixel_size.edit.text()) == pytest.approx(0.25)
    image.scale = (0.0005, 0.0005)
    assert float(widget.inputs.pixel_size.edit.text()) == pytest.approx(0.5)


def test_an_error_in_the_job_shows_its_cure_and_keeps_the_layers(
    viewer: Any, widget: Any, image: Any, finish: Any, monkeypatch: Any
) -> None:
    widget.run()
    finish(widget)
    before = list(viewer.layers)
    monkeypatch.setattr(widget.inputs.device_chooser, "device", lambda: "cuda:7")
    widget.run()
    finish(widget)
    assert "cuda" in widget.message.text().lower()
    assert list(viewer.layers) == before
    assert widget.run_panel.run_button.isEnabled()


def test_an_unexpected_error_is_said_plainly(
    viewer: Any, widget: Any, image: Any, finish: Any, monkeypatch: Any
) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[Any]:
        raise RuntimeError("the moon is full")
        yield

    monkeypatch.setattr("napari_gland_mtl.jobs.segment.segment_image", broken)
    widget.run()
    finish(widget)
    assert "the moon is full" in widget.message.text()
    assert "All layers are as they were" in widget.message.text()
    assert list(viewer.layers) == [image]


def test_values_beyond_eight_bits_are_refused_in_words(
    viewer: Any, widget: Any, tissue: Any, finish: Any
) -> None:
    viewer.add_image(tissue.astype(np.int32) * 1000, rgb=True, scale=(MPP, MPP), units="um")
    widget.run()
    finish(widget)
    assert widget.message.isVisible()
    assert len(viewer.layers) == 1


def test_a_stack_is_refused_with_its_cure(viewer: Any, widget: Any) -> None:
    viewer.add_image(np.zeros((3, 64, 64), np.uint8), name="stack", scale=(1, 1, 1), units="um")
    widget.run()
    assert "Merge to RGB" in widget.message.text()


def test_a_file_that_is_no_model_is_refused(widget: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x04pickle")
    widget.inputs.model_chooser.open_file(path)
    assert "safetensors" in widget.message.text()
    assert widget.inputs.model_chooser.model() == "tiny"


def test_cancel_stops_soon_and_keeps_what_is_done(
    viewer: Any, widget: Any, long_run: Any, finish: Any
) -> None:
    began = time.monotonic()
    widget.run_panel.cancel_button.click()
    finish(widget)
    assert time.monotonic() - began < 5  # a tile, decoding of what is done, a busy machine
    regions = _layers.result_layers(viewer, long_run)["regions"].data
    assert 0 < np.count_nonzero(regions) < regions.size
    assert "Incomplete" in widget.result.part_label.text()
    assert "Stopped" in widget.run_panel.status_label.text()
    assert widget.run_panel.run_button.isEnabled()


def test_a_cancelled_run_gives_the_earlier_result_back_on_request(
    viewer: Any, widget: Any, long_run: Any, finish: Any, qtbot: Any
) -> None:
    widget.run_panel.cancel_button.click()
    finish(widget)
    earlier = shown(viewer, long_run)
    assert len(earlier) == 3
    widget.run()
    qtbot.waitUntil(lambda: widget.run_panel.bar.value() > 2, timeout=30_000)
    widget.run_panel.cancel_button.click()
    finish(widget)
    now = shown(viewer, long_run)
    assert all(data is not earlier[role][0] for role, (data, _) in now.items())
    widget.message.button.click()
    for role, (data, features) in shown(viewer, long_run).items():
        assert data is earlier[role][0]
        assert features == earlier[role][1]
    assert len(viewer.layers) == 4


def test_the_window_answers_while_a_job_runs(
    widget: Any, long_run: Any, finish: Any, qtbot: Any
) -> None:
    longest, last = 0.0, time.monotonic()
    for _ in range(40):
        qtbot.wait(10)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    assert widget.running
    widget.run_panel.cancel_button.click()
    finish(widget)
    assert longest < 0.5


def test_removing_the_image_in_mid_run_stops_the_job(
    viewer: Any, widget: Any, long_run: Any, finish: Any
) -> None:
    viewer.layers.remove(long_run)
    finish(widget)
    assert len(viewer.layers) == 0
    assert "removed" in widget.message.text()


def test_closing_the_viewer_in_mid_run_leaves_no_thread(
    viewer: Any, long_run: Any, qtbot: Any
) -> None:
    assert job_threads()
    viewer.close()
    qtbot.waitUntil(lambda: not job_threads(), timeout=10_000)


def test_closing_the_dock_in_mid_run_leaves_no_thread(
    viewer: Any, widget: Any, long_run: Any, qtbot: Any
) -> None:
    assert job_threads()
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    qtbot.waitUntil(lambda: not job_threads(), timeout=10_000)
    viewer.add_points([[1, 1]], scale=(MPP, MPP), units="um")  # nobody listens any more
