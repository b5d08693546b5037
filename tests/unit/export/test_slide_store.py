"""A slide's result survives being stopped, killed, written by many at once, and full disks."""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import zarr

from napari_gland_mtl.errors import (
    InvalidInputError,
    OutputExistsError,
    OutputNotWritableError,
    UnreadableImageError,
)
from napari_gland_mtl.export.downsampling import INSTANCES, region_levels
from napari_gland_mtl.export.ome_zarr import is_segmentation, read_segmentation
from napari_gland_mtl.export.slide_store import SlideStore, StoreLayout, is_slide_store
from napari_gland_mtl.export.tables import write_table, write_table_parts
from napari_gland_mtl.export.tile_array import TileArray
from napari_gland_mtl.jobs.label_files import read_region_labels
from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.storage import disk_errors

PROBABILITIES, CLASS_MAP = "work/probabilities", "work/class_map"


@pytest.fixture
def store(tmp_path, case):
    return case.create(tmp_path / "out" / "case.ome.zarr")


def corners(cores):
    return {core[:2] for core in cores}


def left_behind(folder):
    return sorted(entry.name for entry in folder.iterdir())


def same_table(a, b):
    assert list(a) == list(b)
    for name, column in a.items():
        assert column.dtype == b[name].dtype, name
        np.testing.assert_array_equal(column, b[name])


# ------------------------------------------------------------------ what it is on disk


def test_a_store_is_valid_ngff_from_the_first_moment(store):
    from ome_zarr_models import v05 as models

    image = models.Image.from_zarr(zarr.open_group(store.path, mode="r"))
    assert [axis.name for axis in image.attributes.ome.multiscales[0].axes] == ["c", "y", "x"]
    labels = models.Labels.from_zarr(zarr.open_group(store.path / "labels", mode="r"))
    assert labels.attributes.ome.labels == ["regions", "glands", "tissue"]
    for name in labels.attributes.ome.labels:
        group = zarr.open_group(store.path / "labels" / name, mode="r")
        (multiscale,) = models.ImageLabel.from_zarr(group).attributes.ome.multiscales
        assert {axis.unit for axis in multiscale.axes} == {"micrometer"}
    for name in ("malignant", "uncertainty"):
        map_ = zarr.open_group(store.path / "maps" / name, mode="r")
        assert models.Image.from_zarr(map_).attributes.ome.multiscales[0].name == name


@pytest.mark.parametrize(
    ("folder", "side"),
    [
        ("", 64),
        ("labels/regions", 6.4),
        ("labels/glands", 6.4),
        ("labels/tissue", 640),
        ("maps/malignant", 6.4 * 16),
        ("maps/uncertainty", 6.4 * 16),
    ],
)
def test_pixel_centres_lie_where_the_slide_has_them(store, case, folder, side):
    """Pixel i of `side` level-0 px covers [i, i + 1) * side; level-0 pixel 0 is centred at 0."""
    metadata = json.loads((store.path / folder / "zarr.json").read_text())["attributes"]["ome"]
    for level, dataset in enumerate(metadata["multiscales"][0]["datasets"]):
        scale, shift = dataset["coordinateTransformations"]
        width = side * 2**level
        for index in (0, 7):
            covered = np.arange(index * width, (index + 1) * width, 0.1) + 0.05
            centre = index * scale["scale"][-1] + shift["translation"][-1]
            assert centre == pytest.approx((covered.mean() - 0.5) * case.slide_mpp)


def test_region_labels_have_their_names_and_colours(store):
    attributes = json.loads((store.path / "labels/regions/zarr.json").read_text())["attributes"]
    label = attributes["ome"]["image-label"]
    assert [entry["region"] for entry in label["properties"]] == list(GLAND_REGIONS.names)
    assert label["source"] == {"image": "../../"}


