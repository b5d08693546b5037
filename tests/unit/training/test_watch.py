"""Claims about the collapse watch: it speaks when it should, once, and in words."""

from __future__ import annotations

import pytest
import torch

from napari_gland_mtl.losses import FixedWeighting, UncertaintyWeighting
from napari_gland_mtl.training.watch import CollapseWatch

NAMES = ("segmentation", "geometry")


def weighting(segmentation=0.0, geometry=0.0):
    made = UncertaintyWeighting(NAMES, minimum=-1.5, maximum=3.0)
    with torch.no_grad():
        made.log_var.copy_(torch.tensor([segmentation, geometry]))
    return made


@pytest.mark.parametrize("kind", [weighting(), FixedWeighting(dict.fromkeys(NAMES, 1.0))])
def test_a_constant_prediction_is_said_once(kind):
    watch = CollapseWatch()
    (text,) = watch.notices({"largest_region_share": 1.0}, kind)
    assert "collapsed" in text
    assert "100.0%" in text
    assert watch.notices({"largest_region_share": 0.999}, kind) == []


def test_a_sound_training_is_left_in_peace():
    watch = CollapseWatch()
    assert watch.notices({"largest_region_share": 0.8}, weighting(-1.2, 2.5)) == []
    assert watch.notices({}, weighting()) == []


def test_a_weight_at_its_upper_bound_is_named_with_its_value():
    (text,) = CollapseWatch().notices({}, weighting(geometry=-1.5))
    assert "geometry" in text
    assert "bound 4.48" in text
    assert "segmentation" not in text


def test_a_weight_at_its_lower_bound_hardly_counts():
    (text,) = CollapseWatch().notices({}, weighting(segmentation=3.0))
    assert "segmentation" in text
    assert "0.050" in text


def test_new_trouble_is_said_although_old_trouble_goes_on():
    watch = CollapseWatch()
    assert len(watch.notices({}, weighting(geometry=-1.5))) == 1
    texts = watch.notices({"largest_region_share": 1.0}, weighting(-1.5, -1.5))
    assert len(texts) == 2
    assert not any("geometry loss has reached" in text for text in texts)
    assert watch.notices({"largest_region_share": 1.0}, weighting(-1.5, -1.5)) == []


def test_what_was_said_before_is_not_said_again():
    first = CollapseWatch()
    first.notices({"largest_region_share": 1.0}, weighting(geometry=-1.5))
    assert first.said == ["bound geometry", "constant"]
    second = CollapseWatch(first.said)
    (text,) = second.notices({"largest_region_share": 1.0}, weighting(3.0, -1.5))
    assert "segmentation" in text


def test_zero_is_no_bound_to_be_warned_of():
    """With a bound at 0 the weight is 1 there: nothing drowns and nothing vanishes."""
    made = UncertaintyWeighting(NAMES, minimum=0.0, maximum=3.0)
    assert CollapseWatch().notices({}, made) == []
