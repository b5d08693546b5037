"""Claims about slides whose run is disturbed: stopped, killed, damaged, short of disk or memory."""

from __future__ import annotations

import errno
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from napari_gland_mtl.errors import (
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
    UnreadableImageError,
)
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.inference.predictor import PredictedTile, Predictor
from napari_gland_mtl.jobs.events import (
    BlockDone,
    Notice,
    SlideDone,
    Started,
    StoreReady,
    TileDone,
    TileFailed,
)
from napari_gland_mtl.jobs.segment_slide import segment_slide as job
from napari_gland_mtl.jobs.slide_plan import plan_slide
from napari_gland_mtl.jobs.slide_work import SlideWork, label_slide, predict_tiles
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.metrics.topology import count_violations
from napari_gland_mtl.slides import slide_from_array
from napari_gland_mtl.slides.areas import Areas

ONE_GLAND = Areas.from_rectangle(60, 60, 200, 200)
"""A single tile: quick."""


def labels(store, name):
    return store.labels(name)[0][...]


def chunk_times(output):
    """When each tile was written, by its name."""
    folder = output / "work" / "probabilities"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("c.*")}


# ------------------------------------------------------------------ stopped, killed, gone on with


def stopped_after(tiles, drawn_slide, colour_model, config, output):
    """Run until so many tiles are done, then stop; the events."""
    stop, events = StopToken(), []
    with drawn_slide.open() as slide:
        for event in job(slide, output, config, stop, model=colour_model):
            events.append(event)
            if isinstance(event, TileDone) and event.done >= tiles:
                stop.stop()
    return events


def test_a_stopped_run_labels_what_is_done_and_goes_on_to_the_identical_result(
    drawn_slide,
    finished_slide,
    colour_model,
    slide_config,
    run_slide,
    store_differences,
    tmp_path,
):
    output = tmp_path / "drawn.ome.zarr"
    events = stopped_after(2, drawn_slide, colour_model, slide_config(), output)
    done = events[-1]
    assert isinstance(done, SlideDone)
    assert not done.complete
    store = SlideStore.open(output)
    assert 2 <= len(store.done_tiles()) < 4
    regions = labels(store, "regions")
    assert regions[60:400, 60:900].all()
    assert not regions[600:, 600:].any()
    assert count_violations(regions, labels(store, "glands")).total == 0
    before = chunk_times(output)
    with drawn_slide.open() as slide:
        events = []
        for event in job(slide, output, slide_config(), model=colour_model, resume=True):
            events.append(event)
            if isinstance(event, TileDone):
                after = chunk_times(output)
                assert {name: after[name] for name in before} == before
    assert StoreReady(output, (900, 1200), resumed=True) in events
    assert next(event.done for event in events if isinstance(event, TileDone)) == len(before)
    assert events[-1].complete
    assert store_differences(SlideStore.open(output), finished_slide) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_gland_mtl.checkpoint import load_model
from napari_gland_mtl.jobs.events import TileDone
from napari_gland_mtl.jobs.segment_config import SlideConfig
from napari_gland_mtl.jobs.segment_slide import segment_slide
from napari_gland_mtl.slides import open_slide

