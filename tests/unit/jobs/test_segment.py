"""Claims about segmenting an image: right place, right scale, right count, and it can stop."""

from __future__ import annotations

import json

import dask.array
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_gland_mtl.errors import (
    DeviceNotAvailableError,
    InvalidInputError,
    MissingPixelSizeError,
    ModelNotFoundError,
)
from napari_gland_mtl.inference.predictor import Predictor
from napari_gland_mtl.inference.tiling import round_up
from napari_gland_mtl.jobs.direct import segment
from napari_gland_mtl.jobs.events import Notice, SegmentationDone, Stage, Started, TileDone
from napari_gland_mtl.jobs.segment import segment_image
from napari_gland_mtl.jobs.segment_config import SegmentConfig
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.metrics.scores import ObjectScores
from napari_gland_mtl.slides import slide_from_array

SETTINGS = {"device": "cpu", "flips": False}


def run(image, mpp, loaded, /, region=None, stop=None, **settings):
    """Events of segmenting an array."""
    config = SegmentConfig(**{**SETTINGS, **settings})
    slide = image if hasattr(image, "levels") else slide_from_array(image, mpp=mpp)
    return list(segment_image(slide, config, stop, region=region, model=loaded))


def test_glands_lumen_and_stroma_are_found_where_they_are(four_glands, colour_model):
    image, regions, glands = four_glands
    done = run(image, 0.5, colour_model)[-1]
    found = done.segmentation
    assert done.offset == (0, 0)
    assert found.regions.shape == found.glands.shape == image.shape[:2]
    # The network works at half the resolution, so an edge may be off by a pixel.
    assert (found.regions == regions).mean() > 0.98
    assert ObjectScores().add(glands, found.glands).object_dice > 0.97
    assert found.complete
    assert found.violations.total == 0
    assert found.mpp == 0.5


@pytest.mark.parametrize("mpp", [0.25, 1.0, 1.7])
def test_the_pixel_size_of_the_image_does_not_matter(mpp, tissue, colour_model):
    image, regions, _ = tissue(160, 180, mpp, ((50, 60), (110, 120)))
    found = run(image, mpp, colour_model)[-1].segmentation
    assert (found.regions == regions).mean() > 0.96
    assert len(found.table["label"]) == 2
    assert found.table["area_um2"].mean() == pytest.approx(np.pi * 24**2, rel=0.05)


def test_a_wrong_pixel_size_shows_in_the_table(four_glands, colour_model):
    """The control of the claim above."""
    table = run(four_glands[0], 1.0, colour_model)[-1].segmentation.table
    assert table["area_um2"].mean() == pytest.approx(4 * np.pi * 24**2, rel=0.05)


def test_tile_size_does_not_change_the_labels(tissue, colour_model):
    image, _, _ = tissue(300, 330, 0.7, ((60, 60), (150, 160), (230, 260)))
    small = run(image, 0.7, colour_model, tile_size=64)
    large = run(image, 0.7, colour_model, tile_size=512)
    assert small[-1].segmentation.regions.tolist() == large[-1].segmentation.regions.tolist()
    assert len(small) > len(large)


def test_classes_come_with_image_and_glands(four_glands, colour_model):
    found = run(four_glands[0], 0.5, colour_model)[-1].segmentation
    malignant = 1 / (1 + np.exp(-1.0))
    assert found.class_probabilities["malignant"] == pytest.approx(malignant, abs=1e-6)
    assert sum(found.class_probabilities.values()) == pytest.approx(1.0)
    np.testing.assert_allclose(found.table["malignant_probability"], malignant, atol=1e-6)


def test_a_region_has_the_labels_it_would_have_in_the_whole(tissue, colour_model):
    image, regions, _ = tissue(260, 260, 0.5, ((60, 60), (150, 160)))
    region = (71, 85, 399, 470)
    whole = run(image, 0.5, colour_model)[-1].segmentation
    done = run(image, 0.5, colour_model, region=region)[-1]
    part = np.s_[71:399, 85:470]
    assert done.offset == (71, 85)
    assert done.segmentation.regions.tolist() == whole.regions[part].tolist()
    assert (done.segmentation.regions == regions[part]).mean() > 0.98
    assert done.segmentation.provenance["region"] == list(region)


