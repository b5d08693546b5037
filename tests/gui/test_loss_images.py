"""“Images” of the dock “Loss weights” in a real window: by clicks, while a training grows."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.layers import Labels
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog

from napari_gland_mtl.plots import LOSS_TITLES

NAMES = tuple(LOSS_TITLES)
LEFT = Qt.MouseButton.LeftButton
MPP = 0.5


class ImageRun:
    """A run folder with the numbers of its images."""

    def __init__(self, folder: Path, weighting: str = "instance", count: int = 30) -> None:
        folder.mkdir(parents=True)
        self.folder, self.count, self.epochs = folder, count, 0
        self.learned = weighting.startswith("instance")
        training = {"weighting": weighting, "epochs": 100}
        (folder / "config.json").write_text(json.dumps({"training": training}))
        (folder / "steps.csv").write_text("step,epoch,total,loss_topology,weight_topology\n")
        (folder / "epochs.csv").write_text("epoch,best,score\n")

    def train(self, epochs: int, outlier: str = "image 3", images: bool = True) -> ImageRun:
        """`outlier` stands out in topology, “image 5” always in classification.

        The model is uncertain of both and of “image 7”, whose losses are as usual.
        """
        with (self.folder / "steps.csv").open("a") as steps:
            for epoch in range(self.epochs + 1, self.epochs + epochs + 1):
                steps.write(f"{epoch},{epoch},1.0,1.0,1.0\n")
        with (self.folder / "epochs.csv").open("a") as file:
            for epoch in range(self.epochs + 1, self.epochs + epochs + 1):
                file.write(f"{epoch},1,0.5\n")
        if images:
            self._write_images(epochs, outlier)
        self.epochs += epochs
        return self

    def _write_images(self, epochs: int, outlier: str) -> None:
        path = self.folder / "images.csv"
        columns = ["epoch", "image", "patches", *NAMES]
        columns += [f"log_var_{name}" for name in NAMES] if self.learned else []
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(columns)
            for epoch in range(self.epochs + 1, self.epochs + epochs + 1):
                for i in range(self.count):
                    name = f"image {i}"
                    values = dict.fromkeys(NAMES, 0.01 * i)
                    values["topology"] += 1.5 * (name == outlier)
                    values["classification"] += 2.5 * (name == "image 5")
                    losses = [np.exp(value) for value in values.values()]
                    if name == "image 7":
                        values["segmentation"] += 2.5
                    logs = list(values.values()) if self.learned else []
                    writer.writerow([epoch, name, 4, *losses, *logs])


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trainings go; empty."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("napari_gland_mtl.widgets._loss_follow.LIST_S", 0.1)
    return folder


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> Any:
    """The dock, opened as the menu opens it; the images are chosen by a click on their tab."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Loss weights")
    dock.setMinimumSize(1050, 700)
    qtbot.waitUntil(lambda: dock.words.text() != "Reading…", timeout=30_000)
    tab = dock.views.tabRect(1).center()
    qtbot.mouseClick(dock.views, LEFT, pos=tab)
    assert dock.views.shows_images
    return dock


@pytest.fixture
def shown(dock: Any, qtbot: Any) -> Callable[[Path], None]:
    """Show a run, and wait until its images are in the table and the panels are drawn."""

    def show(folder: Path) -> None:
        dock.show_run(folder)
        qtbot.waitUntil(lambda: dock.images.table.images.rowCount() > 0, timeout=20_000)
        qtbot.waitUntil(lambda: drawn(dock), timeout=20_000)

    return show


def drawn(dock: Any) -> bool:
    canvases = dock.images.panels.canvases.values()
    seen = [canvas for canvas in canvases if not canvas.visibleRegion().isEmpty()]
    ready = all(canvas.renders and not canvas._stale for canvas in seen)
    return bool(seen) and ready and not dock.images.panels.drawing.busy


def click(dock: Any, qtbot: Any, row: int, column: int = 0) -> None:
    table = dock.images.table
    box = table.visualRect(table.images.index(row, column))
    qtbot.mouseClick(table.viewport(), LEFT, pos=box.center())