slide, output, model = sys.argv[1:]
config = SlideConfig(device="cpu", flips=False, tile_size=512, engine="torch")
for event in segment_slide(open_slide(slide), output, config, model=load_model(model)):
    if isinstance(event, TileDone) and event.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_goes_on_to_the_identical_result(
    drawn_slide, finished_slide, colour_model_path, run_slide, store_differences, tmp_path
):
    output = tmp_path / "drawn.ome.zarr"
    command = [sys.executable, "-c", KILLED, drawn_slide.path, output, colour_model_path]
    died = subprocess.run(command, capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    before = chunk_times(output)
    assert len(before) >= 2
    with drawn_slide.open() as slide:
        events = run_slide(slide, output, resume=True)
    ran = [event for event in events if isinstance(event, BlockDone) and not event.final]
    assert len(ran) == 4 - len(before)
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_the_order_of_the_tiles_does_not_matter(
    drawn_slide, finished_slide, colour_model, slide_config, store_differences, tmp_path
):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide:
        plan = plan_slide(slide, output, slide_config(), colour_model)
        with SlideWork(plan, slide, colour_model) as work:
            backwards = plan.tiles[::-1]
            for part in (backwards[:1], backwards[1:]):
                list(predict_tiles(work, part, StopToken(), provisional=False))
            list(label_slide(work))
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_a_complete_slide_is_left_as_it_is(drawn_slide, run_slide, tmp_path, monkeypatch):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide:
        first = run_slide(slide, output, areas=ONE_GLAND)[-1]
        monkeypatch.setattr(Predictor, "stream", None)
        monkeypatch.setattr(SlideStore, "start_labels", None)
        events = run_slide(slide, output, areas=ONE_GLAND, resume=True)
    assert any(isinstance(event, Notice) and "complete" in event.text for event in events)
    assert events[-1] == first
    assert not any(isinstance(event, Started) for event in events)


def test_kept_probabilities_are_labelled_anew_without_the_network(
    drawn_slide, run_slide, tmp_path, monkeypatch
):
    output = tmp_path / "drawn.ome.zarr"
    large = {"min_gland_area_um2": 5000.0}
    kept = {"areas": ONE_GLAND, "keep_probabilities": True}
    with drawn_slide.open() as slide:
        assert run_slide(slide, output, **kept)[-1].summary["glands"] == 1
        monkeypatch.setattr(Predictor, "stream", None)
        done = run_slide(slide, output, resume=True, decoding=large, **kept)[-1]
    assert done.complete
    assert done.summary["glands"] == 0
    assert not labels(SlideStore.open(output), "glands").any()


def test_other_settings_of_the_separation_need_the_probabilities(
    finished_slide, drawn_slide, run_slide
):
    with drawn_slide.open() as slide, pytest.raises(InvalidInputError, match="keep-probabilities"):
        run_slide(slide, finished_slide.path, resume=True, decoding={"min_gland_area_um2": 5000.0})


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"flips": True}, "flips"), ({"tile_size": 1024}, "tile_size"), ({"mpp": 0.9}, "mpp")],
)
def test_other_settings_are_not_mixed_with_what_is_there(
    settings, named, drawn_slide, finished_slide, run_slide
):
    before = labels(finished_slide, "regions")
    with drawn_slide.open() as slide, pytest.raises(InvalidInputError, match=named):
        run_slide(slide, finished_slide.path, resume=True, **settings)
    assert np.array_equal(labels(finished_slide, "regions"), before)


def test_what_is_there_is_not_replaced_unless_told(drawn_slide, run_slide, tmp_path):
    output = tmp_path / "drawn.ome.zarr"
    with drawn_slide.open() as slide:
        run_slide(slide, output, areas=ONE_GLAND)
        with pytest.raises(OutputExistsError, match="--resume"):
            run_slide(slide, output)
        other = Areas.from_rectangle(460, 460, 560, 560)
        run_slide(slide, output, areas=other, overwrite=True)
    assert len(SlideStore.open(output).record["tiles"]) == 4


# ------------------------------------------------------------------ things that go wrong


class DamagedThere:
    """A slide of which one place of the full resolution cannot be read."""

    def __init__(self, slide, y, x):
        self._slide, self._at = slide, (y, x)

    def __getattr__(self, name):
        return getattr(self._slide, name)

    def read_region(self, level, y, x, height, width):
        inside = y <= self._at[0] < y + height and x <= self._at[1] < x + width
        if level == 0 and inside:
            raise UnreadableImageError("The tile is damaged.")
        return self._slide.read_region(level, y, x, height, width)


def test_a_tile_that_cannot_be_read_is_reported_and_the_rest_goes_on(
    drawn_slide, finished_slide, run_slide, tmp_path
):
    with drawn_slide.open() as slide:
        events = run_slide(DamagedThere(slide, 780, 300), tmp_path / "damaged.ome.zarr")
    failed = [event for event in events if isinstance(event, TileFailed)]
    assert [event.window[:2] for event in failed] == [(512, 0)]
    assert "damaged" in failed[0].reason
    done = events[-1]
    assert done.complete
    assert (done.summary["tiles_failed"], done.summary["tiles_done"]) == (1, 3)
    store = SlideStore.open(done.path)
    assert list(store.failed) == [(512, 0)]
    regions = labels(store, "regions")
    assert not regions[512:, :512].any()
    same = np.s_[60:400, 60:900]
    assert np.array_equal(regions[same], labels(finished_slide, "regions")[same])
    assert count_violations(regions, labels(store, "glands")).total == 0