def test_glands_of_a_region_are_placed_in_the_image(four_glands, colour_model):
    """The table goes with labels that are written over the whole image."""
    image = four_glands[0]
    whole = run(image, 0.5, colour_model)[-1].segmentation.table
    part = run(image, 0.5, colour_model, region=(170, 20, 320, 360))[-1].segmentation.table
    lower = whole["y_um"] > 85
    assert lower.sum() == len(part["label"]) == 2
    for name in ("y_um", "x_um"):
        np.testing.assert_allclose(part[name], whole[name][lower], atol=0.2)


@pytest.mark.parametrize("mpp", [0.05, 0.5])
def test_a_region_of_a_few_pixels_has_labels_too(mpp, colour_model):
    image = np.full((700, 700, 3), (110, 60, 150), dtype=np.uint8)
    region = (331, 333, 334, 339)
    found = run(image, mpp, colour_model, region=region)[-1].segmentation
    assert found.regions.shape == (3, 6)


def test_a_region_may_reach_past_the_image_but_not_lie_outside(four_glands, colour_model):
    done = run(four_glands[0], 0.5, colour_model, region=(-50, 100, 200, 9999))[-1]
    assert done.offset == (0, 100)
    assert done.segmentation.regions.shape == (200, 260)
    with pytest.raises(InvalidInputError, match="holds no pixel"):
        run(four_glands[0], 0.5, colour_model, region=(400, 0, 500, 50))


def test_the_finest_level_that_is_needed_is_read_and_no_finer(four_glands, colour_model):
    image = four_glands[0]
    wrong = np.zeros_like(image)  # black: read by mistake, it would be seen at once
    half = np.ascontiguousarray(image[::2, ::2])
    pyramid = slide_from_array([wrong, half, wrong[::4, ::4].copy()], mpp=0.5)
    found = run(pyramid, None, colour_model)[-1].segmentation
    assert found.regions.shape == image.shape[:2]
    assert len(found.table["label"]) == 4


def test_events_come_in_order(four_glands, colour_model_path):
    events = run(four_glands[0], 0.5, None, model=str(colour_model_path), tile_size=64)
    kinds = [type(event) for event in events]
    tiles = round_up(160, 64) * round_up(180, 64) // 64**2
    expected = [Stage, Started, *[TileDone] * tiles, Stage, SegmentationDone]
    assert kinds == expected
    assert events[1] == Started(total=tiles)
    assert [event.done for event in events[2:-2]] == list(range(1, tiles + 1))


def test_stopping_keeps_the_tiles_before(four_glands, colour_model):
    image, regions, _ = four_glands
    stop = StopToken()
    events = []
    slide = slide_from_array(image, mpp=0.5)
    config = SegmentConfig(tile_size=64, **SETTINGS)
    for event in segment_image(slide, config, stop, model=colour_model):
        events.append(event)
        if isinstance(event, TileDone) and event.done == 4:
            stop.stop()
    found = events[-1].segmentation
    assert not found.complete
    assert sum(isinstance(event, TileDone) for event in events) == 4
    assert (found.regions[:126, :240] == regions[:126, :240]).mean() > 0.97
    assert not found.regions[140:, 200:].any()
    assert not found.glands[140:, 200:].any()
    assert found.violations.total == 0


def test_stopping_before_the_first_tile_says_nothing_about_anything(four_glands, colour_model):
    stop = StopToken()
    stop.stop()
    found = run(four_glands[0], 0.5, colour_model, stop=stop)[-1].segmentation
    assert not found.regions.any()
    assert not found.complete
    assert set(found.class_probabilities.values()) == {0.5}


def test_a_missing_pixel_size_is_never_guessed(four_glands, colour_model):
    with pytest.raises(MissingPixelSizeError, match="--mpp"):
        run(four_glands[0], None, colour_model)
    given = run(slide_from_array(four_glands[0]), None, colour_model, mpp=0.5)
    assert len(given[-1].segmentation.table["label"]) == 4


def test_provenance_says_how_to_repeat_it(four_glands, colour_model):
    provenance = run(four_glands[0], 0.5, colour_model)[-1].segmentation.provenance
    assert json.loads(json.dumps(provenance)) == provenance
    assert provenance["model_sha256"] == colour_model.sha256
    assert provenance["log_vars"] == {"segmentation": -0.25}
    assert (provenance["mpp"], provenance["model_mpp"]) == (0.5, 1.0)