def test_what_it_was_made_with_comes_back(store, case):
    for opened in (store, SlideStore.open(store.path), pickle.loads(pickle.dumps(store))):  # noqa: S301
        assert opened.layout == case.layout
        assert opened.record == case.record
        assert (opened.complete, opened.summary, opened.failed) == (False, None, {})
        assert opened.done_tiles() == set()
        mask, downsample = opened.tissue()
        assert downsample == case.tissue_downsample
        assert np.array_equal(mask, np.eye(13, 9, dtype=bool))
        levels, downsample = opened.overview()
        assert downsample == case.overview_downsample
        assert (np.asarray(levels[0]) == 200).all()


def test_it_says_what_it_is(store):
    shown = repr(store)
    assert str(store.path) in shown
    assert f"{store.layout.mpp:.4g} um/px, not complete" in shown
    store.finish({"statement": "done"})
    assert repr(store).endswith(", complete>")


def test_picture_and_tissue_may_be_missing(tmp_path, case):
    store = case.create(tmp_path / "a.ome.zarr", overview=None, tissue=None)
    assert store.overview() is None
    assert store.tissue() is None
    case.write_labels(store)
    assert np.asarray(store.labels("glands")[0]).any()


def test_classes_may_have_any_name(tmp_path, case):
    layout = StoreLayout(**{**vars(case.layout), "classes": ("G0", "G1/G2", "../x", "../ x")})
    store = case.create(tmp_path / "a.ome.zarr", layout=layout)
    assert list(store.maps()) == ["G1/G2", "../x", "../ x"]
    folders = ["1_G1_G2", "2__x", "3__x", "uncertainty", "zarr.json"]
    assert left_behind(tmp_path / "a.ome.zarr" / "maps") == folders
    assert left_behind(tmp_path) == ["a.ome.zarr"]


@pytest.mark.parametrize(
    "wrong",
    [{"tile": 500}, {"tile": 0}, {"shape": (0, 5)}, {"mpp": 0.0}, {"stride": 7}, {"classes": ()}],
)
def test_sizes_that_cannot_be_are_refused(case, wrong):
    with pytest.raises(InvalidInputError):
        StoreLayout(**{**vars(case.layout), **wrong})


# ------------------------------------------------------------------ tiles


def test_tiles_come_back_exactly_wherever_they_are_read(store, case):
    case.write_tiles(store)
    probabilities, activations = case.whole_output()
    assert store.shape == (case.height, case.width)
    for window in (case.all, (500, 490, 530, 530), (1100, 600, 1300, 900), (0, 0, 1, 1)):
        y0, x0, y1, x1 = window
        assert np.array_equal(store.read(window), probabilities[:, y0:y1, x0:x1])
    coarse = (0, 0, *case.layout.coarse_shape)
    np.testing.assert_array_equal(store.class_map(coarse), activations)
    np.testing.assert_array_equal(store.class_map((30, 31, 34, 33)), activations[:, 30:34, 31:33])


def test_what_is_missing_is_zero_and_not_a_number(store, case):
    case.write_tiles(store, case.cores[1:2])
    assert store.any((0, 511, 10, 513))
    assert not store.any((0, 0, 512, 512))
    read = store.read((0, 500, 20, 530))
    assert not read[:, :, :12].any()
    assert read[:, :, 12:].all()
    activations = store.class_map((0, 30, 2, 34))
    assert np.isnan(activations[:, :, :2]).all()
    assert np.isfinite(activations[:, :, 2:]).all()


def test_a_tile_without_content_counts_as_done(store, case):
    nothing = np.zeros((3, 512, 512), np.uint8), np.full((2, 32, 32), np.nan, np.float32)
    store.write_tile(case.cores[0], *nothing)
    assert store.done_tiles() == {(0, 0)}
    assert store.any((0, 0, 512, 512))


@pytest.mark.parametrize("array", [PROBABILITIES, CLASS_MAP])
def test_a_tile_is_done_only_if_both_of_its_parts_are_there(store, case, array):
    case.write_tiles(store)
    assert store.done_tiles() == corners(case.cores)
    (store.path / array / "c.0.1.0").unlink()
    assert store.done_tiles() == corners(case.cores) - {(512, 0)}
    assert not store.any((512, 0, 600, 500))


