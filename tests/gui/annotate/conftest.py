"""The dock “Annotate glands” with a slide, and what a user does in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_gland_mtl.annotations import AnnotationProject, Area, project_path
from napari_gland_mtl.widgets._extent import Extent


@pytest.fixture(autouse=True)
def _own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chosen folders are remembered in the test's own folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def dock(viewer: Any) -> Any:
    """The dock, opened as the menu opens it."""
    _, dock = viewer.window.add_plugin_dock_widget("napari-gland-mtl", "Annotate glands")
    return dock


@pytest.fixture
def done(qtbot: Any) -> Callable[..., None]:
    """Wait until the dock has nothing left to do."""

    def wait(dock: Any, timeout: int = 30_000) -> None:
        def idle() -> bool:
            return not (dock.running or dock.panel.lumen.running or dock.panel.check.running)

        qtbot.waitUntil(idle, timeout=timeout)

    return wait


@pytest.fixture
def on_disk(slide_file: Path) -> Callable[[], dict[str, Any]]:
    """The areas of the slide, read anew."""

    def read() -> dict[str, Any]:
        project = AnnotationProject(project_path(slide_file))
        return {stored.info.name: project.load(stored.key)[0] for stored in project.stored()}

    return read


@pytest.fixture
def slide_layer(viewer: Any, slide_file: Path) -> Any:
    """A slide of 1024 x 1536 px at 0.5 um, in a folder of its own."""
    (layer,) = viewer.open(slide_file, plugin="napari-gland-mtl")
    return layer


@pytest.fixture
def draw(viewer: Any) -> Callable[..., None]:
    """Draws a rectangle in px of the slide, as the part that becomes an area."""

    def rectangle(dock: Any, y0: float, x0: float, y1: float, x1: float) -> None:
        dock.inputs.extent_chooser.combo.setCurrentText(Extent.SHAPES.value)
        dock.inputs.extent_chooser.draw_button.click()
        corners = np.array([[y0 - 0.5, x0 - 0.5], [y1 - 0.5, x1 - 0.5]])
        viewer.layers.selection.active.add_rectangles(corners)

    return rectangle


@pytest.fixture
def start() -> Callable[..., None]:
    """Presses the button for a new area."""

    def press(dock: Any, beginning: str = "Nothing", way: str = "Whole glands") -> None:
        dock.inputs.beginning.setCurrentText(beginning)
        dock.inputs.way.setCurrentText(way)
        dock.inputs.run_panel.run_button.click()

    return press


@pytest.fixture
def make_area(dock: Any, slide_layer: Any, draw: Any, start: Any, done: Any) -> Callable[..., Any]:
    """Makes an area of 200 x 300 px of the slide, or of another rectangle."""

    def make(
        beginning: str = "Nothing",
        way: str = "Whole glands",
        box: Sequence[float] = (250, 200, 450, 500),
    ) -> Any:
        draw(dock, *box)
        start(dock, beginning, way)
        done(dock)
        assert not dock.message.isVisible(), dock.message.text()
        return dock.session.current

    return make


@pytest.fixture
def area(make_area: Any) -> Any:
    """An empty area in which whole glands are outlined."""
    return make_area()


@pytest.fixture
def stored() -> Callable[[Any], Area]:
    """What is on disk of an open area."""

    def read(area: Any) -> Area:
        return AnnotationProject(area.store.project).load(area.store.key)[0]

    return read


@pytest.fixture
def until_saved(qtbot: Any) -> Callable[..., None]:
    """Wait until an area was saved by itself."""

    def wait(area: Any, timeout: int = 15_000) -> None:
        def saved() -> bool:
            state = area.state
            return not (state.unsaved or state.painted or state.error)

        qtbot.waitUntil(saved, timeout=timeout)

    return wait


@pytest.fixture
def disc() -> Callable[..., npt.NDArray[np.bool_]]:
    """A round mask in an area."""

    def make(area: Any, y: float, x: float, radius: float) -> npt.NDArray[np.bool_]:
        rows, columns = np.indices(area.painted_layer.data.shape)
        return np.asarray(np.hypot(rows - y, columns - x) < radius)

    return make


@pytest.fixture
def canvas(viewer: Any, qtbot: Any) -> Callable[[], Any]:
    """The widget that draws the layers, which takes the mouse."""

    def find() -> Any:
        qtbot.wait(100)
        return viewer.window._qt_viewer.canvas.native

    return find


@pytest.fixture
def position(viewer: Any) -> Callable[..., QPoint]:
    """Where a layer's pixel is on the canvas."""

    def find(canvas: Any, layer: Any, pixel: Sequence[float]) -> QPoint:
        camera = getattr(viewer, "scene", viewer).camera
        world = np.asarray(layer.data_to_world(pixel))[-2:]
        offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(canvas.width() / 2 + offset[1]), round(canvas.height() / 2 + offset[0]))

    return find


@pytest.fixture
def drag(qtbot: Any, canvas: Any, position: Any) -> Callable[..., None]:
    """Drags the mouse over pixels of a layer."""

    def move(layer: Any, *pixels: Sequence[float]) -> None:
        native = canvas()
        points = [position(native, layer, pixel) for pixel in pixels]
        qtbot.mouseMove(native, points[0])
        # The screen's own pointer moves, too, and says so later; and two clicks in a row that
        # are closer than this are a double click.
        qtbot.wait(600)
        qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=points[0])
        for point in points[1:]:
            _mouse_move(qtbot, native, point)
        qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=points[-1])

    return move


def _mouse_move(qtbot: Any, native: Any, point: QPoint) -> None:
    """A move with the button held, which qtbot's own does not say."""
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    where = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        where,
        QPointF(native.mapToGlobal(point)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)
    qtbot.wait(20)