def names(dock: Any) -> list[str]:
    table = dock.images.table.images
    return [table.name(row) for row in range(table.rowCount())]


def cell(dock: Any, row: int, column: int) -> str:
    table = dock.images.table.images
    return str(table.data(table.index(row, column)))


def test_the_images_of_the_largest_losses_come_first_in_words(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "run").train(3).folder)
    assert names(dock)[:2] == ["image 5", "image 3"]
    assert cell(dock, 1, 1) == "4.0x usual (topology)"
    assert "2 of 30 images have 3 times the usual loss" in dock.images.words.text()
    assert dock.images.table.isVisible()
    for part in (dock.form, dock.legend, dock.panels, dock.values):
        assert not part.isVisible()
    click(dock, qtbot, 1)
    assert dock.images.hint.text() == (
        "image 3: 4.0x the usual loss (topology): look at its annotation. "
        "Band and dashed line are all images together, over the epochs."
    )
    qtbot.mouseClick(dock.views, LEFT, pos=dock.views.tabRect(0).center())
    assert dock.form.isVisible()
    assert dock.values.isVisible()
    assert not dock.images.isVisible()


def test_a_click_draws_the_course_of_the_image(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "run").train(4).folder)
    axes = dock.images.panels.canvases["log_var_topology"].panel.axes
    assert len(axes.lines) == 1  # the median alone
    click(dock, qtbot, 1)
    qtbot.waitUntil(lambda: drawn(dock) and len(axes.lines) == 2, timeout=10_000)
    assert axes.lines[1].get_xdata().tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 1.53)


def choose_by(dock: Any, qtbot: Any, key: Any) -> None:
    """With the keyboard, as a user may."""
    dock.images.choice.by_box.setFocus()
    qtbot.keyClick(dock.images.choice.by_box, key)


def visible_panels(dock: Any) -> list[str]:
    """As they are arranged, from the first on."""
    grid, canvases = dock.images.panels._grid, dock.images.panels.canvases
    shown = sorted(
        (grid.getItemPosition(grid.indexOf(canvas))[:2], name)
        for name, canvas in canvases.items()
        if not canvas.isHidden()
    )
    return [name for _, name in shown]


def test_by_learned_uncertainty_other_images_come_first(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "run").train(3).folder)
    box = dock.images.choice.by_box
    assert (box.isEnabled(), box.currentText()) == (True, "Loss")
    assert "Wrong annotations show there" in box.toolTip()
    assert cell(dock, names(dock).index("image 7"), 1) == "about as usual"
    table = dock.images.table
    assert table.images.headerData(2, Qt.Orientation.Horizontal) == "Class\nloss"
    assert visible_panels(dock)[0] == "classification"
    table.choose("image 3")
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    choose_by(dock, qtbot, Qt.Key.Key_Down)
    assert box.currentText() == "Learned uncertainty"
    assert names(dock)[:3] == ["image 7", "image 5", "image 3"]
    assert cell(dock, 0, 1) == "11x usual (segmentation)"
    assert "3 of 30 images have 3 times the usual uncertainty" in dock.images.words.text()
    assert table.images.headerData(2, Qt.Orientation.Horizontal) == "Class\nlog σ²"
    assert table.name == "image 3"
    assert table.images.name(table.currentIndex().row()) == "image 3"
    assert "4.0x the usual uncertainty (topology): look at the image" in dock.images.hint.text()
    qtbot.waitUntil(lambda: drawn(dock), timeout=10_000)
    assert visible_panels(dock)[0] == "log_var_classification"
    choose_by(dock, qtbot, Qt.Key.Key_Up)
    assert names(dock)[:2] == ["image 5", "image 3"]


