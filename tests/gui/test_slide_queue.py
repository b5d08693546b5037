"""“Segment slides”: a list that is worked off, each slide with its state."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.export.slide_layers import SLIDE_GLANDS, slide_role
from napari_gland_mtl.widgets._slide_table import NAME, SIZE, STATE, SlideState


@pytest.fixture
def queue(viewer: Any, make_quick: Any) -> Any:
    """The dock, opened as the menu opens it."""
    _, queue = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Segment slides")
    make_quick(queue.inputs.advanced)
    return queue


@pytest.fixture
def slides(write_pyramid: Any, slide_pixels: Any) -> Path:
    """A folder with two slides and a note."""
    part = slide_pixels[:1024, :1024]
    folder: Path = write_pyramid("a.tif", part).parent
    write_pyramid("b.tif", part[::-1])
    (folder / "notes.txt").write_text("b is upside down")
    return folder


@pytest.fixture
def listed(queue: Any, slides: Path, finish: Any) -> Any:
    queue.add([slides])
    finish(queue)
    return queue


def column(queue: Any, number: int) -> list[str]:
    return [queue.table.item(row, number).text() for row in range(queue.table.rowCount())]


def test_a_folder_gives_its_images_once_with_their_pixel_size(
    listed: Any, slides: Path, finish: Any
) -> None:
    assert column(listed, NAME) == ["a.tif", "b.tif"]
    assert column(listed, SIZE) == ["0.5", "0.5"]
    assert column(listed, STATE) == ["waiting", "waiting"]
    listed.add([slides / "b.tif"])
    finish(listed)
    assert column(listed, NAME) == ["a.tif", "b.tif"]
    assert listed.inputs.folder == slides / "gland-results"


def test_a_file_that_is_no_image_is_named_and_left_out(
    listed: Any, slides: Path, finish: Any
) -> None:
    listed.add([slides / "notes.txt"])
    finish(listed)
    assert "notes.txt" in listed.message.text()
    assert len(listed.table.slides) == 2


def test_all_slides_are_segmented_and_a_double_click_opens_the_result(
    viewer: Any, listed: Any, slides: Path, finish: Any
) -> None:
    listed.start()
    finish(listed, 120_000)
    assert [slide.state for slide in listed.table.slides] == [SlideState.DONE] * 2
    assert all("gland" in text for text in column(listed, STATE))
    assert "2 of 2 slides are done" in listed.run_panel.status_label.text()
    folder = slides / "gland-results"
    assert {"a.ome.zarr", "b.ome.zarr", "summary.csv", "report.html"} <= {
        item.name for item in folder.iterdir()
    }
    assert str(folder) in listed.message.text()
    listed.table.cellDoubleClicked.emit(1, NAME)
    names = [layer.name for layer in viewer.layers]
    assert names[0] == "b"
    roles = {slide_role({"metadata": layer.metadata}): layer for layer in viewer.layers}
    assert roles[SLIDE_GLANDS].contour > 0
    assert str(folder) in listed.message.text()


def test_started_again_what_is_complete_is_left_alone(
    listed: Any, slides: Path, finish: Any, monkeypatch: Any
) -> None:
    listed.start()
    finish(listed, 120_000)

    def refuse(*_: Any) -> None:
        raise AssertionError("a tile was computed again")

    monkeypatch.setattr("napari_gland_mtl.export.slide_store.SlideStore.write_tile", refuse)
    listed.start()
    finish(listed, 60_000)
    assert [slide.state for slide in listed.table.slides] == [SlideState.DONE] * 2


def test_a_slide_that_fails_says_why_and_the_others_go_on(
    listed: Any, slides: Path, write_pyramid: Any, finish: Any
) -> None:
    write_pyramid("a.tif", np.full((1024, 1024, 3), 205, np.uint8))
    listed.start()
    finish(listed, 120_000)
    states = [slide.state for slide in listed.table.slides]
    assert states == [SlideState.FAILED, SlideState.DONE]
    assert "No tissue" in listed.table.item(0, STATE).toolTip()
    assert "1 failed" in listed.run_panel.status_label.text()


def test_a_missing_pixel_size_is_asked_for_in_the_row_before_the_start(
    queue: Any, slides: Path, write_pyramid: Any, slide_pixels: Any, finish: Any
) -> None:
    write_pyramid("c.tif", slide_pixels[:1024, :1024], mpp=None)
    queue.add([slides / "c.tif", slides / "a.tif"])
    finish(queue)
    assert column(queue, SIZE) == ["enter", "0.5"]
    queue.start()
    assert "c.tif" in queue.message.text()
    assert not queue.running
    queue.table.item(0, SIZE).setText("500")
    assert queue.table.slides[0].needs_size
    queue.table.item(0, SIZE).setText("0,5")
    assert column(queue, SIZE) == ["0.5", "0.5"]
    queue.start()
    finish(queue, 120_000)
    assert [slide.state for slide in queue.table.slides] == [SlideState.DONE] * 2


def test_stop_keeps_what_is_done_and_start_goes_on(
    listed: Any, finish: Any, qtbot: Any, monkeypatch: Any
) -> None:
    from napari_gland_mtl.export.slide_store import SlideStore

    written, held = [], threading.Event()
    write = SlideStore.write_tile

    def slowly(self: Any, core: Any, *rest: Any) -> None:
        written.append(core)
        if len(written) > 1:
            held.wait(20)
        write(self, core, *rest)

    monkeypatch.setattr(SlideStore, "write_tile", slowly)
    listed.start()
    qtbot.waitUntil(lambda: "%" in column(listed, STATE)[0], timeout=30_000)
    listed.run_panel.cancel_button.click()
    held.set()
    finish(listed, 60_000)
    assert [slide.state for slide in listed.table.slides] == [
        SlideState.STOPPED,
        SlideState.WAITING,
    ]
    assert "Start to go on" in listed.run_panel.status_label.text()
    written.clear()
    listed.start()
    finish(listed, 120_000)
    assert [slide.state for slide in listed.table.slides] == [SlideState.DONE] * 2
    assert len(written) < 8  # two slides have four tiles each


def test_a_slide_can_be_taken_out_of_the_list(listed: Any) -> None:
    listed.table.selectRow(0)
    listed.inputs.remove_button.click()
    assert column(listed, NAME) == ["b.tif"]


def test_an_empty_list_asks_for_slides(queue: Any) -> None:
    queue.start()
    assert "Add slides" in queue.message.text()


def test_a_slide_without_a_result_has_none_to_open(viewer: Any, listed: Any) -> None:
    listed.open_result(0)
    assert "no result yet" in listed.message.text()
    assert len(viewer.layers) == 0
