"""While a job runs, Python's garbage is collected in the GUI thread alone.

What a closed window leaves behind holds Qt objects in cycles; destroyed in the thread of a job,
they take the process with them.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dask.array as da
import pytest
from qtpy.QtCore import QCoreApplication, QObject
from qtpy.QtWidgets import QWidget

from napari_gland_mtl.jobs.events import Stage
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.widgets._job_bridge import JobBridge


class Cycle:
    """Garbage as soon as nobody holds it, with the thread that finds it written down."""

    def __init__(self, found_in: list[str]) -> None:
        self.itself = self
        self.found_in = found_in

    def __del__(self) -> None:
        self.found_in.append(threading.current_thread().name)


def leave_garbage(found_in: list[str]) -> Callable[[StopToken], Iterator[Stage]]:
    """A job that makes cycles until it is stopped."""

    def job(stop: StopToken) -> Iterator[Stage]:
        yield Stage("Working")
        while not stop.stopped:
            kept = [Cycle(found_in) for _ in range(100)]
            kept.clear()
            time.sleep(0.001)

    return job


@pytest.fixture
def bridge(qtbot: Any) -> Iterator[JobBridge]:
    parent = QObject()
    bridge = JobBridge(parent)
    yield bridge
    bridge.cancel()
    qtbot.waitUntil(lambda: not bridge.running)
    bridge.disconnect_application()


def is_held() -> bool:
    """Whether Python does not collect by itself."""
    return gc.get_threshold()[0] == 0


@pytest.fixture(autouse=True)
def _collection_is_on(qtbot: Any) -> None:
    """No job of a test before is left."""
    qtbot.waitUntil(lambda: not is_held())


def test_what_a_job_leaves_is_collected_in_the_gui_thread(bridge: JobBridge, qtbot: Any) -> None:
    found_in: list[str] = []
    bridge.start(leave_garbage(found_in), "gland-mtl garbage")
    qtbot.waitUntil(lambda: len(found_in) > 5_000, timeout=20_000)
    assert set(found_in) == {threading.current_thread().name}


def test_without_that_it_would_be_collected_in_the_thread_of_the_job() -> None:
    """The control: the job of the test above, run without the window."""
    found_in: list[str] = []
    stop = StopToken()
    job = leave_garbage(found_in)
    thread = threading.Thread(target=lambda: list(job(stop)), name="gland-mtl alone")
    thread.start()
    thread.join(1)
    stop.stop()
    thread.join()
    assert "gland-mtl alone" in found_in


def test_a_slice_of_a_dask_array_changes_nothing(bridge: JobBridge, qtbot: Any) -> None:
    """Dask switches the collection at every slice, to what it was when dask was imported."""
    found_in: list[str] = []
    bridge.start(leave_garbage(found_in), "gland-mtl garbage")
    pixels = da.zeros((100, 100), chunks=50)
    while len(found_in) < 5_000:
        assert pixels[5:20, 5:20].shape == (15, 15)
        qtbot.wait(10)
    assert set(found_in) == {threading.current_thread().name}
    assert gc.isenabled()


@pytest.fixture
def second() -> Iterator[JobBridge]:
    parent = QObject()
    bridge = JobBridge(parent)
    yield bridge
    bridge.disconnect_application()


def test_python_collects_by_itself_again_once_all_jobs_have_ended(
    bridge: JobBridge, second: JobBridge, qtbot: Any
) -> None:
    before = gc.get_threshold()
    bridge.start(leave_garbage([]), "gland-mtl first")
    second.start(leave_garbage([]), "gland-mtl second")
    assert is_held()
    second.cancel()
    qtbot.waitUntil(lambda: not second.running)
    qtbot.wait(300)
    assert is_held()
    bridge.cancel()
    qtbot.waitUntil(lambda: not is_held())
    assert gc.get_threshold() == before


def test_when_the_application_quits_jobs_end_before_python_collects(
    bridge: JobBridge, second: JobBridge, qtbot: Any
) -> None:
    found_in: list[str] = []
    bridge.start(leave_garbage([]), "gland-mtl first")
    second.start(leave_garbage(found_in), "gland-mtl second")
    qtbot.wait(200)
    QCoreApplication.instance().aboutToQuit.emit()
    left = [t.name for t in threading.enumerate() if t.name.startswith("gland-mtl")]
    assert left == []
    assert not is_held()
    assert "gland-mtl second" not in found_in


@pytest.mark.parametrize("off", [gc.disable, lambda: gc.set_threshold(0, 10, 10)])
def test_who_has_switched_the_collection_off_keeps_it_off(
    bridge: JobBridge, qtbot: Any, off: Callable[[], None]
) -> None:
    limits, found_in = gc.get_threshold(), list[str]()
    off()
    chosen = gc.isenabled(), gc.get_threshold()
    try:
        bridge.start(leave_garbage(found_in), "gland-mtl first")
        qtbot.wait(500)
        bridge.cancel()
        qtbot.waitUntil(lambda: not bridge.running)
        qtbot.wait(300)
        assert (gc.isenabled(), gc.get_threshold()) == chosen
        assert found_in == []
    finally:
        gc.enable()
        gc.set_threshold(*limits)


def test_a_window_that_is_closed_in_mid_run_gives_the_collection_back(qtbot: Any) -> None:
    parent = QWidget()
    bridge = JobBridge(parent)
    bridge.start(leave_garbage([]), "gland-mtl first")
    assert is_held()
    bridge.disconnect_application()
    parent.deleteLater()
    qtbot.waitUntil(lambda: not is_held())


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """The generations that were collected, with the limits low."""
    limits, generations = gc.get_threshold(), list[int]()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.set_threshold(50, 1, 1)
    gc.callbacks.append(note)
    yield generations
    gc.callbacks.remove(note)
    gc.set_threshold(*limits)


def test_everything_is_looked_at_only_when_there_is_much_more_of_it(
    bridge: JobBridge, qtbot: Any, collected: list[int]
) -> None:
    bridge.start(leave_garbage([]), "gland-mtl garbage")
    collected.clear()
    qtbot.waitUntil(lambda: collected.count(1) > 30, timeout=20_000)
    assert 2 not in collected
    more: list[list[int]] = [[] for _ in range(len(gc.get_objects()))]
    qtbot.waitUntil(lambda: 2 in collected, timeout=20_000)
    del more
