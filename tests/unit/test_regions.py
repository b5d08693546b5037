"""Claims about region hierarchies: codes, assignments, and what is no forest."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy


def hierarchy(parents, **roles):
    regions = tuple(Region(name=name, parent=parent) for name, parent in parents.items())
    return RegionHierarchy(regions=regions, **roles)


DEEP = hierarchy(
    {
        "nerve": "muscle",
        "stroma": None,
        "mucin": "lumen",
        "epithelium": None,
        "lumen": "epithelium",
        "muscle": None,
    }
)


def test_codes_of_the_papers_regions_are_those_of_the_label_images():
    assert [GLAND_REGIONS.code(name) for name in ("stroma", "epithelium", "lumen")] == [1, 2, 3]
    assert GLAND_REGIONS.names == ("stroma", "epithelium", "lumen")
    assert GLAND_REGIONS.assignments.astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_a_region_carries_all_that_contain_it():
    rows = {
        name: {other for other, inside in zip(DEEP.names, row, strict=True) if inside}
        for name, row in zip(DEEP.names, DEEP.assignments, strict=True)
    }
    assert rows == {
        "stroma": {"stroma"},
        "epithelium": {"epithelium"},
        "lumen": {"epithelium", "lumen"},
        "mucin": {"epithelium", "lumen", "mucin"},
        "muscle": {"muscle"},
        "nerve": {"muscle", "nerve"},
    }


def test_a_gland_is_its_region_with_everything_inside():
    labels = np.arange(7).reshape(1, 7)
    inside = {DEEP.names[code - 1] for code in DEEP.gland_codes}
    assert inside == {"epithelium", "lumen", "mucin"}
    assert DEEP.is_gland(labels).tolist() == [[code in DEEP.gland_codes for code in range(7)]]
    assert not DEEP.is_gland(np.zeros((2, 2), dtype=np.uint8)).any()


def test_another_region_can_play_the_gland():
    nerves = hierarchy({"muscle": None, "nerve": "muscle"}, gland="nerve", background="muscle")
    assert nerves.gland_codes == (2,)


def test_assignments_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        GLAND_REGIONS.assignments[0, 0] = False


def test_survives_json():
    assert RegionHierarchy.model_validate_json(DEEP.model_dump_json()) == DEEP
    assert len(DEEP) == 6


@pytest.mark.parametrize(
    ("parents", "roles", "message"),
    [
        ({"stroma": None, "epithelium": None, "lumen": "gland"}, {}, "'gland' of region 'lumen'"),
        ({"stroma": None, "epithelium": "lumen", "lumen": "epithelium"}, {}, "circle"),
        ({"stroma": "stroma", "epithelium": None}, {}, "circle"),
        ({"epithelium": None, "lumen": "epithelium"}, {}, "'stroma' is not among"),
        ({"stroma": None, "lumen": None}, {}, "'epithelium' is not among"),
        ({"stroma": "epithelium", "epithelium": None}, {}, "outside the gland"),
        ({"stroma": None, "epithelium": None}, {"background": "epithelium"}, "outside the gland"),
        ({"epithelium": None}, {"background": "epithelium"}, "at least 2"),
    ],
)
def test_what_is_no_forest_is_refused_with_the_reason(parents, roles, message):
    with pytest.raises(ValidationError, match=message) as caught:
        hierarchy(parents, **roles)
    assert isinstance(caught.value, ValueError)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValidationError, match="differ from each other"):
        RegionHierarchy(regions=(Region(name="stroma"), Region(name="stroma")))


@pytest.mark.parametrize("color", ["red", "#12345", "#gggggg"])
def test_a_colour_is_six_hexadecimal_digits(color):
    with pytest.raises(ValidationError, match="color"):
        Region(name="stroma", color=color)


def test_an_unknown_region_has_no_code_and_the_known_ones_are_named():
    with pytest.raises(InvalidInputError, match=r"'mucin'.*stroma.*epithelium.*lumen"):
        GLAND_REGIONS.code("mucin")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_sound_label_images_pass(dtype):
    GLAND_REGIONS.check_labels(np.arange(4, dtype=dtype).reshape(2, 2))
    GLAND_REGIONS.check_labels(np.zeros((0, 5), dtype=dtype))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((2, 2), 4), "1 stroma, 2 epithelium, 3 lumen; this image holds 4 to 4"),
        (np.full((2, 2), -1), "-1 to -1"),
        (np.zeros((2, 2, 3), dtype=np.uint8), r"shape \(2, 2, 3\)"),
        (np.zeros((2, 2)), "float64"),
        (np.zeros((2, 2), dtype=bool), "bool"),
    ],
)
def test_other_arrays_are_refused_with_what_they_are(labels, message):
    with pytest.raises(InvalidInputError, match=message):
        GLAND_REGIONS.check_labels(labels)


def test_the_default_colours_differ():
    assert len({region.color for region in GLAND_REGIONS.regions}) == len(GLAND_REGIONS)


def test_hierarchies_are_compared_by_their_regions_whatever_was_derived():
    again = RegionHierarchy.model_validate(GLAND_REGIONS.model_dump())
    assert again.assignments.shape == GLAND_REGIONS.assignments.shape
    assert again == GLAND_REGIONS
    assert hash(again) == hash(GLAND_REGIONS)
    other = RegionHierarchy(regions=GLAND_REGIONS.regions, background="stroma", gland="lumen")
    assert other != GLAND_REGIONS
    assert GLAND_REGIONS != "gland regions"
