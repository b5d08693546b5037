"""What goes wrong while somebody annotates, and that nothing is lost by it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.annotations import AnnotationProject, project_path
from napari_gland_mtl.errors import GlandMTLError


@pytest.fixture
def full_disk(slide_file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nothing can be written beside the slide any more, until it is called."""
    from napari_gland_mtl.annotations import area_files

    write = area_files.replace_labels
    state = {"full": True}

    def fail(folder: Path, *args: Any) -> None:
        if state["full"] and folder.is_relative_to(slide_file.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, *args)

    monkeypatch.setattr(area_files, "replace_labels", fail)
    return lambda: state.update(full=False)


def paint(area: Any, disc: Any, label: int = 1) -> None:
    area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), label)


def test_a_full_disk_is_said_and_what_was_painted_goes_on_elsewhere(
    dock: Any,
    area: Any,
    disc: Any,
    full_disk: Any,
    tmp_path: Path,
    qtbot: Any,
    done: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paint(area, disc)
    label, button = dock.panel.saved.label, dock.panel.saved.button
    qtbot.waitUntil(lambda: label.text().startswith("Not saved: "), timeout=8000)
    assert "the disk is full" in label.text()
    assert button.isVisible()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(
        "napari_gland_mtl.widgets.annotate.QFileDialog.getExistingDirectory",
        lambda *args: str(elsewhere),
    )
    button.click()
    done(dock)
    (stored,) = AnnotationProject(elsewhere / "slide.annotations.zarr").stored()
    assert stored.glands == 1
    assert area.store.project.parent == elsewhere
    qtbot.waitUntil(lambda: label.text() == "Saved just now", timeout=3000)
    # It goes on there, and is found there the next time.
    area.glands_layer.paint((150, 150), 2)
    qtbot.waitUntil(
        lambda: AnnotationProject(elsewhere / "slide.annotations.zarr").stored()[0].glands == 2,
        timeout=8000,
    )
    done(dock)
    assert dock.areas.list.rows[-1].project.parent == elsewhere or (
        dock.areas.list.rows[0].project.parent == elsewhere
    )


def test_when_there_is_room_again_it_is_saved_without_a_word(
    dock: Any,
    area: Any,
    disc: Any,
    full_disk: Any,
    qtbot: Any,
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_gland_mtl.widgets._annotation_area.RETRY_S", 1.0)
    paint(area, disc)
    qtbot.waitUntil(lambda: bool(area.state.error), timeout=8000)
    full_disk()
    qtbot.waitUntil(lambda: not area.state.error, timeout=8000)
    assert stored(area).glands.any()
    qtbot.waitUntil(lambda: dock.panel.saved.label.text().startswith("Saved"), timeout=3000)
    assert not dock.panel.saved.button.isVisible()


def test_an_area_that_is_closed_and_cannot_be_saved_stays_in_memory(
    dock: Any, area: Any, disc: Any, full_disk: Any, tmp_path: Path, qtbot: Any
) -> None:
    paint(area, disc)
    dock.areas.list.close_button.click()
    qtbot.waitUntil(lambda: "could not be saved" in dock.message.text(), timeout=8000)
    assert dock.message.button.text() == "Save elsewhere…"
    dock.save_elsewhere(tmp_path)
    (stored,) = AnnotationProject(tmp_path / "slide.annotations.zarr").stored()
    assert stored.glands == 1
    assert dock.session.unsaved == ()


def test_the_window_asks_before_it_closes_on_what_cannot_be_saved(
    viewer: Any, dock: Any, area: Any, disc: Any, full_disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QApplication, QMessageBox

    asked = []

    def answer(parent: Any, title: str, text: str, *buttons: Any) -> Any:
        asked.append(text)
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "warning", answer)

    def closes() -> bool:
        event = QCloseEvent()
        QApplication.sendEvent(viewer.window._qt_window, event)
        return bool(event.isAccepted())

    paint(area, disc)
    assert not closes()
    assert "the disk is full" in asked[0]
    full_disk()
    assert closes()
    assert len(asked) == 1


def test_what_another_window_saved_is_not_overwritten(
    dock: Any, area: Any, disc: Any, until_saved: Any, done: Any
) -> None:
    project, key = AnnotationProject(area.store.project), area.store.key
    theirs, revision = project.load(key)
    theirs.glands[:10, :10] = 7
    project.save(key, theirs, revision)
    paint(area, disc)
    until_saved(area)
    done(dock)
    assert area.info.name == "area 1 (copy)"
    assert area.glands_layer.name == "slide · area 1 (copy) glands"
    text = dock.message.text()
    assert "another window" in text
    assert "“area 1 (copy)”" in text
    kept = {found.info.name: project.load(found.key)[0].glands for found in project.stored()}
    assert kept["area 1"][5, 5] == 7
    assert not kept["area 1"][60, 60]
    assert kept["area 1 (copy)"][60, 60] == 1
    assert {row.stored.info.name for row in dock.areas.list.rows} == set(kept)


def test_what_another_window_removed_is_saved_as_a_copy(
    dock: Any, area: Any, disc: Any, until_saved: Any
) -> None:
    project = AnnotationProject(area.store.project)
    project.remove(area.store.key)
    paint(area, disc)
    until_saved(area)
    assert [stored.glands for stored in project.stored()] == [1]
    assert "removed in another window" in dock.message.text()


def test_where_nothing_can_be_written_beside_the_slide_the_documents_are_taken_and_said(
    viewer: Any,
    dock: Any,
    slide_file: Path,
    draw: Any,
    start: Any,
    done: Any,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_gland_mtl.widgets import _annotation_places

    def can_hold(project: Path) -> bool:
        return project.parent != slide_file.parent

    monkeypatch.setattr(_annotation_places, "can_hold", can_hold)
    viewer.open(slide_file, plugin="napari-gland-mtl")
    done(dock)
    draw(dock, 250, 200, 450, 500)
    start(dock)
    done(dock)
    assert dock.session.current.store.project == own_folder / "slide.annotations.zarr"
    assert "Nothing can be written in" in dock.areas.place_label.text()
    assert "your documents" in dock.areas.place_label.text()
    assert [row.stored.info.name for row in dock.areas.list.rows] == ["area 1"]


def test_a_chosen_folder_is_taken_and_remembered(
    dock: Any, slide_layer: Any, tmp_path: Path, done: Any, make_area: Any
) -> None:
    chosen = tmp_path / "mine"
    chosen.mkdir()
    dock.choose_folder(chosen)
    done(dock)
    area = make_area()
    assert area.store.project == chosen / "slide.annotations.zarr"
    dock.refresh_list()
    done(dock)
    assert "Chosen by you" in dock.areas.place_label.text()
    assert [row.stored.info.name for row in dock.areas.list.rows] == ["area 1"]


def test_an_area_of_another_image_is_listed_and_cannot_be_opened_over_this_one(
    viewer: Any, dock: Any, area: Any, slide_file: Path, write_pyramid: Any, done: Any
) -> None:
    dock.save_now()
    viewer.layers.clear()
    write_pyramid("slide.tif", np.full((512, 640, 3), 200, np.uint8))
    viewer.open(slide_file, plugin="napari-gland-mtl")
    done(dock)
    (row,) = dock.areas.list.rows
    dock.areas.list.choose(row.identity)
    assert "1,536 x 1,024" in row.trouble
    assert not dock.areas.list.open_button.isEnabled()


def test_the_slide_may_go_while_its_area_is_painted_on(
    viewer: Any, dock: Any, slide_layer: Any, slide_file: Path, area: Any, disc: Any, stored: Any
) -> None:
    slide_file.unlink()
    viewer.layers.remove(slide_layer)
    paint(area, disc)
    dock.save_now()
    assert stored(area).glands.any()
    assert area.glands_layer in viewer.layers


def test_a_damaged_area_is_said_and_the_others_are_there(
    dock: Any, make_area: Any, done: Any
) -> None:
    first = make_area()
    make_area(box=(600, 600, 800, 800))
    (first.store.project / "areas" / first.store.key / "zarr.json").write_text("{")
    dock.refresh_list()
    done(dock)
    broken = [row for row in dock.areas.list.rows if row.stored.error]
    assert len(broken) == 1
    assert len(dock.areas.list.rows) == 2
    dock.areas.list.choose(broken[0].identity)
    assert not dock.areas.list.open_button.isEnabled()


@pytest.mark.slow
def test_a_kill_in_mid_annotation_loses_the_last_seconds_at_most(
    slide_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """A real process with a real window is killed while it paints."""
    script = textwrap.dedent(
        """
        import sys, time
        import napari, numpy as np
        from qtpy.QtWidgets import QApplication
        from napari_gland_mtl.widgets.annotate import AnnotateWidget
        from napari_gland_mtl.widgets._extent import Extent

        viewer = napari.Viewer(show=True)
        viewer.open(sys.argv[1], plugin="napari-gland-mtl")
        dock = AnnotateWidget(viewer)
        viewer.window.add_dock_widget(dock)
        dock.inputs.extent_chooser.combo.setCurrentText(Extent.WHOLE.value)
        dock.inputs.beginning.setCurrentText("Nothing")
        dock.new_area()
        step = 0
        while True:
            QApplication.processEvents()
            time.sleep(0.02)
            area = dock.session.current
            if area is not None:
                step += 1
                area.glands_layer.paint((step % 300, 100), 1 + step // 50)
                print(step // 50, flush=True)
        """
    )
    environment = {
        **os.environ,
        "NAPARI_GLAND_MTL_MODELS": str(tiny_model.parent),
        "NAPARI_CONFIG": str(tmp_path / "settings.yaml"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(slide_file)], stdout=output, env=environment
        )
        path = project_path(slide_file)
        try:
            _wait(lambda: path.exists() and _glands(path) > 0 and _painted(log) > 15, process)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    project = AnnotationProject(path)
    (stored,) = project.stored()
    area, _ = project.load(stored.key)
    # A stroke of 50 dabs takes a second: what was painted ten seconds before is there.
    assert not stored.error
    assert area.glands.max() >= _painted(log) - 15


def _painted(log: Path) -> int:
    lines = log.read_text().split()
    return int(lines[-1]) if lines else 0


def _glands(path: Path) -> int:
    stored = AnnotationProject(path).stored()
    return stored[0].glands if stored else 0


def _wait(condition: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_copy_of_a_copy_has_a_short_name_and_the_words_say_removed(
    dock: Any, area: Any, disc: Any, until_saved: Any, done: Any
) -> None:
    project = AnnotationProject(area.store.project)
    names = ("area 1 (copy)", "area 1 (copy) (2)", "area 1 (copy) (3)")
    for label, name in enumerate(names, 1):
        project.remove(area.store.key)
        area.glands_layer.data_setitem(np.nonzero(disc(area, 60, 60, 30)), label)
        until_saved(area)
        done(dock)
        assert area.info.name == name
    text = dock.message.text()
    assert "was removed in another window" in text
    assert "still in the list" not in text
    assert len(project.stored()) == 1


def test_a_save_under_way_that_fails_is_not_forgotten_when_the_window_closes(
    dock: Any, area: Any, disc: Any, full_disk: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = area.store.write

    def slow(snapshot: Any) -> Any:
        time.sleep(0.5)
        return write(snapshot)

    monkeypatch.setattr(area.store, "write", slow)
    paint(area, disc)
    qtbot.waitUntil(lambda: bool(area.state.saving), timeout=8000)
    assert area.state.dirty_since is None  # nothing but that save knows of the change
    with pytest.raises(GlandMTLError, match="disk is full"):
        dock.save_now()
    full_disk()  # else the window asks when it is closed


def test_areas_stay_with_an_image_whose_file_is_deleted_while_it_is_shown(
    dock: Any, area: Any, slide_file: Path, done: Any
) -> None:
    slide_file.unlink()
    dock.refresh_list()
    done(dock)
    assert [row.stored.info.name for row in dock.areas.list.rows] == ["area 1"]
    assert "no file" not in dock.areas.place_label.text()


def test_what_lies_over_the_chosen_image_is_said(viewer: Any, dock: Any, area: Any) -> None:
    image = dock.inputs.image_chooser.layer
    cover = viewer.add_image(image.data[0], name="another", scale=image.scale, units=image.units)
    dock.inputs.image_chooser.choose(image)
    dock.inputs.refresh()
    assert "“another” lies over" in dock.inputs.size_label.text()
    cover.visible = False
    dock.inputs.refresh()
    assert "lies over" not in dock.inputs.size_label.text()


def test_without_an_image_the_dock_says_how_to_get_one(dock: Any) -> None:
    dock.inputs.refresh()
    assert "File > Open" in dock.inputs.size_label.text()