def test_the_choice_is_greyed_out_with_its_reason_where_nothing_was_learned(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    learned, equal = ImageRun(runs_folder / "run"), ImageRun(runs_folder / "equal", "equal")
    box = dock.images.choice.by_box
    assert not box.isEnabled()
    shown(learned.train(2).folder)
    choose_by(dock, qtbot, Qt.Key.Key_Down)
    assert names(dock)[0] == "image 7"
    # As a training grows the choice stays.
    learned.train(1)
    qtbot.waitUntil(lambda: dock.images.ranking.table.last_epoch == 3, timeout=10_000)
    assert (box.currentText(), names(dock)[0]) == ("Learned uncertainty", "image 7")
    shown(equal.train(2).folder)
    qtbot.waitUntil(lambda: names(dock)[0] == "image 5", timeout=10_000)
    assert (box.isEnabled(), box.currentText()) == (False, "Loss")
    assert "No uncertainty of each image was learned" in box.toolTip()
    assert "“Learned uncertainty per image”" in box.toolTip()
    assert "usual loss" in dock.images.words.text()
    shown(learned.folder)
    qtbot.waitUntil(lambda: box.isEnabled(), timeout=10_000)
    assert "Wrong annotations show there" in box.toolTip()


def test_one_loss_alone_sorts_anew(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "run").train(3).folder)
    combo = dock.images.choice.losses
    assert combo.currentText() == "All but geometry"
    combo.setCurrentIndex(combo.findData("topology"))
    assert names(dock)[:2] == ["image 3", "image 29"]
    qtbot.waitUntil(lambda: drawn(dock), timeout=10_000)
    visible = [c.column for c in dock.images.panels.canvases.values() if not c.isHidden()]
    assert sorted(visible) == ["log_var_topology", "topology"]
    header = dock.images.table.horizontalHeader()
    x = header.sectionViewportPosition(0) + 20
    qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(x, 8))
    assert names(dock) == sorted(names(dock))


