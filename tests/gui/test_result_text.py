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
    gland_sentence,
    topology_sentence,
)


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
