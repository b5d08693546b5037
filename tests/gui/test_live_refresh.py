"""Growing layers are drawn anew when it matters, and not more often than the window can bear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.widgets import _live_refresh
from napari_gland_mtl.widgets._live_refresh import LiveRefresh, in_view

NEAR, FAR = (0, 0, 512, 512), (3584, 3584, 4096, 4096)


@pytest.fixture
def labels(viewer: Any, qtbot: Any) -> Any:
    """A pyramid of labels of which the upper left corner is in view."""
    full = np.zeros((4096, 4096), np.uint8)
    layer = viewer.add_labels([full, full[::2, ::2], full[::4, ::4]], multiscale=True)
    camera = getattr(viewer, "scene", viewer).camera
    camera.center, camera.zoom = (256, 256), 1.5
    qtbot.wait(300)
    return layer


@pytest.fixture
def live(labels: Any, widget: Any, monkeypatch: Any) -> LiveRefresh:
    monkeypatch.setattr(_live_refresh, "INTERVAL_MS", 60)
    live = LiveRefresh(widget)
    live.follow({"regions": labels})
    return live


@pytest.fixture
def drawn(labels: Any, monkeypatch: Any) -> list[Any]:
    """One entry for each time that the layer is drawn anew."""
    times: list[Any] = []
    monkeypatch.setattr(labels, "refresh", lambda **_: times.append(1))
    return times


def test_what_is_in_view_is_told_in_px_of_the_full_resolution(labels: Any) -> None:
    y0, x0, y1, x1 = in_view(labels)
    assert 0 <= y0 < 256 < y1 < 1500
    assert 0 <= x0 < 256 < x1 < 1500


def test_a_block_in_view_is_drawn_and_one_beside_it_is_not(
    live: LiveRefresh, drawn: list[Any], qtbot: Any
) -> None:
    live.block_written(FAR, "regions")
    qtbot.wait(200)
    assert not drawn
    live.block_written(NEAR, "regions")
    qtbot.waitUntil(lambda: len(drawn) == 1)


def test_many_blocks_are_drawn_at_once(live: LiveRefresh, drawn: list[Any], qtbot: Any) -> None:
    for _ in range(50):
        live.block_written(NEAR, "regions")
    qtbot.wait(300)
    assert len(drawn) == 1


def test_hidden_layers_and_unknown_ones_are_not_drawn(
    live: LiveRefresh, labels: Any, drawn: list[Any], qtbot: Any
) -> None:
    labels.visible = False
    drawn.clear()
    live.block_written(NEAR, "regions", "glands")
    qtbot.wait(200)
    assert not drawn


def test_slow_drawing_is_done_more_seldom(
    live: LiveRefresh, labels: Any, monkeypatch: Any, qtbot: Any
) -> None:
    monkeypatch.setattr(labels, "refresh", lambda **_: qtbot.wait(50))
    live.block_written(NEAR, "regions")
    qtbot.wait(250)
    assert live._pause_ms >= 400


def test_nothing_is_drawn_after_the_end(live: LiveRefresh, drawn: list[Any], qtbot: Any) -> None:
    live.block_written(NEAR, "regions")
    live.stop()
    qtbot.wait(200)
    assert not drawn


def test_a_block_that_cannot_be_read_yet_does_not_end_the_run(
    live: LiveRefresh, labels: Any, monkeypatch: Any, qtbot: Any
) -> None:
    tried: list[int] = []

    def fail(**_: Any) -> None:
        tried.append(1)
        raise OSError("being written")

    monkeypatch.setattr(labels, "refresh", fail)
    live.block_written(NEAR, "regions")
    qtbot.waitUntil(lambda: len(tried) == 1)
    live.block_written(NEAR, "regions")
    qtbot.waitUntil(lambda: len(tried) == 2)