def test_the_marked_row_stays_with_its_image_when_the_table_is_sorted(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    """What is marked is what “Open image” opens."""
    shown(ImageRun(runs_folder / "run").train(3).folder)
    click(dock, qtbot, 1)
    table = dock.images.table
    chosen, row = table.name, table.currentIndex().row()
    table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert table.name == chosen
    (marked,) = table.selectionModel().selectedRows()
    assert marked.row() != row
    assert table.images.name(marked.row()) == chosen
    assert table.images.name(table.currentIndex().row()) == chosen


def test_a_growing_training_is_followed_and_the_chosen_image_stays(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    run = ImageRun(runs_folder / "live").train(2)
    shown(run.folder)
    click(dock, qtbot, 1)
    assert dock.images.table.name == "image 3"
    # Another image stands out from now on; five epochs later only that one does.
    run.train(6, outlier="image 8")
    qtbot.waitUntil(lambda: "image 8" in names(dock)[:2], timeout=10_000)
    assert dock.images.table.name == "image 3"
    row = dock.images.table.currentIndex().row()
    assert dock.images.table.images.name(row) == "image 3"
    axes = dock.images.panels.canvases["log_var_topology"].panel.axes
    qtbot.waitUntil(
        lambda: [len(line.get_xdata()) for line in axes.lines] == [8, 8], timeout=10_000
    )


def test_what_is_not_there_is_said(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "equal", "equal").train(2).folder)
    assert names(dock)[:2] == ["image 5", "image 3"]
    old = ImageRun(runs_folder / "old", "uncertainty").train(2, images=False)
    dock.show_run(old.folder)
    text = "kept no numbers of its images"
    qtbot.waitUntil(lambda: text in dock.images.words.text(), timeout=10_000)
    assert not dock.images.table.isVisible()
    assert not dock.images.open_button.isEnabled()
    assert not dock.images.save_button.isEnabled()
    young = ImageRun(runs_folder / "young")
    dock.show_run(young.folder)
    qtbot.waitUntil(lambda: "after the first epoch" in dock.images.words.text(), timeout=10_000)


def test_the_theme_is_followed(
    viewer: Any, dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    shown(ImageRun(runs_folder / "run").train(2).folder)
    axes = dock.images.panels.canvases["topology"].panel.axes
    dark = axes.get_facecolor()
    viewer.theme = "light"
    qtbot.waitUntil(lambda: drawn(dock) and axes.get_facecolor() != dark, timeout=10_000)
    assert sum(axes.get_facecolor()[:3]) > 2.5


def test_the_table_is_saved(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shown(ImageRun(runs_folder / "run").train(2).folder)
    path = tmp_path / "table.csv"
    answer = (str(path), "Table (*.csv)")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: answer)
    qtbot.mouseClick(dock.images.save_button, LEFT)
    qtbot.waitUntil(lambda: "Saved" in dock.message.text(), timeout=10_000)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["image"] for row in rows] == names(dock)


def test_a_thousand_images_over_two_hundred_epochs_stay_fluid(
    dock: Any, shown: Callable[[Path], None], runs_folder: Path, qtbot: Any
) -> None:
    run = ImageRun(runs_folder / "large", count=1000).train(200)
    shown(run.folder)
    assert dock.images.table.images.rowCount() == 1000
    dock.images.panels.drawing.longest_ms = 0.0
    began = time.perf_counter()
    click(dock, qtbot, 1)
    took = time.perf_counter() - began
    qtbot.waitUntil(lambda: drawn(dock), timeout=20_000)
    # The bounds are generous, for a machine that is busy with other things.
    assert took < 0.5
    assert dock.images.panels.drawing.longest_ms < 400
    slowest, show = 0.0, dock.images.show_run

    def timed(*args: Any) -> None:
        nonlocal slowest
        started = time.perf_counter()
        show(*args)
        slowest = max(slowest, time.perf_counter() - started)

    dock.images.show_run = timed
    run.train(1)
    qtbot.waitUntil(lambda: dock.images.ranking.table.last_epoch == 201, timeout=20_000)
    assert 0 < slowest < 0.5


# -------------------------------------------------------------------- opening images


@pytest.fixture
def images(tmp_path: Path, tissue: npt.NDArray[np.uint8]) -> Path:
    """Six annotated images as a folder, named as those of `ImageRun`."""
    folder = tmp_path / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    mask = np.ones(tissue.shape[:2], np.uint8)
    mask[20:80, 30:90], mask[40:60, 50:70] = 2, 3
    for number in range(6):
        shift = np.roll(tissue, number, 0)
        Image.fromarray(shift).save(folder / "images" / f"image {number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"image {number}.png")
    return folder


def note_origin(run: ImageRun, folder: Path) -> Path:
    origin = {"path": str(folder), "mpp": MPP, "split": None, "masks": "auto"}
    (run.folder / "data.json").write_text(json.dumps({"origin": origin}))
    return run.folder


def test_an_image_is_opened_with_its_annotation(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, images: Path, tissue: Any
) -> None:
    shown(note_origin(ImageRun(runs_folder / "run").train(2), images))
    assert not dock.images.open_button.isEnabled()
    click(dock, qtbot, 1)
    qtbot.mouseClick(dock.images.open_button, LEFT)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    image, regions = viewer.layers
    assert (image.name, regions.name) == ("image 3", "image 3 annotated regions")
    np.testing.assert_array_equal(image.data, np.roll(tissue, 3, 0))
    assert set(np.unique(regions.data)) == {1, 2, 3}
    assert tuple(image.scale) == tuple(regions.scale) == (MPP, MPP)
    assert not regions.editable
    assert viewer.layers.selection.active is image
    assert "is in the viewer" in dock.message.text()
    # A double click on another one hides the first; the first again adds nothing.
    dock.images.table.choose("image 5")
    dock.images.table.open_clicked.emit("image 5")
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)
    assert not image.visible
    qtbot.waitUntil(lambda: not dock.opener.bridge.running, timeout=10_000)
    dock.images.table.open_clicked.emit("image 3")
    qtbot.waitUntil(lambda: image.visible, timeout=20_000)
    assert len(viewer.layers) == 4


def test_images_that_were_moved_are_asked_for(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, images: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shown(note_origin(ImageRun(runs_folder / "run").train(2), images))
    images.rename(tmp_path / "moved")
    dock.images.table.open_clicked.emit("image 3")
    qtbot.waitUntil(lambda: "cannot be opened" in dock.message.text(), timeout=20_000)
    assert not viewer.layers
    answer = str(tmp_path / "moved")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answer)
    qtbot.mouseClick(dock.message.button, LEFT)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)