def test_a_tile_that_failed_is_tried_again_when_the_run_goes_on(
    drawn_slide, finished_slide, colour_model, slide_config, run_slide, store_differences, tmp_path
):
    output = tmp_path / "drawn.ome.zarr"
    stop = StopToken()
    with drawn_slide.open() as slide:
        damaged = DamagedThere(slide, 120, 120)
        for event in job(damaged, output, slide_config(), stop, model=colour_model):
            if isinstance(event, TileDone) and event.done == 2:
                stop.stop()
        assert list(SlideStore.open(output).failed) == [(0, 0)]
        done = run_slide(slide, output, resume=True)[-1]
    assert done.complete
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_a_full_disk_is_said_in_words_and_nothing_is_lost(
    drawn_slide, finished_slide, run_slide, store_differences, tmp_path, monkeypatch
):
    from napari_gland_mtl.export.tile_array import TileArray

    output = tmp_path / "drawn.ome.zarr"
    written = TileArray.write
    room = iter(range(5))

    def write(self, place, values):
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(self, place, values)

    with drawn_slide.open() as slide:
        with monkeypatch.context() as full:
            full.setattr(TileArray, "write", write)
            with pytest.raises(OutputNotWritableError, match=r"disk is full.*resume"):
                run_slide(slide, output)
        before = chunk_times(output)
        assert len(before) == 2
        run_slide(slide, output, resume=True)
    assert store_differences(SlideStore.open(output), finished_slide) == []


def test_the_program_does_not_hang_on_an_error_in_the_labels(
    drawn_slide, run_slide, tmp_path, monkeypatch
):
    def broken(*arguments):
        raise ZeroDivisionError("in the other thread")

    monkeypatch.setattr(SlideStore, "write_block", broken)
    with drawn_slide.open() as slide, pytest.raises(ZeroDivisionError):
        run_slide(slide, tmp_path / "a.ome.zarr", areas=ONE_GLAND)


# ------------------------------------------------------------------ memory


def peak_bytes(run):
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def by_colour(self, source, tiles, *_):
    """What the network of the tests says, without its work (and without memory of PyTorch's)."""
    for tile in tiles:
        green = source.read(tile.core)[..., 1]
        regions = (green > 107) & (green <= 199), green <= 107, green > 199
        probabilities = np.stack(regions).view(np.uint8) * np.uint8(255)
        cells = tuple(size // self.stride for size in tile.core.shape)
        class_map = np.zeros((2, *cells), np.float32)
        yield PredictedTile(tile, probabilities, class_map)


def test_memory_does_not_grow_with_the_slide(drawn_slide, run_slide, tmp_path, monkeypatch):
    import dask.array as da

    monkeypatch.setattr(Predictor, "stream", by_colour)
    # Bounded, but so large that slides as small as these do not fill them.
    monkeypatch.setattr("napari_gland_mtl.export.slide_tiles._CACHE_BYTES", 2**21)
    monkeypatch.setattr("napari_gland_mtl.export.chunk_buffer._KEPT", 1)
    band = np.ascontiguousarray(drawn_slide.image[100:612, 100:612])

    def tall(rows):
        image = da.tile(da.from_array(band, chunks=band.shape), (rows, 1, 1))
        small = np.tile(band[::8, ::8], (rows, 1, 1))
        slide = slide_from_array([image, small], mpp=1.0)
        output = tmp_path / f"{rows}.ome.zarr"
        events = []
        peak = peak_bytes(lambda: events.extend(run_slide(slide, output, tissue=None)))
        assert events[-1].summary["glands"] > 3 * rows
        return peak

    tall(1)  # whatever is made once and kept
    assert tall(30) < 1.35 * tall(10)
