"""Claims about whole slides: right labels, and the same ones however the run was disturbed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_gland_mtl.errors import (
    InvalidInputError,
    MissingPixelSizeError,
    UnreadableImageError,
)
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.jobs.direct import open_result, segment_slide
from napari_gland_mtl.jobs.events import (
    BlockDone,
    SlideDone,
    Started,
    StoreReady,
    TileDone,
)
from napari_gland_mtl.metrics.topology import count_violations
from napari_gland_mtl.slides import slide_from_array
from napari_gland_mtl.slides.areas import Areas

ONE_GLAND = Areas.from_rectangle(60, 60, 200, 200)
"""A single tile: quick."""


def labels(store, name):
    return store.labels(name)[0][...]


# ------------------------------------------------------------------ what is found


def test_labels_are_those_that_were_drawn(drawn_slide, finished_slide):
    regions = labels(finished_slide, "regions")
    assert regions.shape == drawn_slide.regions.shape
    y0, x0, y1, x1 = 45, 45, 855, 955
    inside = np.s_[y0:y1, x0:x1]
    assert (regions[inside] == drawn_slide.regions[inside]).mean() > 0.98
    assert finished_slide.complete
    assert not finished_slide.has_work


def test_every_gland_is_counted_once_whatever_borders_it_crosses(drawn_slide, finished_slide):
    glands = labels(finished_slide, "glands")
    expected = int(drawn_slide.glands.max())
    pairs = np.unique(np.stack([drawn_slide.glands, glands])[:, drawn_slide.glands > 0], axis=1)
    pairs = pairs[:, pairs[1] > 0]
    assert len(np.unique(glands)) - 1 == expected
    assert sorted(pairs[0]) == list(range(1, expected + 1))
    assert len(set(pairs[1])) == expected
    table = finished_slide.read_table()
    assert sorted(table["label"]) == sorted(set(pairs[1]))
    assert finished_slide.summary["glands"] == expected


def test_no_rule_is_broken_anywhere_on_the_slide(finished_slide):
    regions, glands = labels(finished_slide, "regions"), labels(finished_slide, "glands")
    assert count_violations(regions, glands).total == 0
    assert sum(finished_slide.summary["violations"].values()) == 0


def test_glass_is_neither_run_nor_labelled(drawn_slide, finished_slide):
    planned = {tuple(corner) for corner in finished_slide.record["tiles"]}
    assert planned == {(0, 0), (0, 512), (512, 0), (512, 512)}
    regions = labels(finished_slide, "regions")
    assert not regions[:, 1030:].any()
    assert regions[:, :900].any()


def test_measures_are_in_micrometres_of_the_slide(finished_slide):
    table = finished_slide.read_table()
    whole = table["area_um2"] > 1500
    assert table["area_um2"][whole].mean() == pytest.approx(np.pi * 24**2, rel=0.06)
    centroids = zip(table["y_um"], table["x_um"], strict=True)
    places = {(round(y / 20), round(x / 20)) for y, x in centroids}
    assert {(6, 6), (26, 26), (35, 15)} <= places


def test_a_finer_slide_is_labelled_at_the_models_um_per_px(draw_slide, run_slide, tmp_path):
    fine = draw_slide(tmp_path / "fine.tif", mpp=0.5)
    with fine.open() as slide:
        done = run_slide(slide, tmp_path / "fine.ome.zarr")[-1]
    store = SlideStore.open(done.path)
    assert store.shape == (900, 1200)
    assert store.layout.mpp == 1.0
    truth = fine.regions[::2, ::2][45:855, 45:955]
    assert (labels(store, "regions")[45:855, 45:955] == truth).mean() > 0.97
    assert done.summary["glands"] == int(fine.glands.max())


def test_the_summary_says_what_was_found_and_is_json(finished_slide):
    summary = finished_slide.summary
    assert json.loads(json.dumps(summary)) == summary
    assert summary["glands_by_class"] == {"benign": 0, "malignant": summary["glands"]}
    assert summary["class_probabilities"]["malignant"] == pytest.approx(0.731, abs=0.01)
    assert "malignant" in summary["statement"]
    assert summary["tiles"] == summary["tiles_done"] == 4
    assert summary["tiles_failed"] == 0


def test_events_tell_a_viewer_what_to_show_and_when(drawn_slide, run_slide, tmp_path):
    output = tmp_path / "a.ome.zarr"
    with drawn_slide.open() as slide:
        events = run_slide(slide, output)
    kinds = [type(event) for event in events]
    ready = kinds.index(StoreReady)
    assert events[ready] == StoreReady(output, (900, 1200), resumed=False)
    assert kinds.index(Started) > ready
    assert Started(total=4) in events
    assert [event.done for event in events if isinstance(event, TileDone)] == [1, 2, 3, 4]
    blocks = [event for event in events if isinstance(event, BlockDone)]
    assert {event.final for event in blocks} == {True, False}
    assert kinds[-1] is SlideDone
    assert kinds.count(SlideDone) == 1


def test_an_image_in_memory_is_a_slide_too(drawn_slide, finished_slide, run_slide, tmp_path):
    levels = [drawn_slide.image, drawn_slide.image[::4, ::4].copy()]
    done = run_slide(slide_from_array(levels, mpp=1.0), tmp_path / "array.ome.zarr")[-1]
    found = labels(SlideStore.open(done.path), "glands")
    assert np.array_equal(found, labels(finished_slide, "glands"))


# ------------------------------------------------------------------ parts of a slide


def test_areas_limit_what_is_analysed(drawn_slide, finished_slide, run_slide, tmp_path):
    areas = Areas(
        [[(50, 50), (50, 250), (250, 250), (250, 50)], [(600, 600), (600, 900), (800, 600)]]
    )
    with drawn_slide.open() as slide:
        done = run_slide(slide, tmp_path / "areas.ome.zarr", areas=areas)[-1]
    store = SlideStore.open(done.path)
    assert [tuple(corner) for corner in store.record["tiles"]] == [(0, 0), (512, 512)]
    regions = labels(store, "regions")
    inside = areas.window(0, 0, *store.shape, scale=1.0)
    assert not regions[~inside].any()
    assert (regions[inside] > 0).mean() > 0.99
    core = np.s_[60:200, 60:200]
    assert np.array_equal(regions[core], labels(finished_slide, "regions")[core])


def test_areas_outside_the_slide_are_refused(drawn_slide, run_slide, tmp_path):
    areas = Areas([[(5000, 5000), (5000, 6000), (6000, 5000)]])
    with drawn_slide.open() as slide, pytest.raises(InvalidInputError, match="outside"):
        run_slide(slide, tmp_path / "a.ome.zarr", areas=areas)
    assert not (tmp_path / "a.ome.zarr").exists()


def test_without_tissue_there_is_an_error_that_says_how_to_go_on(run_slide, tmp_path):
    glass = slide_from_array(np.full((700, 700, 3), 245, np.uint8), mpp=1.0)
    with pytest.raises(InvalidInputError, match="--no-tissue"):
        run_slide(glass, tmp_path / "glass.ome.zarr")
    done = run_slide(glass, tmp_path / "glass.ome.zarr", tissue=None)[-1]
    assert done.complete
    assert done.summary["glands"] == 0
    assert done.summary["statement"] == "No glands were found."


def test_a_missing_pixel_size_is_asked_for_before_anything_is_written(run_slide, tmp_path):
    unknown = slide_from_array(np.full((700, 700, 3), 200, np.uint8))
    with pytest.raises(MissingPixelSizeError, match="--mpp"):
        run_slide(unknown, tmp_path / "a.ome.zarr")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ the plain function


def test_the_plain_function_gives_the_result_open_for_reading(
    drawn_slide, finished_slide, colour_model_path, store_differences, tmp_path
):
    quick = {"device": "cpu", "flips": False, "tile_size": 512}
    output = tmp_path / "drawn.ome.zarr"
    found = segment_slide(drawn_slide.path, output, model=colour_model_path, **quick)
    assert found.complete
    assert store_differences(found, finished_slide) == []
    assert store_differences(open_result(output), finished_slide) == []
    with pytest.raises(UnreadableImageError, match="no result"):
        open_result(drawn_slide.path)


def test_the_paths_of_the_result_may_be_text(drawn_slide, colour_model_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = segment_slide(
        str(drawn_slide.path),
        "here.ome.zarr",
        model=str(colour_model_path),
        areas=ONE_GLAND,
        device="cpu",
        flips=False,
    )
    assert Path("here.ome.zarr").is_dir()
    assert found.summary["glands"] == 1