def test_what_a_killed_process_or_a_power_cut_leaves_is_no_tile(store, case):
    case.write_tiles(store, case.cores[:1])
    for array in (PROBABILITIES, CLASS_MAP):
        (store.path / array / "c.0.1.0123456789abcdef.partial").write_bytes(b"half")
        (store.path / array / "c.0.1.1").write_bytes(b"")
    (store.path / "labels" / "glands" / "0" / "123.partial").write_bytes(b"half")
    again = SlideStore.open(store.path, writable=True)
    assert again.done_tiles() == {(0, 0)}
    assert not again.any((512, 512, 1024, 900))
    assert not again.read((512, 512, 1024, 900)).any()
    case.write_tiles(again)
    assert np.array_equal(again.read(case.all), case.whole_output()[0])
    again.finish({})
    assert not list(store.path.rglob("*.partial"))


def test_a_tile_that_is_cached_is_read_anew_once_it_was_written(store, case):
    core = case.cores[0]
    store.write_tile(core, *case.output(core))
    assert store.read(core).any()
    probabilities, activations = case.output(core)
    store.write_tile(core, np.zeros_like(probabilities), activations)
    assert not store.read(core).any()


def test_few_tiles_are_kept_in_memory(store, case):
    case.write_tiles(store)
    array = TileArray(store.path / PROBABILITIES, writable=False, cached=2)
    array.read(case.all)
    assert len(array._cache) == 2


def test_a_run_that_is_killed_leaves_whole_tiles_only(tmp_path, store, case):
    code = (
        "import sys, numpy as np\n"
        "from napari_gland_mtl.export.slide_store import SlideStore\n"
        "store = SlideStore.open(sys.argv[1], writable=True)\n"
        "cores = [(y, x, y + 512, x + 512) for y in (0, 512, 1024) for x in (0, 512)]\n"
        "noise = np.random.default_rng(0).integers(0, 256, (3, 512, 512), dtype=np.uint8)\n"
        "while True:\n"
        "    for core in cores:\n"
        "        store.write_tile(core, noise, np.ones((2, 32, 32), np.float32))\n"
        "        print('.', flush=True)\n"
    )
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE
        )
        for _ in range(9):
            process.stdout.readline()
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    again = SlideStore.open(store.path, writable=True)
    assert again.done_tiles() == corners(case.cores)
    expected = np.random.default_rng(0).integers(0, 256, (3, 512, 512), dtype=np.uint8)
    for core in case.cores[:1]:
        assert np.array_equal(again.read(core), expected)
    assert (again.class_map((0, 0, *case.layout.coarse_shape)) == 1).all()


def test_several_processes_write_tiles_at_once(store, case):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(store.write_tile, core, *case.output(core)) for core in case.cores]
        for job in jobs:
            job.result()
    assert store.done_tiles() == corners(case.cores)
    assert np.array_equal(store.read(case.all), case.whole_output()[0])


def test_a_failed_tile_is_remembered_until_it_is_stored(store, case):
    store.fail_tile(case.cores[3], "tile 17 of level 0 is damaged")
    store.fail_tile(case.cores[4], "no")
    expected = {(512, 512): "tile 17 of level 0 is damaged", (1024, 0): "no"}
    assert SlideStore.open(store.path).failed == expected
    case.write_tiles(store, case.cores[:5])
    assert store.failed == {}
    store.fail_tile(case.cores[5], "still")
    store.finish({})
    assert SlideStore.open(store.path).failed == {(1024, 512): "still"}


@pytest.mark.parametrize(
    "core", [(0, 0, 500, 512), (16, 0, 528, 512), (2048, 0, 2560, 512), (0, 0, 1024, 512)]
)
def test_what_is_no_tile_is_refused(store, case, core):
    probabilities = np.zeros((3, core[2] - core[0], core[3] - core[1]), np.uint8)
    with pytest.raises(InvalidInputError, match="is no tile"):
        store.write_tile(core, probabilities, np.zeros((2, 32, 32), np.float32))
    with pytest.raises(InvalidInputError, match="is no tile"):
        store.fail_tile(core, "")


