"""“Loss weights” in a real window: choosing, following, reading, saving, themes, long trainings."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFileDialog

from napari_gland_mtl.plots import LOSS_COLORS, on_ground

NAMES = tuple(LOSS_COLORS)
PER_EPOCH = 10


class Run:
    """A run folder that grows as a training's does."""

    def __init__(self, folder: Path, learned: bool = True, lock: bool = False) -> None:
        folder.mkdir(parents=True)
        self.folder, self.learned, self.done = folder, learned, 0
        training = {"weighting": "uncertainty" if learned else "fixed", "epochs": 100}
        content = {"training": training, "name": folder.name}
        (folder / "config.json").write_text(json.dumps(content))
        self._lock: Any = None
        if lock:
            from filelock import FileLock

            self._lock = FileLock(folder / "run.lock", thread_local=False)
            self._lock.acquire()

    def end(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def train(self, steps: int) -> Run:
        kinds = ["loss", "weight", *(["log_var"] if self.learned else [])]
        columns = ["step", "epoch", "total", *(f"{k}_{n}" for k in kinds for n in NAMES)]
        with (
            (self.folder / "steps.csv").open("a") as file,
            (self.folder / "epochs.csv").open("a") as epochs,
        ):
            if not self.done:
                file.write(",".join(columns) + "\n")
                epochs.write("epoch,best,score,object_dice\n")
            for step in range(self.done + 1, self.done + steps + 1):
                file.write(",".join(map(str, self._row(step, kinds))) + "\n")
                if step % PER_EPOCH == 0:
                    epoch = step // PER_EPOCH
                    epochs.write(f"{epoch},1,{1 - 1 / (epoch + 1)},{1 - 1 / (epoch + 2)}\n")
        self.done += steps
        return self

    def _row(self, step: int, kinds: list[str]) -> list[float]:
        places = range(len(NAMES))
        values = {
            "loss": [(place + 1) / math.sqrt(step) for place in places],
            "log_var": [math.tanh(step / 100) * (place - 2) for place in places],
        }
        values["weight"] = [math.exp(-v) if self.learned else 0.25 for v in values["log_var"]]
        total = -1.5 if self.learned else 1.5
        return [step, (step - 1) // PER_EPOCH + 1, total, *(v for k in kinds for v in values[k])]


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trainings go; empty."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("NAPARI_GLAND_MTL_RUNS", str(folder))
    monkeypatch.setattr("napari_gland_mtl.widgets._loss_follow.LIST_S", 0.1)
    return folder


@pytest.fixture
def dock(viewer: Any, runs_folder: Path, qtbot: Any) -> Any:
    """The dock, opened as the menu opens it; wide enough for all panels to be in sight."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Loss weights")
    dock.setMinimumSize(1050, 700)
    qtbot.waitUntil(lambda: dock.words.text() != "Reading…", timeout=30_000)
    return dock


@pytest.fixture
def drawn(qtbot: Any) -> Callable[..., None]:
    """Wait until the dock shows so many steps, and all is drawn."""

    def wait(dock: Any, *steps: int, timeout: int = 20_000) -> None:
        def is_drawn() -> bool:
            shown = [len(run.steps.get("step", ())) for run in dock.shown]
            panels, by_step = dock.panels, dock.options().x == "step"
            canvases = [c for c in panels.canvases.values() if not c.visibleRegion().isEmpty()]
            return (
                shown == list(steps)
                and not panels.drawing.busy
                and not panels._growth.isActive()
                and bool(canvases)
                and all(c.renders and not c._stale for c in canvases)
                and all(_reaches(c, max(steps)) for c in canvases if by_step)
            )

        # Twice: a canvas that was just made has yet to be laid out and painted.
        qtbot.waitUntil(is_drawn, timeout=timeout)
        qtbot.wait(150)
        qtbot.waitUntil(is_drawn, timeout=timeout)

    return wait


def _reaches(canvas: Any, step: int) -> bool:
    """Whether a panel with a point per step shows this one: the thread reads ahead of it."""
    return canvas.name in ("measures", "distance", "violations") or max(ended(canvas)) == step


def ended(canvas: Any) -> list[float]:
    """The last step that each line of a panel reaches."""
    return [float(curve.x[-1]) for curves in canvas.panel.curves for curve in curves]


def tick(dock: Any, qtbot: Any, row: int) -> None:
    """Click the box of a row of the list."""
    box = dock.runs.list.visualItemRect(dock.runs.list.item(row))
    position = QPoint(box.left() + 10, box.center().y())
    qtbot.mouseClick(dock.runs.list.viewport(), Qt.MouseButton.LeftButton, pos=position)


def test_without_a_training_it_says_how_to_get_one(dock: Any) -> None:
    assert "There is no training yet" in dock.words.text()
    assert not dock.form.save.isEnabled()
    assert not dock.values.isVisible()


def test_a_training_that_starts_elsewhere_is_shown_and_followed(
    dock: Any, runs_folder: Path, qtbot: Any, drawn: Callable[..., None]
) -> None:
    run = Run(runs_folder / "live", lock=True).train(5)
    drawn(dock, 5)
    assert "running" in dock.runs.list.item(0).text()
    canvas = dock.panels.canvases["losses"]
    assert ended(canvas) == [5.0] * 4
    run.train(20)
    drawn(dock, 25)
    assert ended(canvas) == [25.0] * 4
    assert "Geometry is at present the most uncertain loss" in dock.words.text()
    assert "below zero" in dock.words.text()
    assert "Latest: step 25" in dock.values.title.text()
    assert dock.values.table.item(3, 0).text() == "Geometry"
    run.end()
    qtbot.waitUntil(lambda: "running" not in dock.runs.list.item(0).text(), timeout=10_000)


def test_another_training_takes_over_only_if_the_newest_is_followed(
    dock: Any, runs_folder: Path, qtbot: Any, drawn: Callable[..., None]
) -> None:
    first = Run(runs_folder / "first", lock=True).train(5)
    drawn(dock, 5)
    first.end()
    second = Run(runs_folder / "second", lock=True).train(7)
    drawn(dock, 7)
    second.end()
    qtbot.mouseClick(dock.runs.follow, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert not dock.runs.follow.isChecked()
    third = Run(runs_folder / "third", lock=True).train(9)
    qtbot.waitUntil(lambda: dock.runs.list.count() == 3, timeout=10_000)
    drawn(dock, 7)
    qtbot.mouseClick(dock.runs.follow, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    drawn(dock, 9)
    third.end()


def test_several_trainings_are_compared_by_ticking(
    dock: Any, runs_folder: Path, qtbot: Any, drawn: Callable[..., None]
) -> None:
    for name, steps in (("one", 5), ("two", 8)):
        Run(runs_folder / name).train(steps)
        time.sleep(0.02)
    qtbot.waitUntil(lambda: dock.runs.list.count() == 2, timeout=10_000)
    (shown,) = dock.runs.ticked
    other = next(r for r in (0, 1) if dock.runs.list.item(r).toolTip() != str(shown))
    tick(dock, qtbot, other)
    qtbot.waitUntil(lambda: len(dock.shown) == 2, timeout=10_000)
    drawn(dock, *(len(run.steps["step"]) for run in dock.shown))
    lines = list(dock.panels.canvases["losses"].panel.axes.lines)
    assert len(lines) == 8
    assert len({str(line._dash_pattern) for line in lines}) == 2
    assert dock.values.table.rowCount() == 8
    assert dock.words.text().count("\n") == 1
    tick(dock, qtbot, other)
    qtbot.waitUntil(lambda: len(dock.shown) == 1, timeout=10_000)


def test_a_run_folder_from_elsewhere_is_opened(
    dock: Any, tmp_path: Path, qtbot: Any, drawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "elsewhere", learned=False).train(12)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(run.folder))
    qtbot.mouseClick(dock.runs.open_button, Qt.MouseButton.LeftButton)
    drawn(dock, 12)
    assert "there is no log σ² to show" in dock.words.text()
    assert not dock.panels.canvases.keys() & {"log_var", "sigma"}
    assert dock.panels.canvases["weights"].isVisible()


def test_a_training_that_was_opened_by_hand_stays(
    dock: Any,
    runs_folder: Path,
    tmp_path: Path,
    qtbot: Any,
    drawn: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(tmp_path / "elsewhere").train(12)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    qtbot.mouseClick(dock.runs.open_button, Qt.MouseButton.LeftButton)
    assert dock.runs.follow.isChecked()  # nothing was chosen
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(run.folder))
    qtbot.mouseClick(dock.runs.open_button, Qt.MouseButton.LeftButton)
    drawn(dock, 12)
    assert not dock.runs.follow.isChecked()
    newer = Run(runs_folder / "newer", lock=True).train(9)
    qtbot.waitUntil(lambda: dock.runs.list.count() == 2, timeout=10_000)
    drawn(dock, 12)
    assert dock.runs.ticked == (run.folder,)
    newer.end()


def test_weights_that_are_the_same_are_all_seen(dock: Any, tmp_path: Path, drawn: Any) -> None:
    dock.show_run(Run(tmp_path / "equal", learned=False).train(80).folder)
    drawn(dock, 80)
    assert "All four weights are the same" in dock.words.text()
    picture = dock.panels.canvases["weights"].grab().toImage()
    places = ((x, y) for x in range(picture.width()) for y in range(picture.height()))
    shown = np.unique([picture.pixelColor(x, y).getRgb()[:3] for x, y in places], axis=0)
    for color in LOSS_COLORS.values():
        wanted = QColor(on_ground(color, dock.panels._theme.background)).getRgb()[:3]
        # Give or take what smooths the edges of a line.
        assert np.abs(shown - wanted).max(axis=1).min() < 25


def test_a_folder_that_holds_no_training_is_said_to_be_none(
    dock: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "empty"))
    qtbot.mouseClick(dock.runs.open_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "no run folder" in dock.message.text(), timeout=10_000)
    assert dock.runs.list.count() == 0


def test_show_run_shows_a_training_that_has_not_begun(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    run = Run(tmp_path / "soon")
    dock.show_run(run.folder)
    qtbot.waitUntil(lambda: "No step is done yet" in dock.words.text(), timeout=10_000)
    run.train(3)
    drawn(dock, 3)


def test_the_cursor_reads_the_values_below_the_mouse(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    dock.show_run(Run(tmp_path / "run").train(40).folder)
    drawn(dock, 40)
    dock.form.smoothing.setValue(0)
    drawn(dock, 40)
    canvas = dock.panels.canvases["losses"]
    x = canvas.position_of(25.4)
    canvas.mouseMoveEvent(_at(x, 60))
    assert "Step 25, epoch 3" in dock.values.title.text()
    row = [dock.values.table.item(2, column).text() for column in range(7)]
    # At step 25 the loss is 3 / 5, log sigma^2 is 0, and so are weight and sigma 1.
    share = 100 / sum(math.exp(-math.tanh(0.25) * (place - 2)) for place in range(4))
    assert row == ["Topology", "0.600", "0.600", "0.000", "1.00", "1.00", f"{share:.0f}"]
    assert "after epoch 2: Score 0.667" in dock.values.measures.text()
    # The line is in every panel, and nothing is drawn anew for it.
    renders = {name: c.renders for name, c in dock.panels.canvases.items()}
    drawn_ones = [c for c in dock.panels.canvases.values() if c.renders]
    assert len(drawn_ones) > 4
    assert all(abs(c.position_of(c._cursor) - x) <= 1 for c in drawn_ones)
    assert {name: c.renders for name, c in dock.panels.canvases.items()} == renders
    picture = dock.panels.canvases["sigma"].grab().toImage()
    text = QColor(canvas._content[2].text)
    ratio = picture.devicePixelRatio()
    column = [picture.pixelColor(int(x * ratio), int(y * ratio)) for y in range(40, 120)]
    assert sum(color == text for color in column) > 20
    canvas.left.emit()
    assert "Latest: step 40" in dock.values.title.text()


def test_the_cursor_moves_by_keys(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    dock.show_run(Run(tmp_path / "run").train(40).folder)
    drawn(dock, 40)
    canvas = dock.panels.canvases["losses"]
    for key, step in (
        (Qt.Key.Key_Home, 1),
        (Qt.Key.Key_Right, 2),
        (Qt.Key.Key_Right, 3),
        (Qt.Key.Key_Left, 2),
        (Qt.Key.Key_End, 40),
    ):
        qtbot.keyClick(canvas, key)
        assert dock.values.title.text().startswith(f"Step {step},")
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert dock.values.title.text().startswith("Latest")


def test_the_form_changes_what_is_drawn(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    dock.show_run(Run(tmp_path / "run").train(40).folder)
    drawn(dock, 40)
    canvas = dock.panels.canvases["losses"]
    qtbot.mouseClick(dock.form.log, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    drawn(dock, 40)
    assert canvas.panel.axes.get_yscale() == "log"
    dock.form.x.setCurrentIndex(1)
    drawn(dock, 40)
    assert not dock.form.smoothing.isEnabled()
    assert "losses" not in dock.panels._names  # epochs.csv of this run has measures alone
    assert ended(dock.panels.canvases["measures"]) == [4.0, 4.0]
    dock.form.x.setCurrentIndex(0)
    for action in dock.form.panels.menu().actions():
        action.setChecked(action.data() in ("losses", "shares"))
    drawn(dock, 40)
    assert [n for n, c in dock.panels.canvases.items() if c.isVisible()] == ["losses", "shares"]
    for action in dock.form.panels.menu().actions():
        action.setChecked(False)
    assert len(dock.options().panels) == 1


def test_it_follows_the_theme(
    viewer: Any, dock: Any, tmp_path: Path, drawn: Callable[..., None]
) -> None:
    from napari.utils.theme import get_theme

    dock.show_run(Run(tmp_path / "run").train(20).folder)
    drawn(dock, 20)
    canvas = dock.panels.canvases["losses"]
    for name in ("light", "dark"):
        viewer.theme = name
        drawn(dock, 20)
        assert canvas._content[2].background == get_theme(name).background.as_hex(format="long")
        ground = QColor(get_theme(name).background.as_hex(format="long"))
        assert canvas.grab().toImage().pixelColor(2, 2) == ground


def test_picture_and_numbers_are_saved(
    dock: Any,
    tmp_path: Path,
    drawn: Callable[..., None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dock.show_run(Run(tmp_path / "run").train(20).folder)
    drawn(dock, 20)
    picture, numbers = dock.form.save.menu().actions()
    answers = iter([("a", "SVG drawing (*.svg)"), ("b.png", ""), ("c.csv", ""), ("d/e.png", "")])

    def answer(*_: Any) -> tuple[str, str]:
        name, kind = next(answers)
        return str(tmp_path / name), kind

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    (tmp_path / "d").write_text("a file where a folder is needed")

    def trigger(action: Any) -> None:
        action.trigger()
        qtbot.waitUntil(lambda: not dock.saver.bridge.running, timeout=30_000)

    trigger(picture)
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    trigger(picture)
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    trigger(numbers)
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 21
    assert "Saved" in dock.message.text()
    trigger(picture)
    assert "cannot be written" in dock.message.text()


def test_growth_is_painted_once_it_is_drawn_and_said(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    """Each painting has the whole window put together anew, which takes time from a training."""
    run = Run(tmp_path / "run").train(20)
    dock.show_run(run.folder)
    drawn(dock, 20)
    canvas = dock.panels.canvases["losses"]
    seen: list[bool] = []
    paint = canvas.paint_over
    canvas.paint_over = lambda painter: (seen.append(canvas._stale), paint(painter))
    run.train(5)
    drawn(dock, 25)
    assert seen  # it is looked at, and never before the new lines are there
    assert not any(seen)
    assert "25" in dock.values.title.text()


def test_a_training_that_changes_leaves_rows_that_say_the_same_alone(
    dock: Any, tmp_path: Path, qtbot: Any
) -> None:
    Run(tmp_path / "run").train(5)
    dock.show_run(tmp_path / "run")
    changed: list[Any] = []
    dock.runs.list.model().dataChanged.connect(lambda *_: changed.append(1))
    dock.runs._refresh()
    assert not changed
    dock.runs.set_color("#123456")
    assert changed


def test_nothing_is_read_or_drawn_while_the_dock_is_hidden(
    viewer: Any, dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    run = Run(tmp_path / "run").train(20)
    dock.show_run(run.folder)
    drawn(dock, 20)
    outer = dock.parent()
    outer.hide()
    renders = dock.panels.canvases["losses"].renders
    qtbot.wait(400)
    run.train(5)
    qtbot.wait(1500)
    assert len(dock.shown[0].steps["step"]) == 20
    assert dock.panels.canvases["losses"].renders == renders
    outer.show()
    drawn(dock, 25)


def test_a_hundred_thousand_steps_that_grow_leave_the_window_fluid(
    dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    run = Run(tmp_path / "long").train(1)
    lines = (run.folder / "steps.csv").read_text().splitlines()
    noise = np.random.default_rng(0).gamma(2, 0.2, 100_000)
    cells = lines[1].split(",")
    rows = (
        f"{i},1,{noise[i - 1]},{noise[i - 1]}," + ",".join(cells[4:]) for i in range(1, 100_001)
    )
    (run.folder / "steps.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    dock.show_run(run.folder)
    drawn(dock, 100_000)
    canvas = dock.panels.canvases["losses"]
    dock.panels.drawing.longest_ms = 0.0
    renders, began = canvas.renders, time.monotonic()
    run.done = 100_000
    for _ in range(30):
        run.train(10)
        qtbot.wait(100)
    drawn(dock, 100_300)
    # Drawn every other second, however often rows are added ...
    assert 1 <= canvas.renders - renders <= 2 + (time.monotonic() - began)
    # ... and in pieces: the bound is generous, for a machine that is busy with other things.
    assert dock.panels.drawing.longest_ms < 250
    drawn_points = max(len(line.get_xdata()) for line in canvas.panel.axes.lines)
    assert drawn_points <= 4 * canvas.panel.axes.bbox.width


def test_it_fills_its_dock_whatever_its_shape(
    viewer: Any, dock: Any, tmp_path: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    dock.show_run(Run(tmp_path / "run").train(20).folder)
    drawn(dock, 20)
    for width, height, wide in ((1050, 500, True), (300, 800, False)):
        dock.setMinimumSize(0, 0)
        dock.setFixedSize(width, height)
        qtbot.waitUntil(lambda wide=wide: dock.arrangement.wide is wide, timeout=5000)
        qtbot.wait(100)
        panels, values = dock.panels, dock.values
        assert dock.arrangement.height() == height
        # All of it can be seen: nothing is wider than what scrolls up and down only.
        for part in (panels, values, dock.form, dock.words):
            scrolls = part.parent()
            assert part.width() <= scrolls.width() <= width
            assert part.mapTo(dock, part.rect().topRight()).x() < width
        assert (panels.mapTo(dock, QPoint(0, 0)).x() > 300) is wide


def test_closing_the_window_ends_the_thread(viewer: Any, dock: Any, tmp_path: Path) -> None:
    dock.show_run(Run(tmp_path / "run").train(20).folder)
    assert any(t.name == "gland-mtl follow" for t in threading.enumerate())
    # The autouse fixture claims that no thread is left once napari's fixture has closed it.


def test_a_run_folder_that_vanishes_keeps_what_was_seen(
    dock: Any, runs_folder: Path, drawn: Callable[..., None], qtbot: Any
) -> None:
    import shutil

    run = Run(runs_folder / "gone").train(20)
    drawn(dock, 20)
    shutil.rmtree(run.folder)
    qtbot.waitUntil(lambda: dock.runs.list.count() == 0, timeout=10_000)
    assert dock.runs.ticked == ()
    assert "There is no training yet" in dock.words.text()


def _at(x: int, y: int) -> Any:
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent

    return QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(x, y),
        QPointF(x, y),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
    )


def test_all_losses_can_be_read_however_narrow_the_table_is(
    dock: Any, runs_folder: Path, qtbot: Any, drawn: Callable[..., None]
) -> None:
    Run(runs_folder / "live").train(5)
    drawn(dock, 5)
    table, bar = dock.values.table, dock.values.table.horizontalScrollBar()
    for width in (240, 600, 240):
        table.setFixedWidth(width)
        qtbot.waitUntil(lambda narrow=width < 600: bar.isVisible() == narrow)
        qtbot.wait(100)
        last = table.visualItemRect(table.item(3, 0))
        assert table.viewport().rect().contains(last)
