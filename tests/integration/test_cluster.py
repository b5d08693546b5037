"""Slides on a real cluster of processes: the same result as on one machine, whatever dies.

Everything happens here that happens between machines (other processes, tasks and results that
are pickled, stores that several write to), but for the network drive.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

distributed = pytest.importorskip("distributed")

from napari_gland_mtl.checkpoint import ModelCard, load_model, save_model  # noqa: E402
from napari_gland_mtl.errors import ClusterError  # noqa: E402
from napari_gland_mtl.export.slide_store import SlideStore  # noqa: E402
from napari_gland_mtl.jobs.cluster import segment_on_cluster  # noqa: E402
from napari_gland_mtl.jobs.events import (  # noqa: E402
    BatchDone,
    SlideDone,
    SlideFailed,
    SlideStarted,
    TileDone,
)
from napari_gland_mtl.jobs.segment_batch import segment_batch  # noqa: E402
from napari_gland_mtl.jobs.segment_config import SlideConfig  # noqa: E402
from napari_gland_mtl.jobs.stop import StopToken  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    # What the libraries of a cluster say of each other while processes come and go.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SHAPES = {"first": (1500, 1500), "second": (1000, 1000)}
TILES = {"first": 9, "second": 4}
GLASS, PINK, PURPLE, WHITE = (190, 190, 190), (230, 150, 190), (110, 60, 150), (245, 245, 245)


def draw(height: int, width: int) -> Any:
    """Rings of epithelium around lumina, every 128 px: some lie on borders of tiles."""
    image = np.full((height, width, 3), PINK, np.uint8)
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y + 64) % 128 - 64, (x + 64) % 128 - 64)
    image[distance < 24] = PURPLE
    image[distance < 9] = WHITE
    image[:, -40:] = GLASS
    return image


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two slides at 1 um/px."""
    folder = tmp_path_factory.mktemp("slides")
    paths = {}
    for name, shape in SHAPES.items():
        paths[name] = folder / f"{name}.tif"
        tifffile.imwrite(
            paths[name],
            draw(*shape),
            tile=(256, 256),
            photometric="rgb",
            resolution=(1e4, 1e4),
            resolutionunit="CENTIMETER",
        )
    return paths


@pytest.fixture(scope="module")
def config(colour_network: Any, tmp_path_factory: pytest.TempPathFactory) -> SlideConfig:
    network = colour_network(1.0)
    card = ModelCard(name="colours", mpp=1.0, network=network.config.model_dump(mode="json"))
    path = save_model(tmp_path_factory.mktemp("model") / "colours.safetensors", network, card)
    return SlideConfig(
        model=str(path),
        device="cpu",
        engine="torch",
        tile_size=512,
        tissue=None,
        keep_probabilities=True,
    )


@pytest.fixture(scope="module")
def alone(
    slides: dict[str, Path], config: SlideConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SlideStore]:
    """The results of one process."""
    folder = tmp_path_factory.mktemp("alone")
    last = list(segment_batch(list(slides.values()), folder, config))[-1]
    assert isinstance(last, BatchDone)
    assert last.done == 2
    return {name: SlideStore.open(folder / f"{name}.ome.zarr") for name in slides}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes; one that dies is started anew."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as started:
        yield started


def differences(one: SlideStore, two: SlideStore) -> list[str]:
    """What two results differ in."""
    found = []
    for name in ("regions", "glands"):
        for level, (a, b) in enumerate(zip(one.labels(name), two.labels(name), strict=True)):
            if not np.array_equal(a[...], b[...]):
                found.append(f"{name} {level}")
    tables = one.read_table(), two.read_table()
    for column, values in tables[0].items():
        if not np.array_equal(values, tables[1][column], equal_nan=values.dtype.kind == "f"):
            found.append(column)
    return found


def chunk_times(store: Path) -> dict[str, int]:
    """When each tile was written."""
    folder = store / "work" / "probabilities"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("c.*")}


def all_chunk_times(folder: Path) -> dict[Any, int]:
    """The same of all slides."""
    return {
        (store.name, name): time
        for store in folder.glob("*.ome.zarr")
        for name, time in chunk_times(store).items()
    }