def test_arrays_that_do_not_fit_are_refused(store, case):
    core = case.cores[0]
    probabilities, activations = case.output(core)
    for wrong in (
        (probabilities[:2], activations),
        (probabilities, activations[:, :-1]),
        (probabilities.astype(np.float32), activations),
    ):
        with pytest.raises(InvalidInputError):
            store.write_tile(core, *wrong)
    assert store.done_tiles() == set()
    for window in ((0, 0, 1301, 5), (-1, 0, 5, 5), (5, 5, 5, 6)):
        with pytest.raises(InvalidInputError):
            store.read(window)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: data[:5000] + b"!" + data[5001:]]
)
def test_a_damaged_tile_is_named_with_its_cure(store, case, damage):
    case.write_tiles(store)
    damaged = store.path / PROBABILITIES / "c.0.1.0"
    damaged.write_bytes(damage(damaged.read_bytes()))
    opened = SlideStore.open(store.path)
    assert opened.read(case.cores[0]).any()
    with pytest.raises(UnreadableImageError, match=r"c\.0\.1\.0 .*delete it and resume"):
        opened.read(case.all)


# ------------------------------------------------------------------ labels


def test_labels_are_written_to_all_levels(store, case):
    case.write_labels(store)
    regions, glands = case.labels()
    for name, labels, method in (
        ("regions", regions, region_levels(GLAND_REGIONS)),
        ("glands", glands, INSTANCES),
    ):
        levels = store.labels(name)
        assert [level.shape for level in levels] == [(1300, 900), (650, 450), (325, 225)]
        for level, expected in zip(levels, method.levels(labels, [1, 2, 4]), strict=True):
            assert level.dtype == labels.dtype
            assert np.array_equal(np.asarray(level), expected)


def test_provisional_regions_give_way_to_final_ones(store, case):
    for core in case.cores:
        store.write_regions(core, np.full((512, 512), 3, np.uint8))
    assert (np.asarray(store.labels("regions")[2]) == 3).all()
    assert not np.asarray(store.labels("glands")[0]).any()
    case.write_labels(store)
    assert np.array_equal(np.asarray(store.labels("regions")[0]), case.labels()[0])


def test_one_thread_may_write_provisional_regions_while_another_writes_blocks(store, case):
    """Neighbours share chunks on the lower levels, and each has to read what it changes."""
    regions, glands = case.labels()

    def provisional():
        for core in case.cores[::2]:
            store.write_regions(core, np.full((512, 512), 2, np.uint8))

    thread = threading.Thread(target=provisional)
    thread.start()
    for y0, x0, *_ in case.cores[1::2]:
        window = (y0, x0, min(y0 + 512, case.height), case.width)
        store.write_block(window, regions[y0 : y0 + 512, x0:], glands[y0 : y0 + 512, x0:])
    thread.join()
    expected = regions.copy()
    expected[:, :512] = 2
    levels = region_levels(GLAND_REGIONS).levels(expected, [1, 2, 4])
    for level, wanted in zip(store.labels("regions"), levels, strict=True):
        assert np.array_equal(np.asarray(level), wanted)


def test_blocks_that_do_not_fit_are_refused(store):
    codes = np.ones((512, 512), np.uint8)
    with pytest.raises(InvalidInputError, match="size of the block"):
        store.write_regions((0, 0, 512, 500), codes)
    with pytest.raises(InvalidInputError, match="multiples of 4"):
        store.write_regions((2, 0, 514, 512), codes)
    with pytest.raises(InvalidInputError):
        store.write_regions((2048, 0, 2560, 512), codes)


def test_the_heat_map_leaves_out_the_first_class_and_what_is_not_known(store, case):
    rows, columns = case.layout.coarse_shape
    maps = np.random.default_rng(1).random((2, rows, columns)).astype(np.float32)
    maps[:, :5] = np.nan
    store.write_heatmap((0, 0, rows, columns), maps)
    (levels,) = SlideStore.open(store.path).maps().values()
    np.testing.assert_array_equal(np.asarray(levels[0]), maps[1])
    with pytest.raises(InvalidInputError, match="2 classes"):
        store.write_heatmap((0, 0, rows, columns), maps[:1])


