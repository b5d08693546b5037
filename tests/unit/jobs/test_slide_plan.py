"""Claims about plans: what is run, what is refused, and that a plan is plain data."""

from __future__ import annotations

import json
import pickle

import pytest

from napari_gland_mtl.errors import InvalidInputError, OutputExistsError
from napari_gland_mtl.export.slide_store import SlideStore
from napari_gland_mtl.inference.tiling import Tile, Window
from napari_gland_mtl.jobs.slide_plan import check_new, plan_slide
from napari_gland_mtl.jobs.slide_work import Predictors, SlideWork, ready_rows
from napari_gland_mtl.slides import slide_from_array
from napari_gland_mtl.slides.areas import Areas


@pytest.fixture
def plan(drawn_slide, colour_model, slide_config, tmp_path):
    def make(areas=None, output="a.ome.zarr", **options):
        settings = options.pop("settings", {})
        with drawn_slide.open() as slide:
            config = slide_config(**settings)
            return plan_slide(slide, tmp_path / output, config, colour_model, areas, **options)

    return make


def corners(tiles):
    return [(tile.core.y0, tile.core.x0) for tile in tiles]


def test_tiles_with_tissue_are_planned_row_by_row(plan):
    assert corners(plan().tiles) == [(0, 0), (0, 512), (512, 0), (512, 512)]


def test_without_looking_for_tissue_every_tile_is_planned(plan):
    everywhere = plan(settings={"tissue": None})
    assert len(everywhere.tiles) == 2 * 3
    assert SlideStore.open(everywhere.store).tissue() is None


def test_of_several_areas_every_tile_is_planned_once(plan):
    areas = Areas([[(10, 10), (10, 90), (90, 10)], [(50, 50), (50, 600), (90, 50)]])
    assert corners(plan(areas).tiles) == [(0, 0), (0, 512)]


def test_areas_on_glass_hold_nothing(plan):
    with pytest.raises(InvalidInputError, match="chosen part"):
        plan(Areas.from_rectangle(100, 1060, 300, 1190))


def test_a_plan_can_be_sent_to_another_process(plan):
    made = plan(Areas.from_rectangle(10, 10, 90, 90))
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301


def test_a_plan_says_how_to_repeat_it(plan, drawn_slide, colour_model):
    record = SlideStore.open(plan().store).record
    assert record["slide"]["path"] == str(drawn_slide.path)
    assert record["model_sha256"] == colour_model.sha256
    assert record["settings"]["tile_size"] == 512
    assert record["identity"]["mpp"] == pytest.approx(1.0)


def test_who_goes_on_with_a_store_learns_what_is_done(
    plan, drawn_slide, colour_model, slide_config
):
    import numpy as np

    first = plan()
    store = SlideStore.open(first.store, writable=True)
    core = first.tiles[1].core
    store.write_tile(core, np.zeros((3, *core.shape), np.uint8), np.zeros((2, 32, 32), np.float32))
    again = plan(resume=True)
    assert again.tiles == first.tiles
    assert again.done == {(0, 512)}
    assert corners(again.missing) == [(0, 0), (512, 0), (512, 512)]


def test_a_store_is_not_gone_on_with_unasked(plan):
    plan()
    with pytest.raises(OutputExistsError):
        plan()


def test_a_run_goes_on_with_its_own_store_even_so(plan):
    """Who makes a plan may have died before anybody heard of it, and it is made again."""
    first = plan(run="ab12")
    assert plan(run="ab12").tiles == first.tiles
    with pytest.raises(OutputExistsError):
        plan(run="cd34")
    overwritten = plan(run="cd34", overwrite=True)
    assert SlideStore.open(overwritten.store).record["run"] == "cd34"
    assert plan(run="cd34", overwrite=True) == overwritten


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"flips": True}}, "flips"),
        ({"settings": {"quarter_turns": True}}, "quarter_turns"),
        ({"settings": {"tissue": None}}, "tissue"),
        ({"areas": Areas.from_rectangle(10, 10, 90, 90)}, "areas"),
    ],
)
def test_a_store_of_other_settings_is_not_gone_on_with(change, named, plan):
    plan()
    with pytest.raises(InvalidInputError, match=rf"other settings.*{named}.*overwritten"):
        plan(resume=True, **change)


def test_what_only_costs_time_may_change(plan):
    plan()
    plan(resume=True, settings={"batch_size": 8, "readers": 1, "engine": "auto"})


def test_an_output_in_the_way_is_seen_before_a_slide_is_opened(tmp_path):
    check_new(tmp_path / "new", resume=False, overwrite=False)
    with pytest.raises(OutputExistsError, match="--resume"):
        check_new(tmp_path, resume=False, overwrite=False)
    check_new(tmp_path, resume=True, overwrite=False)


def test_an_image_in_memory_cannot_be_opened_elsewhere(
    drawn_slide, colour_model, slide_config, tmp_path
):
    slide = slide_from_array(drawn_slide.image, mpp=1.0)
    made = plan_slide(slide, tmp_path / "a.ome.zarr", slide_config(), colour_model)
    with pytest.raises(InvalidInputError, match="Save it as a file"):
        SlideWork(made, model=colour_model)


def test_another_model_of_the_same_name_is_not_used(plan, colour_model, drawn_slide):
    from dataclasses import replace

    with pytest.raises(InvalidInputError, match="not the one"):
        SlideWork(plan(), drawn_slide.open(), replace(colour_model, sha256="0" * 64))


def test_predictors_are_kept_from_slide_to_slide_but_not_for_other_settings(
    plan, colour_model, slide_config
):
    tiles, predictors = plan().tiles, Predictors()
    first = predictors.get(colour_model, slide_config(), tiles)
    assert predictors.get(colour_model, slide_config(), tiles[:1]) is first
    assert predictors.get(colour_model, slide_config(flips=True), tiles) is not first


# ------------------------------------------------------------------ rows that are ready


def tile(y, x):
    core = Window(y, x, y + 512, x + 512)
    return Tile(core=core, window=core)


def test_labels_may_follow_as_far_as_all_tiles_above_are_there():
    tiles = [tile(y, x) for y in (0, 512, 1536) for x in (0, 512)]
    assert list(ready_rows(tiles, 2000, iter(tiles))) == [512, 1536, 2000]


def test_a_tile_that_is_late_holds_up_what_lies_below_it():
    tiles = [tile(y, x) for y in (0, 512, 1024) for x in (0, 512)]
    late = [*tiles[1:], tiles[0]]
    assert list(ready_rows(tiles, 1500, iter(late))) == [1500]
    assert list(ready_rows(tiles, 1500, iter(tiles[2:]))) == [1500]


def test_a_store_of_an_earlier_version_does_not_name_what_it_did_not_know(plan):
    """It was made without quarter turns and dropout, and is gone on with that way alone."""
    first = plan()
    state = json.loads((first.store / "zarr.json").read_text())
    identity = state["attributes"]["napari_gland_mtl"]["record"]["identity"]
    assert identity.pop("quarter_turns") is False
    assert identity.pop("dropout_samples") == 0
    (first.store / "zarr.json").write_text(json.dumps(state))
    assert plan(resume=True).tiles == first.tiles
    with pytest.raises(InvalidInputError, match=r"other settings.*quarter_turns \(False before"):
        plan(resume=True, settings={"quarter_turns": True})


def test_dropout_of_a_model_without_any_is_refused_before_a_store_is_made(plan, tmp_path):
    with pytest.raises(InvalidInputError, match="trained without dropout"):
        plan(settings={"dropout_samples": 3})
    assert not list(tmp_path.rglob("*.zarr"))