def of(kind: type, events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_cluster_gives_what_one_machine_gives(slides, config, alone, cluster, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_text("no image")
    glass = tmp_path / "glass.tif"
    tifffile.imwrite(
        glass, np.zeros((20, 20, 3), np.uint8), resolution=(1e4, 1e4), resolutionunit="CENTIMETER"
    )
    paths = [slides["first"], broken, glass, slides["second"]]
    out = tmp_path / "out"
    out.mkdir()
    events = list(segment_on_cluster(paths, out, cluster.scheduler_address, config))
    failed = {event.path.name: event.reason for event in of(SlideFailed, events)}
    assert sorted(failed) == ["broken.tif", "glass.tif"]
    assert "too small" in failed["glass.tif"]
    assert {event.name for event in of(SlideStarted, events)} == {"first", "glass", "second"}
    assert of(TileDone, events)[-1] == TileDone(13, 13)
    assert (events[-1].done, events[-1].failed) == (2, 2)
    for name, expected in alone.items():
        found = SlideStore.open(out / f"{name}.ome.zarr")
        assert differences(found, expected) == []
        assert found.summary["glands"] == expected.summary["glands"] > 50
        assert (out / f"{name}.csv").is_file()
        assert (out / "thumbnails" / f"{name}.jpg").is_file()
    with distributed.Client(cluster, set_as_default=False) as client:
        slides_open = client.run(_open_slides)
    assert all(slides_open.values()), "a worker had nothing to do"
    assert not list(out.glob(".*"))


def _open_slides() -> int:
    from napari_gland_mtl.jobs import cluster_worker

    return len(cluster_worker._works)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_worker_that_is_killed_costs_nothing_but_what_it_had_in_hand(
    slides, config, alone, cluster, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    store = out / "first.ome.zarr"
    before: dict[str, int] = {}
    events = []
    with distributed.Client(cluster, set_as_default=False) as client:
        workers = client.run(os.getpid)
        for event in segment_on_cluster([slides["first"]], out, client, config):
            events.append(event)
            if isinstance(event, TileDone) and event.done >= 2 and not before:
                os.kill(next(iter(workers.values())), signal.SIGKILL)
                before = chunk_times(store)
        deadline = time.monotonic() + 30
        while len(client.nthreads()) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        replaced = client.run(os.getpid)
    assert len(set(replaced.values()) & set(workers.values())) == 1
    assert 2 <= len(before) < TILES["first"], "it was killed too late to show anything"
    after = chunk_times(store)
    assert {name: after[name] for name in before} == before
    assert len(after) == TILES["first"]
    assert of(SlideDone, events)[0].complete
    assert differences(SlideStore.open(store), alone["first"]) == []


def test_a_cancelled_run_goes_on_anywhere_to_the_identical_result(
    slides, config, alone, cluster, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    stop, events = StopToken(), []
    for event in segment_on_cluster(
        [slides["first"], slides["second"]], out, cluster.scheduler_address, config, stop
    ):
        events.append(event)
        if isinstance(event, TileDone) and event.done >= 1:
            stop.stop()
    assert events[-1].done == 0
    assert {event.complete for event in of(SlideDone, events)} <= {False}
    before: dict[Any, int] = {}
    while (now := all_chunk_times(out)) != before or not now:  # the tasks in hand end
        before = now
        time.sleep(1.5)
    assert len(before) < sum(TILES.values()), "it was stopped too late to show anything"
    again = list(segment_batch(list(slides.values()), out, config, resume=True))
    assert again[-1].done == 2
    after = all_chunk_times(out)
    assert {name: after[name] for name in before} == before
    for name, expected in alone.items():
        assert differences(SlideStore.open(out / f"{name}.ome.zarr"), expected) == []


def test_what_is_complete_is_skipped_on_a_cluster_too(slides, config, cluster, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    path = slides["second"]
    list(segment_on_cluster([path], out, cluster.scheduler_address, config))
    times = chunk_times(out / "second.ome.zarr")
    refused = list(segment_on_cluster([path], out, cluster.scheduler_address, config))
    assert "--resume" in of(SlideFailed, refused)[0].reason
    events = list(segment_on_cluster([path], out, cluster.scheduler_address, config, resume=True))
    assert (events[-1].done, events[-1].skipped) == (0, 1)
    assert chunk_times(out / "second.ome.zarr") == times


def test_workers_that_do_not_see_the_folder_are_found_out_before_the_work(
    slides, config, cluster, tmp_path, monkeypatch
):
    from napari_gland_mtl.jobs import cluster_connection as module

    monkeypatch.setattr(module, "check_worker", _sees_nothing)
    with pytest.raises(ClusterError, match=r"does not see the folder.*same path"):
        list(segment_on_cluster([slides["first"]], tmp_path, cluster.scheduler_address, config))
    assert list(tmp_path.iterdir()) == []


def _sees_nothing(folder: Path, probe: str, device: str) -> Any:
    from napari_gland_mtl.jobs.cluster_worker import check_worker

    return check_worker(folder / "elsewhere", probe, device)


def test_the_model_is_the_clients(slides, config, cluster, tmp_path):
    """A worker that finds another model under that name says so, and the slide fails."""
    from dataclasses import replace

    out = tmp_path / "out"
    out.mkdir()
    other = replace(load_model(config.model), sha256="0" * 64)
    events = list(
        segment_on_cluster([slides["second"]], out, cluster.scheduler_address, config, model=other)
    )
    assert "is not the client's" in of(SlideFailed, events)[0].reason