# ------------------------------------------------------------------ rows


def test_rows_come_back_as_they_were_appended(store, case):
    store.append_rows(case.rows(1, 0))
    for first in range(1, 10_001, 500):
        store.append_rows(case.rows(first, 500))
    store.append_rows({})
    same_table(store.read_table(), case.rows(1, 10_000))
    store.finish({})
    same_table(SlideStore.open(store.path).read_table(), case.rows(1, 10_000))
    columns = zarr.open_group(store.path / "tables/glands", mode="r")
    assert {column.shape for _, column in columns.arrays()} == {(10_000,)}


def test_rows_that_wait_to_be_written_are_few(store, case):
    for first in range(1, 20_001, 400):
        store.append_rows(case.rows(first, 400))
        assert store._table._pending_rows < 5000
    # Another reader sees whole rows, if not the last ones.
    seen = SlideStore.open(store.path).read_table()
    same_table(seen, case.rows(1, len(seen["label"])))
    assert len(seen["label"]) > 15_000


def test_a_row_that_was_half_written_is_none(store, case):
    store.append_rows(case.rows(1, 10))
    store.write_summary({})
    group = zarr.open_group(store.path / "tables/glands", mode="r+")
    group["label"].resize((25,))  # what a process killed in between leaves
    same_table(SlideStore.open(store.path).read_table(), case.rows(1, 10))


def test_a_new_sweep_forgets_the_rows_and_glands_of_the_one_before(store, case):
    case.write_tiles(store)
    case.write_labels(store)
    store.append_rows(case.rows(1, 30))
    store.write_summary({"glands": 30})
    again = SlideStore.open(store.path, writable=True)
    again.start_labels()
    assert again.read_table() == {}
    assert again.summary is None
    assert not any(np.asarray(level).any() for level in again.labels("glands"))
    assert again.done_tiles() == corners(case.cores)
    again.append_rows(case.rows(5, 2))
    again.finish({})
    same_table(again.read_table(), case.rows(5, 2))


def test_text_of_any_length_may_follow(store, case):
    store.append_rows({"label": np.array([1]), "kind": np.array(["a"])})
    store.append_rows({"label": np.array([2]), "kind": np.array(["branching"])})
    assert store.read_table()["kind"].tolist() == ["a", "branching"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": np.array([1])},
        {"label": np.array([1]), "area_um2": np.array(["large"])},
        {"label": np.array([1]), "area_um2": np.array([1.0, 2.0])},
    ],
)
def test_rows_with_other_columns_are_refused(store, wrong):
    row = {"label": np.array([7]), "area_um2": np.array([0.5])}
    store.append_rows(row)
    with pytest.raises(InvalidInputError):
        store.append_rows(wrong)
    same_table(store.read_table(), row)


def test_a_table_longer_than_memory_becomes_a_csv(tmp_path, store, case):
    for first in range(1, 40_001, 4000):
        store.append_rows(case.rows(first, 4000))
    parts = list(store.table_chunks())
    assert [len(part["label"]) for part in parts] == [16384, 16384, 7232]
    write_table_parts(tmp_path / "parts.csv", store.table_chunks())
    write_table(tmp_path / "whole.csv", case.rows(1, 40_000))
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


# ------------------------------------------------------------------ the end


def test_a_complete_slide_keeps_its_labels_and_not_its_work(store, case):
    case.write_tiles(store)
    case.write_labels(store)
    store.finish({"glands": 117, "statement": "None."})
    opened = SlideStore.open(store.path, writable=True)
    assert opened.complete
    assert opened.summary == {"glands": 117, "statement": "None."}
    assert opened.record == case.record
    assert not opened.has_work
    assert opened.done_tiles() == set()
    assert np.array_equal(np.asarray(opened.labels("regions")[0]), case.labels()[0])
    folders = ["0", "1", "2", "labels", "maps", "tables", "zarr.json"]
    assert left_behind(store.path) == folders
    for call in (
        lambda: case.write_tiles(opened, case.cores[:1]),
        lambda: opened.read(case.all),
        opened.start_labels,
    ):
        with pytest.raises(InvalidInputError, match="keeps nothing"):
            call()
    assert opened.complete


