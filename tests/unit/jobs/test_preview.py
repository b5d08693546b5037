"""Claims about looking at a model while it learns."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.jobs import preview as module
from napari_gland_mtl.jobs.fingerprints import annotation_digest
from napari_gland_mtl.jobs.preview import Preview
from napari_gland_mtl.jobs.segment import segment_image
from napari_gland_mtl.jobs.segment_config import SegmentConfig
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.slides import slide_from_array


@pytest.fixture
def opened(four_glands):
    """Opens the drawn image, which does not know its pixel size."""
    return lambda: slide_from_array(four_glands[0])


def test_it_is_what_segmenting_the_place_gives(opened, colour_model):
    window, preview = (40, 60, 250, 300), Preview()
    preview.set_target(opened, window, mpp=0.5)
    shown = preview.segment(colour_model.network, colour_model.card)
    config = SegmentConfig(mpp=0.5, flips=False, device="cpu")
    *_, done = segment_image(opened(), config, region=window, model=colour_model)
    assert np.array_equal(shown.regions, done.segmentation.regions)
    assert shown.provenance["region"] == list(window)
    assert len(np.unique(shown.glands)) > 1  # control: there is something to see


def test_of_a_large_window_the_middle_is_shown(opened, colour_model, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_PX", 50)
    preview = Preview()
    preview.set_target(opened, (-100, -100, 9000, 9000), mpp=0.5)
    shown = preview.segment(colour_model.network, colour_model.card)
    assert shown.provenance["region"] == [110, 130, 210, 230]  # of 320 x 360 px at half a um


def test_nowhere_to_look_and_a_stop_give_nothing(opened, colour_model):
    preview, stop = Preview(), StopToken()
    ask = (colour_model.network, colour_model.card)
    assert preview.segment(*ask) is None
    preview.set_target(opened, (0, 0, 100, 100), mpp=0.5)
    assert preview.wanted
    stop.stop()
    assert preview.segment(*ask, stop) is None
    preview.clear()
    assert not preview.wanted
    assert preview.segment(*ask) is None


def test_a_fingerprint_changes_with_the_annotation_and_not_with_the_image(four_glands):
    from dataclasses import replace

    from napari_gland_mtl.datasets import Sample

    image, regions, glands = four_glands
    sample = Sample("a", image, regions, glands, 0, None, 0.5)
    first = annotation_digest(sample)
    assert annotation_digest(replace(sample, name="b", image=255 - image)) == first
    other = regions.copy()
    other[0, 0] = 2
    changed = ({"regions": other}, {"instances": None}, {"class_index": 1}, {"mpp": 0.6})
    assert len({annotation_digest(replace(sample, **change)) for change in changed} | {first}) == 5