def test_an_annotated_area_is_opened_to_be_mended(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, write_pyramid: Any,
    tissue: Any,
) -> None:  # fmt: skip
    from napari_gland_mtl.annotations.area import area_from_slide
    from napari_gland_mtl.annotations.project import AnnotationProject, project_path
    from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
    from napari_gland_mtl.slides import open_slide

    path = write_pyramid("slide.tif", tissue)
    with open_slide(path) as slide:
        area = area_from_slide(slide, (0, 0, 160, 224), MPP, "area 1", complete=True)
    area.glands[20:60, 20:60] = 1
    key, _ = AnnotationProject(project_path(path)).add(area)
    run = ImageRun(runs_folder / "tuned").train(2)
    config = FinetuneConfig(training_data=(f"{project_path(path)}::{key}",))
    (run.folder / "finetune.json").write_text(config.model_dump_json())
    shown(run.folder)
    dock.images.table.open_clicked.emit(f"{area.info.slide}/area 1")
    qtbot.waitUntil(lambda: len(viewer.layers) >= 4, timeout=20_000)
    _, annotate = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    qtbot.waitUntil(lambda: not annotate.running, timeout=20_000)
    assert annotate.session.find(project_path(path), key) is not None
    labels = {layer.name: layer for layer in viewer.layers if isinstance(layer, Labels)}
    glands = labels[f"{area.info.slide} · area 1 glands"]
    assert glands.editable
    # The slide is not open: the area's own pixels lie under it.
    under = viewer.layers[f"{area.info.slide} · area 1"]
    np.testing.assert_allclose(under.translate, glands.translate)
    np.testing.assert_allclose(under.scale, glands.scale)


def test_an_image_that_was_deleted_is_said_and_the_others_open(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, images: Path
) -> None:
    shown(note_origin(ImageRun(runs_folder / "run").train(2), images))
    dock.images.table.open_clicked.emit("image 5")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    qtbot.waitUntil(lambda: not dock.opener.bridge.running, timeout=10_000)
    # Found already by then: only reading it fails.
    (images / "images" / "image 3.png").unlink()
    dock.images.table.open_clicked.emit("image 3")
    qtbot.waitUntil(lambda: "image 3.png" in dock.message.text(), timeout=20_000)
    assert "unexpected" not in dock.message.text()
    qtbot.waitUntil(lambda: not dock.opener.bridge.running, timeout=10_000)
    # Looked for anew, as the files may be mended: it is not there at all.
    dock.images.table.open_clicked.emit("image 3")
    qtbot.waitUntil(lambda: "no image “image 3”" in dock.message.text(), timeout=20_000)
    assert dock.message.button.isVisible()
    qtbot.waitUntil(lambda: not dock.opener.bridge.running, timeout=10_000)
    dock.images.table.open_clicked.emit("image 2")
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)