def test_a_shrunken_batch_is_said(four_glands, colour_model, monkeypatch):
    original = Predictor.predict

    def shrinking(self, *arguments):
        for result in original(self, *arguments):
            self.batch_size = 0.5
            yield result

    monkeypatch.setattr(Predictor, "predict", shrinking)
    events = run(four_glands[0], 0.5, colour_model)
    assert any(isinstance(event, Notice) and "memory" in event.text for event in events)


def test_a_region_too_large_for_the_memory_is_refused_before_the_work(colour_model):
    huge = dask.array.zeros((300_000, 300_000, 3), dtype=np.uint8, chunks=(30_000, 30_000, 3))
    with pytest.raises(InvalidInputError, match="smaller region"):
        run(huge, 0.5, colour_model)


@pytest.mark.parametrize("image", [np.zeros((1, 1, 3), np.uint8), np.zeros((60, 400, 3), np.uint8)])
def test_an_image_without_room_for_a_gland_is_refused(image, colour_model):
    with pytest.raises(InvalidInputError, match="too small"):
        run(image, 0.5, colour_model)


@pytest.mark.parametrize(
    "settings",
    [
        {"tile_size": 100},
        {"tile_size": 0},
        {"mpp": -1.0},
        {"mpp": float("nan")},
        {"device": "abacus"},
        {"batch_size": 0},
        {"tiles": 64},
    ],
)
def test_impossible_settings_are_refused(settings):
    SegmentConfig(tile_size=64, mpp=0.5, device="cuda:1", batch_size=1)
    with pytest.raises(ValidationError):
        SegmentConfig(**settings)


def test_an_absent_device_and_an_absent_model_have_their_own_errors(four_glands, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceNotAvailableError):
        run(four_glands[0], 0.5, None, device="cuda")
    with pytest.raises(ModelNotFoundError):
        run(four_glands[0], 0.5, None, model="no-such-model")


def test_the_plain_function_gives_what_the_job_gives(four_glands, colour_model, colour_model_path):
    expected = run(four_glands[0], 0.5, colour_model)[-1].segmentation
    slide = slide_from_array(four_glands[0], mpp=0.5)
    for image, model in (
        (four_glands[0], colour_model_path),
        (dask.array.from_array(four_glands[0]), str(colour_model_path)),
        (slide, colour_model),
    ):
        found = segment(image, model=model, mpp=0.5, **SETTINGS)
        assert found.glands.tolist() == expected.glands.tolist()


def test_uncertainty_lies_where_regions_meet_and_comes_with_the_glands(four_glands, colour_model):
    image, regions, _ = four_glands
    found = run(image, 0.5, colour_model)[-1].segmentation
    assert found.uncertainty.shape == found.regions.shape
    assert found.uncertainty.dtype == np.float32
    assert 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1
    edge = np.zeros(regions.shape, bool)
    edge[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    assert found.uncertainty[edge].mean() > 2 * found.uncertainty[~edge].mean()
    assert np.isfinite(found.table["uncertainty"]).all()


def test_nothing_is_known_where_nothing_was_analysed(tissue, colour_model):
    image, _, _ = tissue(300, 330, 1.0, ((60, 60), (230, 260)))
    stop = StopToken()
    config = SegmentConfig(**SETTINGS, tile_size=64)
    for event in segment_image(slide_from_array(image, mpp=1.0), config, stop, model=colour_model):
        if isinstance(event, TileDone) and event.done == 4:
            stop.stop()
        found = event
    assert not found.segmentation.complete
    unknown = np.isnan(found.segmentation.uncertainty)
    assert np.array_equal(unknown, found.segmentation.regions == 0)
    assert 0 < unknown.mean() < 1


def test_labels_do_not_depend_on_whether_probabilities_are_kept(four_glands, colour_model):
    slide = slide_from_array(four_glands[0], mpp=0.5)
    config = SegmentConfig(**SETTINGS)
    kept = list(segment_image(slide, config, model=colour_model, keep_probabilities=True))[-1]
    plain = list(segment_image(slide, config, model=colour_model))[-1]
    assert plain.probabilities is None
    assert kept.probabilities.shape == (3, *plain.segmentation.regions.shape)
    assert np.array_equal(kept.segmentation.regions, plain.segmentation.regions)
