"""Levels whose sizes were rounded still map onto the same places of the slide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_gland_mtl.slides.levels import level_downsamples, make_levels


@given(
    st.sampled_from([1, 2, 3, 4, 5, 6, 8, 16, 32, 64]),
    st.integers(2000, 90000),
    st.integers(2000, 90000),
    st.booleans(),
)
def test_halving_rounded_up_or_down_is_told_from_the_sizes(factor, height, width, up):
    size = tuple(-(-side // factor) if up else side // factor for side in (height, width))
    y, x = level_downsamples((height, width), size)
    assert y == x == factor


@pytest.mark.parametrize(
    ("full", "level", "expected"),
    [
        ((802, 100_000), (200, 25_000), (4.0, 4.0)),
        ((1001, 1001), (500, 501), (2.0, 2.0)),
        ((1000, 1000), (400, 400), (2.5, 2.5)),
        ((3000, 9000), (1000, 4500), (3.0, 2.0)),
        ((5, 40_000), (1, 10_000), (4.0, 4.0)),
    ],
)
def test_each_axis_has_its_own_factor(full, level, expected):
    assert level_downsamples(full, level) == pytest.approx(expected)


def test_the_far_end_of_a_level_is_the_far_end_of_the_slide():
    full, level = (802, 99_999), (321, 40_000)
    y, x = level_downsamples(full, level)
    assert (level[0] * y, level[1] * x) == pytest.approx(full)


def test_what_the_file_says_goes_before_the_sizes():
    levels = make_levels([(100, 100), (51, 52)], 0.5, [1.0, 2.0])
    assert levels[1].downsamples == (2.0, 2.0)
    assert levels[1].mpp == 1.0