def test_images_in_a_folder_per_class_with_regions_of_their_own_open(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, images: Path
) -> None:
    """As an own model has them: a fourth region, and two classes with files of one name."""
    from napari_gland_mtl.checkpoint import ModelCard, save_model
    from napari_gland_mtl.network import NetworkConfig, build_network
    from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

    muscle = Region(name="muscle", color="#ff0000")
    own = RegionHierarchy(
        regions=(*GLAND_REGIONS.regions, muscle),
        gland=GLAND_REGIONS.gland,
        background=GLAND_REGIONS.background,
    )
    for kind in ("Normal", "Polyp"):
        for part in ("images", "masks"):
            (images / kind / part).mkdir(parents=True)
            path = images / part / "image 3.png"
            pixels = np.asarray(Image.open(path)).copy()
            if part == "masks":
                pixels[:10] = 4
            Image.fromarray(pixels).save(images / kind / part / "image 3.png")
    for part in ("images", "masks"):
        (images / part).rename(images.parent / f"other {part}")
    run = ImageRun(runs_folder / "own").train(2, outlier="Polyp/image 3")
    network = build_network(NetworkConfig(widths=(4, 8), regions=own))
    card = ModelCard(
        name="own", description="Four regions.", mpp=MPP, licence="None needed.",
        network=network.config.model_dump(mode="json"),
    )  # fmt: skip
    save_model(run.folder / "start.safetensors", network, card)
    shown(note_origin(run, images))
    dock.images.table.open_clicked.emit("Polyp/image 3")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    regions = viewer.layers["Polyp/image 3 annotated regions"]
    assert (regions.data[:10] == 4).all()
    np.testing.assert_allclose(regions.get_color(4)[:3], (1, 0, 0))


def test_an_area_is_not_laid_over_another_slide_of_the_same_size(
    viewer: Any, dock: Any, shown: Any, runs_folder: Path, qtbot: Any, write_pyramid: Any,
    tissue: Any,
) -> None:  # fmt: skip
    from napari_gland_mtl.annotations.area import area_from_slide
    from napari_gland_mtl.annotations.project import AnnotationProject, project_path
    from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
    from napari_gland_mtl.slides import open_slide

    path, other = write_pyramid("slide.tif", tissue), write_pyramid("other.tif", tissue[::-1])
    with open_slide(path) as slide:
        area = area_from_slide(slide, (0, 0, 160, 224), MPP, "area 1", complete=True)
    area.glands[20:60, 20:60] = 1
    key, _ = AnnotationProject(project_path(path)).add(area)
    run = ImageRun(runs_folder / "tuned").train(2)
    config = FinetuneConfig(training_data=(f"{project_path(path)}::{key}",))
    (run.folder / "finetune.json").write_text(config.model_dump_json())
    (wrong,) = viewer.open(other, plugin="napari-gland-mtl")
    wrong.translate = (500, 500)
    # A stack is open, too, which can be nobody's slide.
    viewer.add_image(np.zeros((2, 8, 8)), name="stack", visible=False)
    shown(run.folder)
    dock.images.table.open_clicked.emit("slide/area 1")
    _, annotate = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    qtbot.waitUntil(lambda: annotate.session.current is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not annotate.running, timeout=20_000)
    glands = viewer.layers["slide · area 1 glands"]
    under = viewer.layers["slide · area 1"]
    np.testing.assert_allclose(glands.translate[-2:], under.translate[-2:])
    assert np.abs(glands.translate[-2:] - wrong.translate).max() > 100
    assert "“slide”, is not open" in dock.message.text()
    # With the slide itself it goes there.
    annotate.close_area(_row(project_path(path)))
    viewer.layers.remove(under)
    qtbot.waitUntil(lambda: not annotate.running, timeout=20_000)
    (right,) = viewer.open(path, plugin="napari-gland-mtl")
    right.translate = (900, 0)
    qtbot.waitUntil(lambda: not dock.opener.bridge.running, timeout=10_000)
    dock.images.table.open_clicked.emit("slide/area 1")
    qtbot.waitUntil(lambda: annotate.session.current is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not annotate.running, timeout=20_000)
    glands = viewer.layers["slide · area 1 glands"]
    np.testing.assert_allclose(glands.translate[-2:], right.translate[-2:], atol=1)
    assert annotate.inputs.image_chooser.layer is right
    assert "slide · area 1" not in viewer.layers


def _row(project: Path) -> Any:
    from napari_gland_mtl.annotations.project import AnnotationProject
    from napari_gland_mtl.widgets._annotate_list import Row

    (stored,) = AnnotationProject(project).stored()
    return Row(project, stored)
