"""What “Fine-tune” says and decides without a window: parts, measures, changes, lines."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.widgets._finetune_panel import losses_html
from napari_gland_mtl.widgets._finetune_parts import Candidate, planned_parts
from napari_gland_mtl.widgets._finetune_result import table_html
from napari_gland_mtl.widgets._finetune_table import pixels_text
from napari_gland_mtl.widgets._measure_text import change, measures_line, verdict

areas = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["auto", "training", "validation"])),
    max_size=12,
).map(lambda found: [Candidate(i, group, part) for i, (group, part) in enumerate(found)])  # type: ignore[arg-type]


@given(areas)
def test_what_the_user_has_set_stays_and_something_is_left_to_learn_from(
    candidates: list[Candidate],
) -> None:
    plan = planned_parts(candidates)
    assert set(plan) == {area.key for area in candidates}
    for area in candidates:
        assert area.part in ("auto", plan[area.key])
    if any(area.part != "validation" for area in candidates):
        assert "training" in plan.values()


@pytest.mark.parametrize(("count", "measured"), [(1, 0), (2, 0), (3, 1), (10, 2)])
def test_areas_of_one_slide_are_divided_only_where_there_are_enough(
    count: int, measured: int
) -> None:
    plan = planned_parts([Candidate(i, "a", "auto") for i in range(count)])
    assert list(plan.values()).count("validation") == measured


def test_whole_slides_measure_where_there_are_enough() -> None:
    slides = "aabbccddee"
    plan = planned_parts([Candidate(i, slide, "auto") for i, slide in enumerate(slides)])
    measured = [slides[i] for i in range(len(slides)) if plan[i] == "validation"]
    assert len(measured) == 2
    assert len(set(measured)) == 1


def test_no_class_is_kept_apart_as_a_whole() -> None:
    areas = [Candidate(i, "a", "auto", "benign") for i in range(4)]
    areas += [Candidate(9, "b", "auto", "malignant")]
    assert planned_parts(areas)[9] == "training"
    # The control: of one class, the smaller slide is what is kept apart.
    alike = [Candidate(area.key, area.group, area.part, "benign") for area in areas]
    assert planned_parts(alike)[9] == "validation"


def test_the_dock_divides_as_the_command_line_does() -> None:
    from napari_gland_mtl.datasets import Dataset, Record
    from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
    from napari_gland_mtl.jobs.finetune_parts import divided

    slides = "aaabbccdddee"
    records = [Record(f"{s}/{i}", -1, s, 0.5, lambda: None) for i, s in enumerate(slides)]  # type: ignore[arg-type, return-value]
    _, validation, _ = divided(Dataset(tuple(records), ()), FinetuneConfig())
    plan = planned_parts([Candidate(r.name, r.patient or "", "auto") for r in records])
    assert {key for key, part in plan.items() if part == "validation"} == set(validation.names)


def test_lower_is_better_where_it_is_and_small_changes_are_none() -> None:
    assert change("object_dice", 0.70, 0.75) == 1
    assert change("object_dice", 0.75, 0.70) == -1
    assert change("object_hausdorff_um", 40.0, 30.0) == 1
    assert change("topology_violations_raw", 3, 9) == -1
    assert change("object_dice", 0.700, 0.703) == 0
    assert change("object_dice", math.nan, 0.7) == change("no such measure", 1, 2) == 0


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"score": 0.5}, {"score": 0.8}, "is better than the start model: overall 0.50 → 0.80"),
        ({"score": 0.8}, {"score": 0.5}, "is worse than the start model: overall 0.80 → 0.50"),
        ({"score": 0.8}, {"score": 0.8}, "about as good"),
        ({}, {"object_dice": 0.8}, "reaches Object Dice 0.80"),
        ({"score": 0.8}, {}, "no validation areas"),
    ],
)
def test_the_verdict_says_it_also_when_it_got_worse(
    before: dict[str, float], after: dict[str, float], words: str
) -> None:
    assert words in verdict(before, after)


def test_the_table_has_a_row_for_each_measure_there_is() -> None:
    table = table_html({"object_dice": 0.5}, {"object_dice": 0.75, "pixel_accuracy": 0.9})
    assert table.count("<tr>") == 3
    assert "better" in table
    assert table_html({}, {}) == ""


def test_lines_of_a_running_training() -> None:
    line = measures_line({"object_dice": 0.812}, {"object_dice": 0.5})
    assert line == "Object Dice 0.81 (start 0.50)"
    html = losses_html({"topology": 0.1234})
    assert "Topology&nbsp;0.123" in html
    assert "#d55e00" in html


def test_pixels_are_short() -> None:
    assert [pixels_text(n) for n in (950, 26_300, 1_240_000)] == ["950", "26 k", "1.2 M"]


def test_the_dock_loads_nothing_heavy_before_it_trains() -> None:
    script = """
import sys
import napari_gland_mtl.widgets.finetune
heavy = {"torch", "zarr", "matplotlib", "safetensors"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
