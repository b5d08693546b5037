"""A slide's run that is stopped, damaged, or asked for what cannot be: what is done is kept."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_gland_mtl.export.slide_layers import SLIDE_GLANDS, SLIDE_REGIONS
from napari_gland_mtl.widgets import _slide_layers

MPP = 0.5
TILES = 6


def shown(viewer: Any, image: Any) -> dict[str, Any]:
    return {role: layer for (role, _), layer in _slide_layers.slide_layers(viewer, image).items()}


def job_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("gland-mtl")]


class Brake:
    """Lets so many windows of the slide be read, and then holds whoever reads the next."""

    def __init__(self, passes: int) -> None:
        self._passes = threading.Semaphore(passes)
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self) -> None:
        while not self._released.is_set() and not self._passes.acquire(timeout=0.02):
            pass


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stops the run in the middle: some tiles are read, the others wait to be released."""
    from napari_gland_mtl.inference.scaled_slide import ScaledSlide

    held = Brake(0)
    read = ScaledSlide.read

    def slowly(self: Any, window: Any, *rest: Any) -> Any:
        if threading.current_thread().name != "MainThread" and _is_tile(window):
            held.wait()
        return read(self, window, *rest)

    monkeypatch.setattr(ScaledSlide, "read", slowly)
    yield held
    held.release()


def _is_tile(window: Any) -> bool:
    """Tiles with their halo; the overview is read in narrower strips."""
    return min(window[2] - window[0], window[3] - window[1]) > 256


@pytest.fixture
def half_done(viewer: Any, widget: Any, slide: Any, brake: Brake, qtbot: Any) -> Any:
    """A run in the middle of its tiles."""
    brake._passes = threading.Semaphore(4)
    widget.run()
    qtbot.waitUntil(lambda: widget.run_panel.bar.value() > 1, timeout=30_000)
    return slide


def test_labels_appear_while_the_run_goes_on(
    viewer: Any, widget: Any, half_done: Any, qtbot: Any, brake: Brake, finish: Any
) -> None:
    assert widget.running
    regions = shown(viewer, half_done)[SLIDE_REGIONS]
    # What is drawn, not what is on disk: the layer was drawn anew.
    qtbot.waitUntil(lambda: bool(np.any(regions._slice.image.raw)), timeout=10_000)
    assert "tiles done" in widget.run_panel.status_label.text()
    brake.release()
    finish(widget, 60_000)


def test_a_cancelled_run_is_kept_and_resumed_by_pressing_the_button_again(
    viewer: Any, widget: Any, half_done: Any, finish: Any, brake: Brake, monkeypatch: Any
) -> None:
    widget.run_panel.cancel_button.click()
    brake.release()
    finish(widget, 60_000)
    words = widget.run_panel.status_label.text()
    assert words.startswith("Stopped")
    assert "Resume" in words
    assert widget.run_panel.run_button.text() == "Resume"
    assert "Incomplete" in widget.slide_result.part_label.text()
    shares: list[float] = []
    monkeypatch.setattr(widget.run_panel, "show_share", shares.append)
    regions = shown(viewer, half_done)[SLIDE_REGIONS]
    labelled = np.count_nonzero(np.asarray(regions.data[0]))
    assert labelled > 0
    computed = count_tiles(monkeypatch)
    widget.run()
    finish(widget, 60_000)
    assert "Done" in widget.run_panel.status_label.text()
    assert 0 < len(computed) < TILES  # the others were there already
    assert shares == sorted(shares)
    assert shares[-1] == 1.0  # all is labelled again, which is shown as well
    regions = shown(viewer, half_done)[SLIDE_REGIONS]
    assert np.count_nonzero(np.asarray(regions.data[0])) > labelled
    assert widget.slide_result.statement_label.text().startswith("32 glands")


def count_tiles(monkeypatch: Any) -> list[Any]:
    """Notes every tile that is written to a store."""
    from napari_gland_mtl.export.slide_store import SlideStore

    written: list[Any] = []
    write = SlideStore.write_tile

    def noting(self: Any, core: Any, *rest: Any) -> None:
        written.append(core)
        write(self, core, *rest)

    monkeypatch.setattr(SlideStore, "write_tile", noting)
    return written


