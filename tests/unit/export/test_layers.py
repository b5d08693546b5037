"""A segmentation survives being layers, with what the user painted in between."""

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.export.layers import (
    gland_table,
    is_uncertainty,
    layers_from_segmentation,
    role_of,
    segmentation_from_layers,
)


def test_layers_are_named_placed_and_carry_their_role(segmentation):
    regions, _, glands = layers_from_segmentation(segmentation, "case")
    assert [layer[1]["name"] for layer in (regions, glands)] == ["case regions", "case glands"]
    assert [role_of(layer[1]) for layer in (regions, glands)] == ["regions", "glands"]
    assert {layer[2] for layer in (regions, glands)} == {"labels"}
    for _, attributes, _ in (regions, glands):
        assert attributes["scale"] == (0.5, 0.5)
        assert attributes["units"] == ("um", "um")
    assert glands[1]["opacity"] < 0.5  # filled: what lies below must show through
    assert glands[1]["features"]["index"].tolist() == [1, 2]
    assert regions[1]["colormap"][3][:3] == pytest.approx((240 / 255, 228 / 255, 66 / 255))


def test_layers_become_the_segmentation_again(segmentation, same):
    layers = layers_from_segmentation(segmentation, "case")
    same(segmentation_from_layers(layers[::-1]), segmentation)


def test_without_glands_the_columns_survive(segmentation, same):
    from dataclasses import replace

    empty = replace(
        segmentation,
        glands=np.zeros_like(segmentation.glands),
        table={name: column[:0] for name, column in segmentation.table.items()},
    )
    same(segmentation_from_layers(layers_from_segmentation(empty, "case")), empty)


def test_erased_glands_leave_the_table_and_violations_are_counted_anew(segmentation):
    regions, _, glands = layers_from_segmentation(segmentation, "case")
    painted = glands[0].copy()
    painted[painted == 1] = 0
    painted[12:14, 40:42] = 0  # a hole in gland 2
    back = segmentation_from_layers([regions, (painted, *glands[1:])])
    assert back.table["label"].tolist() == [2]
    assert back.violations.holes == 1
    assert back.provenance["corrected_by_hand"] is True
    assert "corrected_by_hand" not in segmentation.provenance


def test_both_layers_are_needed_and_must_match(segmentation):
    regions, _, glands = layers_from_segmentation(segmentation, "case")
    with pytest.raises(InvalidInputError, match="Select both"):
        segmentation_from_layers([regions])
    with pytest.raises(InvalidInputError):
        segmentation_from_layers([regions, (glands[0][:-1], *glands[1:])])


def test_rows_that_napari_added_for_other_labels_are_left_out():
    features = {
        "index": np.array([0, 1, 2]),
        "label": np.array([np.nan, 1.0, 2.0]),
        "kind": np.array(["", "round", "folded"], dtype=object),
    }
    table = gland_table(features)
    assert table["label"].tolist() == [1, 2]
    assert table["kind"].tolist() == ["round", "folded"]
    assert gland_table(None) == gland_table({"index": [1]}) == {}


@pytest.mark.parametrize("metadata", [None, {}, {"napari_gland_mtl": None}, {"other": {}}])
def test_other_layers_have_no_role(metadata):
    assert role_of({"metadata": metadata}) is None


def test_the_uncertainty_is_a_hidden_image_between_the_labels(segmentation):
    map_, attributes, kind = layers_from_segmentation(segmentation, "case")[1]
    assert (attributes["name"], kind) == ("case uncertainty", "image")
    assert (attributes["visible"], attributes["contrast_limits"]) == (False, (0.0, 1.0))
    assert (attributes["scale"], attributes["units"]) == ((0.5, 0.5), ("um", "um"))
    assert map_ is segmentation.uncertainty
    assert is_uncertainty(attributes)
    assert role_of(attributes) is None
    assert not is_uncertainty(layers_from_segmentation(segmentation, "case")[0][1])


def test_a_result_of_an_earlier_version_has_no_layer_of_uncertainty(segmentation, same):
    from dataclasses import replace

    earlier = replace(segmentation, uncertainty=None)
    layers = layers_from_segmentation(earlier, "case")
    assert [role_of(layer[1]) for layer in layers] == ["regions", "glands"]
    same(segmentation_from_layers(layers), earlier)


def test_uncertainty_of_another_image_is_refused(segmentation):
    regions, (map_, *rest), glands = layers_from_segmentation(segmentation, "case")
    with pytest.raises(InvalidInputError, match="uncertainty"):
        segmentation_from_layers([regions, (map_[1:], *rest), glands])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda map_: np.full(map_.shape, 200, np.uint8), "uint8 and no uncertainty"),
        (lambda map_: np.full(map_.shape, "x", object), "object and no uncertainty"),
        (lambda map_: map_ * 255, "from 0 to 255"),
        (lambda map_: map_ - 0.5, "from -0.5 to 0.5"),
        (lambda map_: np.where(map_ > 0.5, np.inf, map_), "to inf"),
    ],
    ids=["bytes", "words", "too large", "negative", "infinite"],
)
def test_what_is_no_uncertainty_is_refused_with_the_layer_named(segmentation, change, words):
    regions, (map_, *rest), glands = layers_from_segmentation(segmentation, "case")
    with pytest.raises(InvalidInputError, match=f"“case uncertainty” .*{words}.* again"):
        segmentation_from_layers([regions, (change(map_), *rest), glands])


def test_an_uncertainty_of_other_real_numbers_is_as_good(segmentation):
    """Controls of the test above: both bounds, nothing known at all, and double precision."""
    regions, (map_, *rest), glands = layers_from_segmentation(segmentation, "case")
    for good in (np.zeros_like(map_), np.ones_like(map_), map_ * np.nan, map_.astype(float)):
        found = segmentation_from_layers([regions, (good, *rest), glands]).uncertainty
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, good.astype(np.float32))