def test_work_that_is_kept_lets_labels_be_made_anew(store, case):
    case.write_tiles(store)
    store.finish({"glands": 1}, keep_work=True)
    again = SlideStore.open(store.path, writable=True)
    assert again.complete
    assert again.has_work
    assert np.array_equal(again.read(case.all), case.whole_output()[0])
    again.start_labels()
    assert not SlideStore.open(store.path).complete


def test_a_stopped_slide_says_what_was_found_so_far(store, case):
    case.write_tiles(store, case.cores[:2])
    store.append_rows(case.rows(1, 3))
    store.write_summary({"glands": 3})
    opened = SlideStore.open(store.path)
    assert not opened.complete
    assert opened.summary == {"glands": 3}
    assert opened.done_tiles() == {(0, 0), (0, 512)}
    same_table(opened.read_table(), case.rows(1, 3))


@pytest.mark.parametrize("bad", [{"a": float("nan")}, {"a": np.zeros(2)}, {"a": object()}])
def test_what_is_no_json_is_refused(tmp_path, store, case, bad):
    with pytest.raises(InvalidInputError, match="plain numbers and text"):
        store.write_summary(bad)
    with pytest.raises(InvalidInputError, match="plain numbers and text"):
        case.create(tmp_path / "b.ome.zarr", record=bad)
    assert left_behind(tmp_path) == ["out"]


def test_readers_never_see_half_an_attribute(store):
    stop = threading.Event()
    seen = []

    def read():
        while not stop.is_set():
            seen.append(SlideStore.open(store.path).summary)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(30):
        store.write_summary({"number": number, "long": "x" * 20_000})
    stop.set()
    thread.join()
    assert seen
    assert all(entry is None or len(entry["long"]) == 20_000 for entry in seen)


# ------------------------------------------------------------------ what exists, what is broken


def test_what_exists_stays_unless_told_otherwise(store, case):
    case.write_tiles(store)
    with pytest.raises(OutputExistsError, match="exists already"):
        case.create(store.path)
    assert store.done_tiles() == corners(case.cores)
    newer = case.create(store.path, overwrite=True, record={"model": "other"})
    assert newer.done_tiles() == set()
    assert SlideStore.open(store.path).record == {"model": "other"}
    assert left_behind(store.path.parent) == ["case.ome.zarr"]


def test_a_failure_while_creating_leaves_the_old_store(store, case, monkeypatch):
    case.write_tiles(store)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_gland_mtl.export.slide_tiles.SlideTiles.create", full)
    with pytest.raises(OutputNotWritableError, match="No space left"):
        case.create(store.path, overwrite=True)
    assert store.done_tiles() == corners(case.cores)
    assert left_behind(store.path.parent) == ["case.ome.zarr"]


def test_what_is_no_ome_zarr_is_never_replaced(tmp_path, case):
    (tmp_path / "thesis.ome.zarr").mkdir()
    (tmp_path / "thesis.ome.zarr" / "thesis.txt").write_text("x")
    with pytest.raises(OutputExistsError, match="will not be replaced"):
        case.create(tmp_path / "thesis.ome.zarr", overwrite=True)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("ENOSPC", "the disk is full"),
        ("EDQUOT", "the disk is full"),
        ("EROFS", "not allowed"),
        ("EACCES", "not allowed"),
        ("EIO", "the drive does not answer"),
        ("ESTALE", "the drive does not answer"),
        ("EMFILE", "the system refused"),
    ],
)
def test_a_disk_that_fails_is_told_in_words_and_nothing_is_lost(
    store, case, monkeypatch, number, words
):
    import errno

    import zarr.storage._local as local

    case.write_tiles(store, case.cores[:3])
    case.write_labels(store)

    def refuse(path, *_, **__):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(local, "_put", refuse)
        for write in (
            lambda: case.write_tiles(store),
            lambda: case.write_labels(store),
            lambda: store.append_rows(case.rows(1, 5000)),
        ):
            with pytest.raises(OutputNotWritableError, match=words) as caught:
                write()
            assert str(caught.value).endswith("resume: what was written stays.")
            assert "\n" not in str(caught.value)
    again = SlideStore.open(store.path, writable=True)
    assert again.done_tiles() == corners(case.cores[:3])
    assert np.array_equal(np.asarray(again.labels("regions")[0]), case.labels()[0])
    case.write_tiles(again)
    assert again.done_tiles() == corners(case.cores)


