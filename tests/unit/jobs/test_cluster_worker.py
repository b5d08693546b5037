"""Claims about the tasks of a cluster, run here: each may be run again and does nothing twice."""

from __future__ import annotations

import dataclasses
import pickle
from types import SimpleNamespace

import pytest
import torch

from napari_gland_mtl.errors import ClusterError, OutputNotWritableError
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.jobs import cluster_worker as module
from napari_gland_mtl.jobs.cluster_worker import (
    SlideTask,
    WorkerFacts,
    check_worker,
    label_on_worker,
    plan_on_worker,
    predict_on_worker,
)
from napari_gland_mtl.slides.areas import Areas

pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """Nothing is open yet, as in a worker that has just begun."""
    for name in ("_works", "_models"):
        monkeypatch.setattr(module, name, type(getattr(module, name))())
    yield
    for work in module._works.values():
        work.close()


@pytest.fixture
def task(drawn_slide, colour_model, slide_config, tmp_path):
    return SlideTask(
        path=drawn_slide.path,
        store=tmp_path / "drawn.ome.zarr",
        config=slide_config(),
        model=colour_model.path,
        model_sha256=colour_model.sha256,
        areas=None,
        resume=False,
        overwrite=False,
        run="ab12",
    )


def test_the_tasks_give_what_one_machine_gives(task, finished_slide, store_differences):
    plan = pickle.loads(pickle.dumps(plan_on_worker(task)))  # noqa: S301
    parts = [predict_on_worker(plan, indices) for indices in ([3, 1], [0, 2])]
    assert [(part.tiles, part.computed, part.failed) for part in parts] == [(2, 2, ())] * 2
    assert all(part.seconds > 0 and part.stages["network"] > 0 for part in parts)
    assert label_on_worker(plan, {"network": 12.5})
    store = SlideStore.open(task.store)
    assert store_differences(store, finished_slide) == []
    assert store.summary["seconds"]["network"] == 12.5


def test_every_task_may_be_run_again(task, monkeypatch):
    plan = plan_on_worker(task)
    assert plan_on_worker(task).tiles == plan.tiles
    predict_on_worker(plan, [0, 1, 2])
    again = predict_on_worker(plan, [2, 3])
    assert (again.tiles, again.computed) == (2, 1)
    label_on_worker(plan, {})
    monkeypatch.setattr(SlideStore, "start_labels", None)
    label_on_worker(plan, {})
    assert SlideStore.open(task.store).complete


def test_only_the_areas_are_sent_and_run(task):
    areas = Areas.from_rectangle(60, 60, 200, 200)
    plan = plan_on_worker(dataclasses.replace(task, areas=areas.to_lists()))
    assert len(plan.tiles) == 1
    assert predict_on_worker(plan, [0]).computed == 1
    regions = SlideStore.open(task.store).read((0, 0, 512, 512)).any(axis=0)
    assert regions.sum() == 140 * 140


def test_another_model_under_the_same_name_is_refused(task):
    with pytest.raises(ClusterError, match="not the client's"):
        plan_on_worker(dataclasses.replace(task, model_sha256="0" * 64))


def test_slides_and_network_stay_open_between_tasks(task, tmp_path):
    plan = plan_on_worker(task)
    predict_on_worker(plan, [0])
    (work,) = module._works.values()
    predictor = work.predictor()
    predict_on_worker(plan, [1])
    assert next(iter(module._works.values())) is work
    other = plan_on_worker(dataclasses.replace(task, store=tmp_path / "b.ome.zarr"))
    predict_on_worker(other, [0])
    assert [found.predictor() for found in module._works.values()] == [predictor] * 2
    third = plan_on_worker(dataclasses.replace(task, store=tmp_path / "c.ome.zarr"))
    predict_on_worker(third, [0])
    assert len(module._works) == 2


def test_the_network_uses_the_threads_of_its_worker(task, monkeypatch):
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=7))
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    predict_on_worker(plan_on_worker(task), [0])
    assert used == [7]


def test_a_worker_says_what_it_lacks(tmp_path):
    (tmp_path / "probe").write_bytes(b"")
    assert check_worker(tmp_path, "probe", "cpu").problem == ""
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]
    assert "does not see" in check_worker(tmp_path / "elsewhere", "probe", "cpu").problem
    assert "does not see" in check_worker(tmp_path, "other", "cpu").problem


def test_a_worker_without_the_device_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "probe").write_bytes(b"")
    assert "cuda" in check_worker(tmp_path, "probe", "cuda").problem


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path, monkeypatch):
    (tmp_path / "probe").write_bytes(b"")

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.write_bytes", read_only)
    assert "Read-only file system" in check_worker(tmp_path, "probe", "cpu").problem


# ------------------------------------------------------------------ the client's side


class FakeFuture:
    def add_done_callback(self, function):
        pass


class FakeClient:
    """Keeps what was submitted."""

    def __init__(self):
        self.sent = []

    def submit(self, function, *arguments, workers, **options):
        self.sent.append((function.__name__, workers, arguments))
        return FakeFuture()


