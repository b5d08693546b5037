"""Claims about what a segmentation says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from napari_gland_mtl.regions import GLAND_REGIONS
from napari_gland_mtl.segmentation import Segmentation, TopologyViolations, probability_text


def segmentation(gland_pixels: int, analysed: int = 1000) -> Segmentation:
    """A strip of tissue whose first pixels are gland and whose last were not analysed."""
    glands = np.zeros((1, 1200), dtype=np.int32)
    glands[0, :gland_pixels] = 1
    regions = np.where(glands > 0, 2, 1).astype(np.uint8)
    regions[0, analysed:] = 0
    none = TopologyViolations()
    return Segmentation(regions, glands, {}, {}, 0.5, GLAND_REGIONS, none, none)


@pytest.mark.parametrize(("gland_pixels", "supported"), [(0, False), (19, False), (20, True)])
def test_the_class_needs_glands_on_two_percent_of_what_was_analysed(gland_pixels, supported):
    assert segmentation(gland_pixels).class_is_supported is supported
    assert segmentation(gland_pixels).gland_share == pytest.approx(gland_pixels / 1000)


def test_where_nothing_was_analysed_nothing_is_claimed():
    empty = segmentation(0, analysed=0)
    assert empty.gland_share == 0.0
    assert not empty.class_is_supported


def test_a_probability_is_never_a_certainty():
    assert probability_text(0.9999) == "over 0.99"
    assert probability_text(0.0001) == "under 0.01"
    assert probability_text(0.93) == "0.93"
