"""“Fine-tune” on a real window, by clicks: a tiny network really learns from annotated areas."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import QEvent, QObject, Qt

from napari_gland_mtl.jobs.runner import JobState, JobStatus
from napari_gland_mtl.widgets._finetune_offer import DISMISSED, interrupted_run
from napari_gland_mtl.widgets._finetune_panel import FinetunePanel
from napari_gland_mtl.widgets._finetune_table import AREA, CLASS, GLANDS, SIZE, SLIDE, USE
from napari_gland_mtl.widgets._preview_layers import preview_layers

MPP = 0.5
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def places(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models and runs of the tests' own; the tiny model is the one that the program brings."""
    own = tmp_path / "models"
    own.mkdir()
    for module in ("checkpoint", "jobs.models"):
        name = f"napari_gland_mtl.{module}.model_folders"
        monkeypatch.setattr(name, lambda: (own, tiny_model.parent))
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return own


@pytest.fixture
def annotate(tissue: npt.NDArray[np.uint8]) -> Callable[..., str]:
    """Stores an area of a slide's file with its two rings outlined."""
    from dataclasses import replace

    from napari_gland_mtl.annotations.area import area_from_slide
    from napari_gland_mtl.annotations.project import AnnotationProject, project_path
    from napari_gland_mtl.slides import open_slide

    y, x = np.mgrid[:160, :224]
    glands = np.zeros((160, 224), np.int32)
    for label, (cy, cx) in enumerate(((50, 60), (110, 160)), 1):
        glands[np.hypot(y - cy, x - cx) < 35] = label

    def store(path: Path, name: str = "area 1", outlined: bool = True, **info: Any) -> str:
        with open_slide(path) as slide:
            area = area_from_slide(slide, (0, 0, 160, 224), MPP, name, complete=True, **info)
        if not outlined:
            area = replace(area, info=area.info.model_copy(update={"complete": False}))
        labels = glands if outlined else np.zeros_like(glands)
        key, _ = AnnotationProject(project_path(path)).add(replace(area, glands=labels))
        return key

    return store


@pytest.fixture
def slides(write_pyramid: Any, tissue: Any, annotate: Any) -> tuple[Path, Path]:
    """Two slides: two areas on the first, one on the second."""
    first, second = write_pyramid("first.tif", tissue), write_pyramid("second.tif", tissue[::-1])
    annotate(first, "area 1", class_name="benign")
    annotate(first, "area 2", class_name="malignant")
    annotate(second, "area 1", class_name="malignant")
    return first, second