def test_an_unfinished_run_can_be_started_anew(
    viewer: Any, widget: Any, half_done: Any, finish: Any, brake: Brake, monkeypatch: Any
) -> None:
    widget.run_panel.cancel_button.click()
    brake.release()
    finish(widget, 60_000)
    combo = widget.inputs.output_chooser.action_combo
    combo.setCurrentText("Start anew, replacing it")
    assert widget.run_panel.run_button.text() == "Run"
    computed = count_tiles(monkeypatch)
    widget.run()
    finish(widget, 60_000)
    assert len(computed) == TILES


def test_other_settings_do_not_get_mixed_with_an_unfinished_run(
    viewer: Any, widget: Any, half_done: Any, finish: Any, brake: Brake
) -> None:
    widget.run_panel.cancel_button.click()
    brake.release()
    finish(widget, 60_000)
    layers = shown(viewer, half_done)
    widget.inputs.advanced.form.controls["flips"].value = True
    widget.run()
    finish(widget)
    assert "flips" in widget.message.text()
    assert shown(viewer, half_done) == layers
    assert widget.run_panel.run_button.text() == "Resume"


def test_a_tile_that_cannot_be_decoded_is_named_and_the_rest_goes_on(
    viewer: Any, widget: Any, slide: Any, slide_file: Path, finish: Any
) -> None:
    damage(slide_file, row=2, column=3)
    widget.run()
    finish(widget, 60_000)
    assert "could not be read" in widget.message.text()
    assert "could not be read" in widget.slide_result.trouble_label.text()
    assert "Done" in widget.run_panel.status_label.text()
    regions = np.asarray(shown(viewer, slide)[SLIDE_REGIONS].data[0])
    assert regions[2 * 256 + 50, 3 * 256 + 50] == 0
    assert regions[272, 208] == 3