def test_a_file_in_use_on_windows_is_tried_again(monkeypatch):
    monkeypatch.setattr(disk_errors, "_PAUSES_S", (0.0, 0.0))
    calls = []

    def write(winerror, times):
        def attempt():
            calls.append(1)
            if len(calls) <= times:
                error = PermissionError(13, "Permission denied")
                error.winerror = winerror
                raise error

        calls.clear()
        disk_errors.patiently(attempt)
        return len(calls)

    assert write(32, times=2) == 3
    with pytest.raises(PermissionError):
        write(32, times=3)
    with pytest.raises(PermissionError):
        write(None, times=1)  # elsewhere, waiting would not help
    assert len(calls) == 1


def test_what_is_no_slide_store_is_told_apart(tmp_path, case):
    (tmp_path / "text.zarr").write_text("x")
    zarr.create_group(tmp_path / "other.zarr")
    for path in (tmp_path / "missing", tmp_path / "text.zarr", tmp_path / "other.zarr", tmp_path):
        assert not is_slide_store(path)
        with pytest.raises(UnreadableImageError, match="no result of a whole slide"):
            SlideStore.open(path)


@pytest.mark.parametrize(
    "part",
    [
        "labels/glands/0/zarr.json",
        "labels/regions/zarr.json",
        "maps/malignant/0/zarr.json",
        "work/probabilities/zarr.json",
        "tables/glands/zarr.json",
    ],
)
@pytest.mark.parametrize("writable", [False, True])
def test_missing_parts_make_a_store_damaged(store, part, writable):
    (store.path / part).unlink()
    with pytest.raises(UnreadableImageError, match="damaged"):
        SlideStore.open(store.path, writable).read_table()
    assert not (store.path / part).exists()


@pytest.mark.parametrize("change", [{"layout": {}}, {"layout": None}, {"layout": {"shape": 3}}])
def test_a_layout_that_is_none_makes_a_store_damaged(store, change):
    root = zarr.open_group(store.path, mode="r+")
    root.attrs["napari_gland_mtl"] = {**root.attrs["napari_gland_mtl"], **change}
    with pytest.raises(UnreadableImageError, match="damaged"):
        SlideStore.open(store.path)


def test_a_newer_format_asks_for_an_update(store):
    root = zarr.open_group(store.path, mode="r+")
    root.attrs["napari_gland_mtl"] = {**root.attrs["napari_gland_mtl"], "format_version": 2}
    assert is_slide_store(store.path)
    with pytest.raises(UnreadableImageError, match="Update napari-gland-mtl"):
        SlideStore.open(store.path)


def test_a_slide_is_not_read_as_a_field_of_view(store):
    assert not is_segmentation(store.path)
    for read in (read_segmentation, read_region_labels):
        with pytest.raises(UnreadableImageError, match="too large to be read at once"):
            read(store.path)


def without_uncertainty(store):
    """The store as an earlier version made it."""
    shutil.rmtree(store.path / "maps" / "uncertainty")
    return SlideStore.open(store.path, writable=True)


