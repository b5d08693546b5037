"""The words about a result claim no more than the network knows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_gland_mtl.segmentation import TopologyViolations
from napari_gland_mtl.widgets._layer_styles import gland_colors, rgba
from napari_gland_mtl.widgets._result_text import (
    class_sentence,
    duration_text,
    failed_tiles_sentence,
    gland_sentence,
    slide_area_sentence,
    slide_class_rows,
    slide_part_sentence,
    slide_trouble_sentence,
    topology_sentence,
)

SUMMARY = {
    "glands_by_class": {"benign": 1200, "malignant": 0},
    "gland_area_um2": 3e6,
    "gland_area_um2_by_class": {"benign": 3e6, "malignant": 0.0},
    "analysed_area_um2": 12e6,
    "tiles": 40,
    "tiles_done": 40,
    "tiles_failed": 0,
    "cut_glands": 0,
}


def test_a_toss_up_is_called_undecided() -> None:
    assert class_sentence({"benign": 0.07, "malignant": 0.93}).startswith("Looks malignant")
    assert class_sentence({"benign": 0.45, "malignant": 0.55}).startswith("Undecided")


def test_glands_cut_by_the_border_do_not_count_for_the_median_area() -> None:
    table = {
        "label": np.array([1, 2, 3]),
        "area_um2": np.array([100.0, 4000.0, 6000.0]),
        "touches_border": np.array([True, False, False]),
    }
    text = gland_sentence(SimpleNamespace(table=table))
    assert text == "3 glands, 2 of them not cut by the border, median area 5,000 µm²."
    table["touches_border"][:] = False
    assert "border" not in gland_sentence(SimpleNamespace(table=table))


def test_without_glands_no_class_is_claimed() -> None:
    probabilities = {"benign": 0.01, "malignant": 0.99}
    assert class_sentence(probabilities, supported=True).startswith("Looks malignant")
    assert "Too little gland tissue" in class_sentence(probabilities, supported=False)


@pytest.mark.parametrize(
    ("raw", "now", "words"),
    [(0, 0, "No place"), (12, 0, "none after repair"), (3, 2, "2 do now"), (0, 4, "4 places")],
)
def test_violations_are_told_before_and_after_repair(raw: int, now: int, words: str) -> None:
    assert words in topology_sentence(TopologyViolations(raw), TopologyViolations(holes=now))


def test_glands_of_different_class_have_different_colours() -> None:
    table = {
        "label": np.array([1, 2, 3]),
        "benign_probability": np.array([0.9, 0.2, np.nan]),
        "malignant_probability": np.array([0.1, 0.8, np.nan]),
    }
    colors = gland_colors(table, ("benign", "malignant"))
    assert len({colors[1], colors[2], colors[3]}) == 3
    assert colors[3] == colors[None] == rgba("#ffffff")
    assert colors[0][3] == 0


def test_durations_are_rounded_as_people_say_them() -> None:
    assert [duration_text(s) for s in (0.2, 44, 130, 4300)] == [
        "1 s",
        "44 s",
        "2 min",
        "1 h 12 min",
    ]


def test_the_areas_of_a_slide_are_in_square_millimetres() -> None:
    assert "12.00 mm²" in slide_area_sentence(SUMMARY)
    assert "3.00 mm² (25%)" in slide_area_sentence(SUMMARY)
    assert slide_class_rows(SUMMARY) == {"benign": "1,200; 3.00 mm²", "malignant": "0"}
    assert "0 µm²" in slide_area_sentence({**SUMMARY, "analysed_area_um2": 0.0})


def test_a_slide_without_trouble_has_none_to_tell() -> None:
    assert slide_trouble_sentence(SUMMARY) == slide_part_sentence(SUMMARY) == ""


def test_what_could_not_be_done_on_a_slide_is_told() -> None:
    found = {**SUMMARY, "tiles_done": 37, "tiles_failed": 3, "cut_glands": 1}
    assert "3 tiles of 40" in slide_trouble_sentence(found)
    assert "1 gland was too large" in slide_trouble_sentence(found)
    assert slide_part_sentence(found) == ""
    assert "30 of 40" in slide_part_sentence({**found, "tiles_done": 27})


def test_failed_tiles_are_listed_up_to_a_few() -> None:
    tile = ((0, 512, 512, 1024), "the file is damaged")
    assert failed_tiles_sentence([tile]).startswith("1 tile could not be read")
    many = failed_tiles_sentence([tile] * 5)
    assert many.count("the file is damaged") == 3
    assert "and 2 more" in many