@pytest.fixture
def cluster_run(slide_config, colour_model):
    from napari_gland_mtl.jobs.cluster import _ClusterRun, _SlideRun
    from napari_gland_mtl.jobs.segment_batch import BatchSettings

    def make(workers, tiles):
        client = FakeClient()
        run = _ClusterRun(client, None, None, BatchSettings(slide_config()), colour_model)
        run._fit = workers
        item = SimpleNamespace(name="a")
        slide = _SlideRun(item, 0.0, FakeFuture())
        slide.todo.extend(range(tiles))
        run._slides.append(slide)
        return run, client, slide

    return make


def test_every_worker_has_one_task_in_hand_and_one_to_come(cluster_run):
    run, client, _ = cluster_run(["x", "y", "z"], 500)
    run._hand_out()
    assert sorted(workers[0] for _, workers, _ in client.sent) == ["x", "x", "y", "y", "z", "z"]
    run._hand_out()
    assert len(client.sent) == 6
    run._given.pop(next(iter(run._given)))
    run._hand_out()
    assert len(client.sent) == 7


def test_no_tile_is_sent_twice(cluster_run):
    run, client, slide = cluster_run(["x", "y"], 31)
    while slide.todo:
        run._given.clear()
        run._hand_out()
    sent = [index for _, _, (_, indices) in client.sent for index in indices]
    assert sent == list(range(31))


def test_tasks_take_some_seconds_however_fast_the_workers_are(cluster_run):
    run, _, _ = cluster_run(["x"], 0)
    assert run._size(10_000) == 2  # nothing is known yet
    run._tile_seconds = 0.5
    assert run._size(10_000) == 16
    run._tile_seconds = 20.0
    assert run._size(10_000) == 1
    run._tile_seconds = 0.001
    assert run._size(10_000) == 64


def test_in_the_end_there_is_something_for_every_worker(cluster_run):
    run, _, _ = cluster_run(["w", "x", "y", "z"], 0)
    run._tile_seconds = 0.1
    assert run._size(40) == 5
    assert run._size(3) == 1


def test_workers_of_another_version_are_not_used():
    from napari_gland_mtl.jobs.cluster_connection import _facts

    assert _facts(WorkerFacts("h", "1.0"), "1.0").problem == ""
    assert "1.0" in _facts(WorkerFacts("h", "1.0"), "1.1").problem
    assert "No module" in _facts(ModuleNotFoundError("No module"), "1.1").problem


def test_labels_wait_until_a_slow_drive_shows_all_tiles(task, monkeypatch):
    plan = plan_on_worker(task)
    predict_on_worker(plan, range(4))
    seen = SlideStore.done_tiles
    views = iter([set(), {(0, 0)}])
    waited = []
    monkeypatch.setattr(
        SlideStore, "done_tiles", lambda self: next(views, None) if not waited[1:] else seen(self)
    )
    monkeypatch.setattr(module.time, "sleep", waited.append)
    label_on_worker(plan, {})
    assert len(waited) == 2
    assert SlideStore.open(task.store).complete


def test_tiles_that_never_show_up_are_said(task, monkeypatch):
    plan = plan_on_worker(task)
    predict_on_worker(plan, [0])
    monkeypatch.setattr(module, "SEEN_S", -1.0)
    with pytest.raises(ClusterError, match=r"3 tiles.*same folder"):
        label_on_worker(plan, {})


def test_a_slide_whose_result_cannot_be_written_does_not_end_the_batch(cluster_run, monkeypatch):
    from napari_gland_mtl.jobs import cluster
    from napari_gland_mtl.jobs.events import SlideFailed

    def full(*_, **__):
        raise OutputNotWritableError("a.csv cannot be written: the disk is full.")

    run, client, slide = cluster_run([], 0)
    client.status, client.cancel = "running", lambda futures: None
    run._batch = SimpleNamespace(slide_done=full, slide_failed=lambda *_: None)
    slide.item.store, slide.item.path = None, "a.tif"
    slide.plan = SimpleNamespace()
    slide.label_future = SimpleNamespace(done=lambda: True, result=lambda: True)
    other = cluster._SlideRun(SimpleNamespace(name="b"), 0.0, SimpleNamespace(done=lambda: False))
    run._slides.append(other)
    monkeypatch.setattr(cluster, "_wait_for_result", lambda *_: None)
    run._arrived.set()
    assert list(run._take_in()) == [
        SlideFailed("a.tif", "a.csv cannot be written: the disk is full.")
    ]
    assert run._slides == [other]
    assert (run._done, run._total) == (0, 0)


def test_the_client_does_not_wait_for_a_slide_that_cannot_be_complete(monkeypatch):
    from napari_gland_mtl.jobs import cluster

    store, waited = SimpleNamespace(complete=False, summary={"tiles_failed": 3}), []

    def labelled(_):
        waited.append(1)
        store.complete = True

    monkeypatch.setattr(cluster, "is_slide_store", lambda path: True)
    monkeypatch.setattr(cluster, "SlideStore", SimpleNamespace(open=lambda path: store))
    monkeypatch.setattr(cluster.time, "sleep", labelled)
    cluster._wait_for_result("a.ome.zarr", complete=False)
    assert not waited
    cluster._wait_for_result("a.ome.zarr", complete=True)
    assert waited == [1]