def test_the_uncertainty_is_written_with_its_block(store, case):
    rows, columns = case.layout.coarse_shape
    values = np.random.default_rng(0).random((rows, columns)).astype(np.float32)
    values[10:20, 5:9] = np.nan
    for y0, x0, y1, x1 in case.cores:
        part = values[y0 // 16 : y1 // 16, x0 // 16 : x1 // 16]
        store.write_uncertainty((y0, x0, min(y1, case.height), min(x1, case.width)), part)
    assert np.array_equal(store.uncertainty()[0][...], values, equal_nan=True)
    again = SlideStore.open(store.path)
    assert np.array_equal(again.uncertainty()[0][...], values, equal_nan=True)
    assert "uncertainty" not in store.maps()


def test_a_store_of_an_earlier_version_opens_and_gets_a_map_when_it_is_labelled(store, case):
    store = without_uncertainty(store)
    assert store.uncertainty() is None
    with pytest.raises(InvalidInputError, match="no map of uncertainty"):
        store.write_uncertainty((0, 0, 512, 512), np.zeros((32, 32), np.float32))
    store.start_labels()
    store.write_uncertainty((0, 0, 512, 512), np.full((32, 32), 0.5, np.float32))
    found = SlideStore.open(store.path).uncertainty()[0][...]
    assert (found[:32, :32] == 0.5).all()
    assert np.isnan(found[32:]).all()


def test_a_map_that_was_left_half_made_harms_nothing(store, case):
    """A process may be killed while it gives an earlier store its map."""
    store = without_uncertainty(store)
    zarr.open_group(store.path, mode="r+").create_group("maps/uncertainty").create_array(
        "0", shape=(3, 3), dtype="float32"
    )
    assert SlideStore.open(store.path).uncertainty() is None
    store = SlideStore.open(store.path, writable=True)
    store.start_labels()
    found = SlideStore.open(store.path).uncertainty()
    assert found is not None
    assert found[0].shape == case.layout.coarse_shape


def called_uncertainty(case):
    """The layout of a slide whose model has a class of that name."""
    return StoreLayout(**{**vars(case.layout), "classes": ("benign", "uncertainty")})


def earlier_with_class_called_uncertainty(path, case):
    """The store as a version without maps of uncertainty made it: the class has their folder."""
    store = case.create(path, layout=called_uncertainty(case))
    shutil.rmtree(path / "maps" / "uncertainty")
    (path / "maps" / "1_uncertainty").rename(path / "maps" / "uncertainty")
    return store


def test_a_class_called_uncertainty_has_a_map_of_its_own(tmp_path, case):
    store = case.create(tmp_path / "a.ome.zarr", layout=called_uncertainty(case))
    rows, columns = case.layout.coarse_shape
    maps = np.stack([np.zeros((rows, columns)), np.full((rows, columns), 0.75)])
    store.write_heatmap((0, 0, rows, columns), maps.astype(np.float32))
    store.write_uncertainty((0, 0, 512, 512), np.full((32, 32), 0.25, np.float32))
    found = SlideStore.open(store.path)
    assert (found.maps()["uncertainty"][0][...] == 0.75).all()
    assert (found.uncertainty()[0][:32, :32] == 0.25).all()


def test_an_earlier_store_with_a_class_called_uncertainty_opens_as_it_was(tmp_path, case):
    path = tmp_path / "a.ome.zarr"
    earlier_with_class_called_uncertainty(path, case)
    rows, columns = case.layout.coarse_shape
    values = np.random.default_rng(2).random((rows, columns)).astype(np.float32)
    # The attributes say it without this program: the map there is the class's.
    zarr.open_group(path, mode="r+")["maps/uncertainty/0"][...] = values
    found = SlideStore.open(path)
    assert np.array_equal(found.maps()["uncertainty"][0][...], values)
    assert found.uncertainty() is None


def test_labelled_anew_it_gets_a_map_of_uncertainty_beside_that_of_the_class(tmp_path, case):
    path = tmp_path / "a.ome.zarr"
    earlier_with_class_called_uncertainty(path, case)
    rows, columns = case.layout.coarse_shape
    maps = np.stack([np.zeros((rows, columns)), np.full((rows, columns), 0.75)])
    store = SlideStore.open(path, writable=True)
    store.write_heatmap((0, 0, rows, columns), maps.astype(np.float32))
    store.start_labels()
    store.write_uncertainty((0, 0, 512, 512), np.full((32, 32), 0.25, np.float32))
    for _ in range(2):  # and once more, which finds both
        found = SlideStore.open(path, writable=True)
        assert (found.maps()["uncertainty"][0][...] == 0.75).all()
        assert (found.uncertainty()[0][:32, :32] == 0.25).all()
        found.start_labels()