@pytest.fixture
def dock(viewer: Any, slides: tuple[Path, Path]) -> Any:
    """The dock, opened as the menu opens it, with quick settings and no area yet."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Fine-tune")
    form, more = dock.inputs.settings.form.controls, dock.inputs.settings.more_form.controls
    form["epochs"].value, form["patches_per_epoch"].value = 2, 4
    more["batch_size"].value, more["patch_size"].value = 2, 64
    return dock


@pytest.fixture
def listed(dock: Any, slides: tuple[Path, Path]) -> Any:
    """All three areas are in the list."""
    dock.add_project(slides[0].parent)
    assert dock.table.rowCount() == 3
    return dock


def column(dock: Any, number: int) -> list[str]:
    return [dock.table.item(row, number).text() for row in range(dock.table.rowCount())]


def click_tick(dock: Any, row: int, qtbot: Any) -> None:
    """Press the tick of a row with the mouse."""
    table = dock.table
    rect = table.visualItemRect(table.item(row, AREA))
    spot = rect.center()
    spot.setX(rect.left() + 10)
    qtbot.mouseClick(table.viewport(), LEFT, pos=spot)


def runs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "runs"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def steps(tmp_path: Path) -> int:
    (run,) = runs(tmp_path)
    file = run / "steps.csv"
    return len(file.read_text().splitlines()) - 1 if file.is_file() else 0


# -------------------------------------------------------------------- areas


def test_areas_of_an_open_slide_are_listed_with_a_tick_each(
    viewer: Any, dock: Any, slides: tuple[Path, Path], qtbot: Any
) -> None:
    assert dock.table.rowCount() == 0
    assert "Annotate" in dock.inputs.summary.text()
    viewer.open(slides[0], plugin="napari-gland-mtl")
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    assert column(dock, AREA) == ["area 1", "area 2"]
    assert column(dock, SLIDE) == ["first", "first"]
    assert column(dock, CLASS) == ["benign", "malignant"]
    assert column(dock, GLANDS) == ["2", "2"]
    assert column(dock, SIZE) == ["0.5", "0.5"]
    assert len(dock.table.ticked()) == 2


def test_an_area_that_is_annotated_later_appears_by_itself(
    listed: Any, slides: tuple[Path, Path], annotate: Any, qtbot: Any
) -> None:
    click_tick(listed, 0, qtbot)
    annotate(slides[1], "area 2")
    qtbot.waitUntil(lambda: listed.table.rowCount() == 4, timeout=10_000)
    assert [area.stored.info.name for area in listed.table.ticked()] == [
        "area 2",
        "area 1",
        "area 2",
    ]


def test_an_area_without_annotations_cannot_be_ticked(
    listed: Any, slides: tuple[Path, Path], annotate: Any, qtbot: Any
) -> None:
    annotate(slides[1], "area 2", outlined=False)
    qtbot.waitUntil(lambda: listed.table.rowCount() == 4, timeout=10_000)
    click_tick(listed, 3, qtbot)
    assert listed.table.item(3, AREA).checkState() == Qt.CheckState.Unchecked
    assert "Nothing is annotated" in listed.table.item(3, AREA).toolTip()
    assert len(listed.table.ticked()) == 3


def test_whole_slides_are_kept_apart_and_the_user_can_say_otherwise(listed: Any) -> None:
    uses = [listed.table.cellWidget(row, USE) for row in range(3)]
    assert [use.currentText() for use in uses] == [
        "auto: training",
        "auto: training",
        "auto: validation",
    ]
    assert listed.inputs.summary.text() == (
        "Learns from 4 glands in 2 areas of 1 slide; 1 area measures it."
    )
    uses[0].setCurrentIndex(2)
    assert set(listed.table.plan().values()) == {"training", "validation"}
    assert [use.itemText(0) for use in uses] == [
        "auto: validation",
        "auto: training",
        "auto: training",
    ]


def test_the_dock_for_annotating_opens_by_a_click(viewer: Any, dock: Any, qtbot: Any) -> None:
    qtbot.mouseClick(dock.inputs.annotate_button, LEFT)
    _, annotating = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    assert annotating.isVisible()


def test_a_folder_without_annotations_is_refused_in_words(dock: Any, tmp_path: Path) -> None:
    dock.add_project(tmp_path)
    assert "holds no annotations" in dock.message.text()


# -------------------------------------------------------------------- before the start


def test_what_is_missing_is_said_beside_the_button(
    listed: Any, qtbot: Any, tmp_path: Path, places: Path, tiny_model: Path
) -> None:
    def said() -> str:
        qtbot.mouseClick(listed.panel.start_button, LEFT)
        assert not listed.running
        assert listed.message.isVisible()
        return str(listed.message.text())

    qtbot.mouseClick(listed.inputs.none_button, LEFT)
    assert "No area is ticked" in said()
    qtbot.mouseClick(listed.inputs.all_button, LEFT)
    for row in range(3):
        listed.table.use_for(row, "validation")
    assert "nothing to learn from" in said()
    for row in range(3):
        listed.table.use_for(row, "auto")
    (places / "mine.safetensors").write_bytes(tiny_model.read_bytes())
    listed.inputs.name_edit.setText("mine")
    assert "'mine' already" in said()
    listed.inputs.name_edit.setText("../mine")
    assert "cannot be the name" in said()
    listed.inputs.name_edit.setText("")
    assert "no name" in said()
    listed.inputs.name_edit.setText("new")
    combo = listed.inputs.settings.losses.combo
    combo.setCurrentIndex(combo.findData("convex"))
    assert "4 are ticked" in said()
    assert runs(tmp_path) == []


def test_an_empty_list_tells_what_to_do(dock: Any, qtbot: Any) -> None:
    qtbot.mouseClick(dock.panel.start_button, LEFT)
    assert "no annotated areas" in dock.message.text()


def test_an_area_that_is_damaged_meanwhile_is_named(
    listed: Any, slides: tuple[Path, Path], finish: Any, qtbot: Any
) -> None:
    from napari_gland_mtl.annotations.project import project_path

    listed.source.follow(False)
    area = listed.table.areas[0]
    labels = project_path(slides[0]) / "areas" / area.stored.key / "labels" / "glands"
    (chunk,) = [file for file in labels.rglob("*") if file.is_file() and "c" in file.parts]
    chunk.write_bytes(b"nothing that was ever compressed")
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed)
    assert "area" in listed.message.text()
    assert not listed.result.isVisible()
    assert listed.panel.start_button.isEnabled()


# -------------------------------------------------------------------- settings


def test_sliders_are_there_only_with_the_weighting_that_needs_them(dock: Any, qtbot: Any) -> None:
    settings = dock.inputs.settings
    assert settings.losses.visibleRegion().isEmpty()
    settings.expand(animate=False)
    qtbot.waitUntil(lambda: not settings.losses.visibleRegion().isEmpty(), timeout=2_000)
    losses = settings.losses

    def choose(name: str) -> tuple[int, bool]:
        losses.combo.setCurrentIndex(losses.combo.findData(name))
        return sum(
            slider.isVisible() for slider in losses.sliders.values()
        ), losses.share.isVisible()

    assert choose("uncertainty") == (0, False)
    learned = losses.sentence.text()
    assert choose("fixed") == (4, False)
    assert losses.sentence.text() not in ("", learned)
    losses.ticks["geometry"].click()
    assert choose("fixed") == (3, False)
    assert choose("convex") == (0, False)
    assert "Tick two" in losses.warning.text()
    losses.ticks["topology"].click()
    assert choose("convex") == (0, True)
    assert not losses.warning.isVisible()
    assert choose("instance_pixel") == (0, False)
    assert not losses.warning.isVisible()
    losses.ticks["segmentation"].click()
    assert "per pixel is about the segmentation loss" in losses.warning.text()


def test_the_settings_reach_the_training(
    listed: Any, finish: Any, qtbot: Any, tmp_path: Path
) -> None:
    losses = listed.inputs.settings.losses
    losses.combo.setCurrentIndex(losses.combo.findData("fixed"))
    losses.ticks["geometry"].click()
    losses.sliders["topology"].setValue(0.5)
    listed.inputs.settings.form.controls["keep"].value = 0.25
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed, 120_000)
    (run,) = runs(tmp_path)
    training = json.loads((run / "config.json").read_text())["training"]
    assert training["weighting"] == "fixed"
    assert training["losses"] == ["classification", "segmentation", "topology"]
    assert training["loss_weights"]["topology"] == 0.5
    assert training["keep"] == 0.25


# -------------------------------------------------------------------- a training


def test_a_click_makes_a_better_known_model_that_every_dock_can_choose_at_once(
    viewer: Any, widget: Any, listed: Any, finish: Any, qtbot: Any, tmp_path: Path, places: Path
) -> None:
    from napari_gland_mtl.checkpoint import load_model

    segment = widget.inputs.model_chooser.combo
    assert segment.findText("tiny tuned") < 0
    assert listed.inputs.name_edit.text() == "tiny tuned"
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    assert not listed.panel.start_button.isEnabled()
    finish(listed, 120_000)
    qtbot.waitUntil(lambda: segment.findText("tiny tuned") >= 0, timeout=5_000)
    assert segment.currentText() == "tiny"
    (run,) = runs(tmp_path)
    data = json.loads((run / "data.json").read_text())
    assert len(data["validation"]) == 1
    # Some of each class is left to learn from.
    assert "first/area 1" in data["training"]
    assert len(data["training"]) == 2
    assert steps(tmp_path) == 4
    model = load_model("tiny tuned")
    assert set(model.card.measures) == {"before", "after"}
    before = load_model("tiny").network.state_dict()
    after = model.network.state_dict()
    assert any(not np.allclose(before[name], after[name]) for name in before)
    assert listed.result.isVisible()
    assert "“tiny tuned”" in listed.result.title()
    assert "validation areas" in listed.result.verdict_label.text()
    assert "Object Dice" in listed.result.table_label.text()
    assert listed.inputs.name_edit.text() == "tiny tuned 2"
    assert "Done after" in listed.panel.status_label.text()


def test_the_new_model_is_used_by_a_click(
    viewer: Any, listed: Any, finish: Any, qtbot: Any
) -> None:
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed, 120_000)
    qtbot.mouseClick(listed.result.use_button, LEFT)
    _, segment = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Segment glands")
    assert segment.inputs.model_chooser.model() == "tiny tuned"


def test_there_is_nothing_to_show_of_a_training_before_the_first(
    listed: Any, finish: Any, qtbot: Any
) -> None:
    assert not listed.weights_button.isEnabled()
    assert "no training yet" in listed.weights_button.toolTip()
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    assert listed.weights_button.isEnabled()
    assert "draws the losses" in listed.weights_button.toolTip()
    finish(listed, 120_000)
    assert listed.weights_button.isEnabled()


def test_the_losses_of_the_training_are_shown_by_a_click(
    viewer: Any, listed: Any, finish: Any, qtbot: Any, tmp_path: Path
) -> None:
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed, 120_000)
    qtbot.mouseClick(listed.weights_button, LEFT)
    _, weights = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Loss weights")
    assert weights.isVisible()
    (run,) = runs(tmp_path)
    qtbot.waitUntil(lambda: run in weights.runs.ticked, timeout=10_000)


def test_all_that_is_new_in_the_panel_is_painted_together(qtbot: Any) -> None:
    """Each painting has the whole window put together anew, which takes time from a training."""
    panel = FinetunePanel()
    qtbot.addWidget(panel)
    panel.show_busy("Starting")
    panel.show_step(1, 3, 1, 100)
    panel.resize(400, 300)
    panel.show()
    qtbot.waitExposed(panel)
    qtbot.wait(300)
    painted = Paintings(panel.bar)
    panel.bar.installEventFilter(painted)
    for step in (10, 20, 30):
        before = painted.count
        panel.show_step(1, 3, step, 100)
        panel.show_status(JobStatus(JobState.RUNNING, done=step, total=100, remaining=step))
        assert painted.count == before  # not before the window has time for all of it
        qtbot.waitUntil(lambda before=before: painted.count > before, timeout=5_000)


class Paintings(QObject):
    """Counts how often a widget is painted."""

    count = 0

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        self.count += event.type() == QEvent.Type.Paint
        return False


def test_pause_holds_every_step_and_go_on_ends_it(
    listed: Any, finish: Any, qtbot: Any, tmp_path: Path
) -> None:
    listed.inputs.settings.form.controls["epochs"].value = 20
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.waitUntil(lambda: listed.panel.losses_label.isVisible(), timeout=60_000)
    qtbot.mouseClick(listed.panel.pause_button, LEFT)
    qtbot.waitUntil(lambda: listed.panel.paused, timeout=5_000)
    qtbot.wait(500)
    held = steps(tmp_path)
    qtbot.wait(1_000)
    assert steps(tmp_path) == held < 40
    assert "Paused" in listed.panel.status_label.text()
    qtbot.mouseClick(listed.panel.pause_button, LEFT)
    finish(listed, 120_000)
    assert steps(tmp_path) == 40


def test_stop_keeps_the_best_so_far_and_it_can_be_trained_further(
    listed: Any, finish: Any, qtbot: Any, tmp_path: Path, places: Path
) -> None:
    listed.inputs.settings.form.controls["epochs"].value = 200
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.waitUntil(lambda: steps(tmp_path) > 4 if runs(tmp_path) else False, timeout=60_000)
    qtbot.mouseClick(listed.panel.stop_button, LEFT)
    finish(listed, 60_000)
    done = steps(tmp_path)
    assert 4 < done < 400
    assert "Stopped after" in listed.panel.status_label.text()
    assert (places / "tiny tuned.safetensors").is_file()
    assert listed.result.go_on_button.isVisible()
    qtbot.mouseClick(listed.result.go_on_button, LEFT)
    qtbot.waitUntil(lambda: steps(tmp_path) > done, timeout=60_000)
    qtbot.mouseClick(listed.panel.stop_button, LEFT)
    finish(listed, 60_000)
    assert len(runs(tmp_path)) == 1
    listed.offer.refresh()
    assert not listed.offer.isVisible()  # stopped by the user, twice


def test_stopped_before_an_epoch_no_model_is_claimed(
    listed: Any, finish: Any, qtbot: Any, places: Path
) -> None:
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.mouseClick(listed.panel.stop_button, LEFT)
    finish(listed, 60_000)
    assert "no model was made" in listed.panel.status_label.text()
    assert list(places.iterdir()) == []
    assert not listed.result.isVisible()


def test_the_preview_is_one_pair_of_layers_and_leaves_the_selection_alone(
    viewer: Any, image: Any, listed: Any, finish: Any, qtbot: Any
) -> None:
    mine = viewer.add_labels(np.zeros((160, 224), int), name="mine", scale=(MPP, MPP), units="um")
    listed.inputs.settings.form.controls["epochs"].value = 3
    viewer.reset_view()
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.waitUntil(lambda: len(preview_layers(viewer)) == 2, timeout=60_000)
    first = preview_layers(viewer)
    first["regions"].visible = False
    assert viewer.layers.selection.active is mine
    finish(listed, 120_000)
    after = preview_layers(viewer)
    assert after == first
    assert len(viewer.layers) == 4
    assert {layer.name for layer in after.values()} == {
        "preview, tiny tuned, epoch 3: regions",
        "preview, tiny tuned, epoch 3: glands",
    }
    assert not after["regions"].visible
    np.testing.assert_allclose(after["glands"].extent.world, image.extent.world, atol=2 * MPP)


def test_without_its_tick_there_is_no_preview(
    viewer: Any, image: Any, listed: Any, finish: Any, qtbot: Any
) -> None:
    listed.inputs.settings.preview.setChecked(False)
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed, 120_000)
    assert preview_layers(viewer) == {}


def test_a_notice_of_the_training_is_shown_and_stays(
    listed: Any, finish: Any, qtbot: Any, monkeypatch: Any
) -> None:
    from napari_gland_mtl.training.progress import TrainingFinished, TrainingNotice

    def halved(dataset: Any, folder: Path, *rest: Any, **named: Any) -> Any:
        yield TrainingNotice("The memory ran out: 4 patches at a time now.")
        yield TrainingFinished(folder, 0, {}, False)

    monkeypatch.setattr("napari_gland_mtl.jobs.finetune.finetune_model", halved)
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    finish(listed)
    assert "4 patches" in listed.message.text()


# -------------------------------------------------------------------- cut off


@pytest.fixture
def cut_off(listed: Any, finish: Any, qtbot: Any, tmp_path: Path) -> Path:
    """The folder of a training of which nobody noted down the end, as after a kill."""
    listed.inputs.settings.form.controls["epochs"].value = 100
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.waitUntil(lambda: steps(tmp_path) > 4 if runs(tmp_path) else False, timeout=60_000)
    qtbot.mouseClick(listed.panel.stop_button, LEFT)
    finish(listed, 60_000)
    (run,) = runs(tmp_path)
    (run / DISMISSED).unlink()
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "running"}))
    return run


def test_a_training_that_was_cut_off_is_offered_and_resumed(
    listed: Any, cut_off: Path, qtbot: Any, finish: Any, tmp_path: Path
) -> None:
    done = steps(tmp_path)
    assert not listed.offer.isVisible()
    listed.hide()
    listed.show()
    assert listed.offer.isVisible()
    assert "“tiny tuned” was cut off" in listed.offer.label.text()
    qtbot.mouseClick(listed.offer.resume_button, LEFT)
    assert not listed.offer.isVisible()
    qtbot.waitUntil(lambda: steps(tmp_path) > done, timeout=60_000)
    qtbot.mouseClick(listed.panel.stop_button, LEFT)
    finish(listed, 60_000)
    assert runs(tmp_path) == [cut_off]


def test_an_offer_that_was_put_away_does_not_come_back(
    listed: Any, cut_off: Path, qtbot: Any
) -> None:
    listed.offer.refresh()
    qtbot.mouseClick(listed.offer.dismiss_button, LEFT)
    listed.offer.refresh()
    assert not listed.offer.isVisible()
    assert (cut_off / "steps.csv").is_file()


def test_closing_the_window_in_mid_run_stops_and_keeps(
    viewer: Any, listed: Any, qtbot: Any, tmp_path: Path, places: Path
) -> None:
    from napari_gland_mtl.jobs.runs import list_runs

    listed.inputs.settings.form.controls["epochs"].value = 500
    qtbot.mouseClick(listed.panel.start_button, LEFT)
    qtbot.waitUntil(lambda: steps(tmp_path) > 4 if runs(tmp_path) else False, timeout=60_000)
    viewer.close()
    qtbot.waitUntil(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("gland-mtl")],
        timeout=20_000,
    )
    (run,) = list_runs()
    assert run.state == "stopped"
    assert run.epoch >= 1
    assert interrupted_run() == run  # offered when the dock is opened the next time
    assert (places / "tiny tuned.safetensors").is_file()


def test_replay_guards_instead_of_what_is_kept_unless_that_was_set(dock: Any) -> None:
    settings = dock.inputs.settings
    keep, edit = settings.form.controls["keep"], settings.replay.edit
    before = keep.value
    edit.setText("old images")
    assert keep.value == 0
    edit.clear()
    assert keep.value == before > 0
    keep.value = 0.25
    edit.setText("old images")
    assert keep.value == 0.25