def damage(path: Path, row: int, column: int) -> None:
    """Overwrite a tile of the full resolution."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        tile = row * page.chunked[1] + column
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\0" * count)


def test_a_full_disk_is_said_and_what_was_done_can_be_gone_on_with(
    viewer: Any, widget: Any, slide: Any, finish: Any, monkeypatch: Any
) -> None:
    from napari_gland_mtl.errors import OutputNotWritableError
    from napari_gland_mtl.export.slide_store import SlideStore

    write, full = SlideStore.write_tile, [False, False, True]

    def fill_up(self: Any, *arguments: Any) -> None:
        if full.pop(0):
            raise OutputNotWritableError("The disk is full. Make room on it.")
        write(self, *arguments)

    monkeypatch.setattr(SlideStore, "write_tile", fill_up)
    widget.run()
    finish(widget, 60_000)
    assert widget.message.text().startswith("The disk is full")
    assert "kept" in widget.message.text()
    assert widget.run_panel.run_button.text() == "Resume"
    full[:] = [False] * TILES
    widget.run()
    finish(widget, 60_000)
    assert "Done" in widget.run_panel.status_label.text()
    assert len(full) == 2  # so many tiles were there


def test_a_missing_pixel_size_is_asked_for_before_anything_is_computed(
    viewer: Any,
    widget: Any,
    small_fields: None,
    write_pyramid: Any,
    slide_pixels: Any,
    make_quick: Any,
    finish: Any,
) -> None:
    path = write_pyramid("unknown.tif", slide_pixels, mpp=None)
    (slide,) = viewer.open(path, plugin="napari-gland-mtl")
    widget.inputs.refresh()
    make_quick(widget.inputs.advanced)
    widget.run()
    assert "pixel size" in widget.message.text()
    assert not widget.running
    assert [item.name for item in path.parent.iterdir()] == ["unknown.tif"]
    widget.inputs.pixel_size.edit.insert("0.5")
    widget.run()
    finish(widget, 60_000)
    # The layer has no unit: the result lies on its pixels all the same.
    glands = shown(viewer, slide)[SLIDE_GLANDS]
    np.testing.assert_allclose(glands.extent.world, slide.extent.world, atol=2)
    assert glands.units == slide.units


def test_a_slide_without_tissue_is_said_to_have_none_and_leaves_nothing_behind(
    viewer: Any, widget: Any, small_fields: None, write_pyramid: Any, finish: Any
) -> None:
    glass = np.full((1024, 1024, 3), 205, np.uint8)
    path = write_pyramid("glass.tif", glass)
    viewer.open(path, plugin="napari-gland-mtl")
    widget.inputs.refresh()
    widget.run()
    finish(widget)
    assert "No tissue" in widget.message.text()
    assert len(viewer.layers) == 1
    assert not path.with_name("glass.glands.ome.zarr").exists()
    assert widget.run_panel.run_button.text() == "Run"


def test_replacing_a_result_that_then_fails_gives_its_layers_back(
    viewer: Any, widget: Any, slide: Any, finish: Any
) -> None:
    widget.run()
    finish(widget, 60_000)
    before = list(viewer.layers)
    widget.inputs.output_chooser.action_combo.setCurrentText("Replace it")
    widget.inputs.tissue.combo.setCurrentText("Own threshold")
    widget.inputs.tissue.spin.setValue(1.0)
    widget.run()
    finish(widget)
    assert "No tissue" in widget.message.text()
    assert list(viewer.layers) == before
    assert np.asarray(shown(viewer, slide)[SLIDE_REGIONS].data[0]).any()


def test_removing_the_slide_in_mid_run_stops_it_and_keeps_what_is_done(
    viewer: Any, widget: Any, half_done: Any, finish: Any, brake: Brake, slide_file: Path
) -> None:
    viewer.layers.remove(half_done)
    brake.release()
    finish(widget, 60_000)
    assert "kept" in widget.message.text()
    assert slide_file.with_name("slide.glands.ome.zarr").is_dir()


def test_removing_a_result_layer_in_mid_run_does_no_harm(
    viewer: Any, widget: Any, half_done: Any, finish: Any, brake: Brake
) -> None:
    viewer.layers.remove(shown(viewer, half_done)[SLIDE_REGIONS])
    brake.release()
    finish(widget, 60_000)
    assert "Done" in widget.run_panel.status_label.text()
    assert len(shown(viewer, half_done)) == 5  # the finished result is shown as a whole


def test_closing_the_viewer_in_mid_run_leaves_no_thread(
    viewer: Any, half_done: Any, qtbot: Any, brake: Brake
) -> None:
    assert job_threads()
    brake.release()
    viewer.close()
    qtbot.waitUntil(lambda: not job_threads(), timeout=20_000)


def test_the_result_of_another_image_is_not_laid_over_this_one(
    viewer: Any, widget: Any, slide: Any, finish: Any, write_pyramid: Any, slide_pixels: Any
) -> None:
    widget.run()
    finish(widget, 60_000)
    store = widget.inputs.output_chooser.output.path
    path = write_pyramid("other.tif", slide_pixels[:900])
    (other,) = viewer.open(path, plugin="napari-gland-mtl")
    assert widget.inputs.image_chooser.layer is other
    widget.inputs.refresh()
    widget.inputs.output_chooser.choose(store)
    widget.run()
    finish(widget)
    assert "another image" in widget.message.text()
    assert shown(viewer, other) == {}


def test_a_folder_that_cannot_be_written_to_sends_the_result_elsewhere(
    viewer: Any, widget: Any, slide: Any, slide_file: Path, own_folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "napari_gland_mtl.widgets._output_state.os.access",
        lambda folder, mode: Path(folder) != slide_file.parent,
    )
    chooser = widget.inputs.output_chooser
    chooser.refresh()
    assert chooser.output.path == own_folder / "slide.glands.ome.zarr"
    chooser.choose(slide_file.with_name("mine.ome.zarr"))
    widget.run()
    assert "cannot be written to" in widget.message.text()
    assert not widget.running
