"""Areas: pixels whose centre lies inside, the same on every grid and in every window."""

import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.slides.areas import Areas, ellipse_outline

SQUARE = [(2, 3), (2, 9), (8, 9), (8, 3)]
STAR = [(0, 10), (19, 16), (7, 0), (7, 20), (19, 4)]  # crosses itself five times

quarters = st.integers(-20, 120).map(lambda value: value / 4)
polygons = st.lists(st.tuples(quarters, quarters), min_size=3, max_size=8)
scales = st.sampled_from([0.5, 1.0, 1.25, 2.0, 3.7, 16.0])


def make(shapes):
    try:
        return Areas(shapes)
    except InvalidInputError:  # all on one line
        assume(False)


def winding(polygon, y, x):
    """How often a polygon goes around a point, in whole numbers only."""
    y, x = Fraction(y), Fraction(x)
    turns = 0
    for (ya, xa), (yb, xb) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        ya, xa, yb, xb = map(Fraction, (ya, xa, yb, xb))
        if (ya <= y) != (yb <= y):
            at = xa + (y - ya) * (xb - xa) / (yb - ya)
            turns += (1 if ya < yb else -1) * (at <= x)
    return turns


@given(shapes=st.lists(polygons, min_size=1, max_size=3), scale=st.sampled_from([0.5, 1.0, 2.0]))
def test_a_pixel_belongs_if_its_centre_lies_inside(shapes, scale):
    mask = make(shapes).window(0, 0, 12, 14, scale)
    for row, column in np.ndindex(mask.shape):
        centre = ((row + 0.5) * scale, (column + 0.5) * scale)
        assert mask[row, column] == any(winding(shape, *centre) != 0 for shape in shapes)


@given(
    shapes=st.lists(polygons, min_size=1, max_size=3),
    scale=scales,
    window=st.tuples(*[st.integers(-3, 40)] * 2, *[st.integers(0, 20)] * 2),
)
def test_windows_agree_with_the_whole(shapes, scale, window):
    areas = make(shapes)
    y0, x0, height, width = window
    whole = areas.window(-3, -3, 60, 60, scale)
    part = areas.window(y0, x0, y0 + height, x0 + width, scale)
    assert np.array_equal(part, whole[y0 + 3 : y0 + 3 + height, x0 + 3 : x0 + 3 + width])


@given(
    shapes=st.lists(polygons, min_size=1, max_size=3),
    window=st.tuples(*[st.integers(-5, 35)] * 2, *[st.integers(1, 12)] * 2),
    scale=scales,
)
def test_no_window_with_a_pixel_is_passed_over(shapes, window, scale):
    areas = make(shapes)
    y0, x0, height, width = window
    box = (y0, x0, y0 + height, x0 + width)
    if areas.window(*box, scale).any():
        assert areas.any_in(*(value * scale for value in box))


@pytest.mark.parametrize(
    ("window", "meets"),
    [
        ((0, 0, 2, 20), False),  # ends where the square begins
        ((0, 0, 2.1, 20), True),
        ((8, 0, 12, 20), False),  # begins where it ends
        ((4, 4, 5, 5), True),  # all inside, no edge near
        ((0, 0, 20, 20), True),  # all around it
        ((0, 8.5, 20, 30), True),
        ((0, 9, 20, 30), False),
        ((5, 5, 5, 9), False),  # no area
    ],
)
def test_a_window_meets_a_shape_where_they_share_area(window, meets):
    assert Areas([SQUARE]).any_in(*window) is meets


def test_a_window_in_the_bay_of_a_shape_does_not_meet_it():
    bay = Areas([[(0, 0), (0, 30), (30, 30), (30, 20), (10, 20), (10, 10), (30, 10), (30, 0)]])
    assert not bay.any_in(12, 12, 28, 18)
    assert bay.any_in(8, 12, 28, 18)
    assert not Areas([SQUARE]).any_in(100, 100, 110, 110)


def test_a_window_that_touches_a_shape_with_its_corner_does_not_meet_it():
    triangle = Areas([[(0, 0), (0, 10), (10, 0)]])
    assert not triangle.any_in(5, 5, 9, 9)
    assert triangle.any_in(4.9, 4.9, 9, 9)


def test_shapes_side_by_side_share_no_pixel_and_leave_none():
    upper, lower = [(0, 0), (0, 10), (10, 0)], [(0, 10), (10, 10), (10, 0)]
    first, second = (Areas([shape]).window(0, 0, 10, 10, 1.0) for shape in (upper, lower))
    assert not (first & second).any()
    assert (first | second).all()


def test_overlapping_shapes_count_once():
    moved = [(y + 3, x + 3) for y, x in SQUARE]
    one, other, both = (
        Areas(shapes).window(0, 0, 14, 14, 1.0) for shapes in ([SQUARE], [moved], [SQUARE, moved])
    )
    assert (one & other).any()
    assert np.array_equal(both, one | other)


def test_a_line_that_crosses_itself_leaves_no_hole():
    star = Areas([STAR]).window(0, 0, 20, 20, 1.0)
    assert star[10, 10], "the middle of a star is wound around twice"
    assert not star[1, 1]
    back = Areas([STAR[::-1]]).window(0, 0, 20, 20, 1.0)
    assert np.array_equal(star, back)


def test_a_rectangle_on_another_grid_covers_its_pixels():
    areas = Areas.from_rectangle(10, 20, 30, 60)
    assert areas.bounds == (10, 20, 30, 60)
    mask = areas.window(0, 0, 10, 20, 4.0)
    assert np.array_equal(
        np.argwhere(mask)[[0, -1]], [[2, 5], [6, 14]]
    )  # centres 10 .. 26, 22 .. 58
    assert mask.sum() == 5 * 10


def test_an_ellipse_has_its_area():
    corners = np.array([(10, 10), (10, 90), (50, 90), (50, 10)])
    outline = ellipse_outline(corners)
    filled = Areas([outline]).window(0, 0, 60, 100, 1.0)
    assert filled.sum() == pytest.approx(np.pi * 20 * 40, rel=0.01)
    assert filled[30, 11]
    assert not filled[11, 11]
    assert outline.min(axis=0) == pytest.approx([10, 10])
    with pytest.raises(InvalidInputError, match="4 corners"):
        ellipse_outline(corners[:3])


def test_areas_survive_json_and_pickling():
    areas = Areas([SQUARE, STAR])
    for copy in (
        Areas.from_lists(json.loads(json.dumps(areas.to_lists()))),
        pickle.loads(pickle.dumps(areas)),  # noqa: S301 - our own bytes
    ):
        assert copy.to_lists() == areas.to_lists()
        assert np.array_equal(copy.window(0, 0, 20, 20, 0.7), areas.window(0, 0, 20, 20, 0.7))
    assert areas.to_lists()[0][1] == [2.0, 9.0]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([], "no shape"),
        ([SQUARE, SQUARE[:2]], "Shape 2 is no area"),
        ([[(1, 2, 3)] * 4], "three or more corners"),
        ([["a", "b", "c"]], "Shape 1 is no area"),
        ([[(0, 0), (1, 1), (2, float("nan"))]], "not a finite number"),
        ([[(0, 0), (1, 1), (2, 2), (5, 5)]], "lie on one line"),
        ([[(3, 3)] * 5], "lie on one line"),
    ],
)
def test_what_encloses_nothing_is_refused(shapes, message):
    with pytest.raises(InvalidInputError, match=message):
        Areas(shapes)


@pytest.mark.parametrize("lists", [{"y": 1}, "shapes", 3, None])
def test_json_of_something_else_is_refused(lists):
    with pytest.raises(InvalidInputError, match="list of shapes"):
        Areas.from_lists(lists)


def test_a_shape_outside_the_slide_is_refused():
    areas = Areas([SQUARE, [(50, 50), (50, 70), (70, 70)]])
    areas.check_inside(100, 100)
    areas.check_inside(60, 60)  # reaches over the edge
    for size in ((40, 100), (100, 40), (50, 100)):
        with pytest.raises(InvalidInputError, match=r"Shape 2 .* outside the slide"):
            areas.check_inside(*size)


def test_a_grid_without_size_is_refused():
    with pytest.raises(InvalidInputError, match="above 0"):
        Areas([SQUARE]).window(0, 0, 5, 5, 0.0)
    assert Areas([SQUARE]).window(5, 5, 5, 9, 1.0).shape == (0, 4)


def test_a_long_drawn_line_is_quick_and_exact():
    angle = np.linspace(0, 2 * np.pi, 20_001)[:-1]
    circle = Areas([np.stack([500 + 400 * np.sin(angle), 500 + 400 * np.cos(angle)], axis=1)])
    mask = circle.window(0, 0, 1000, 1000, 1.0)
    y, x = np.mgrid[:1000, :1000] + 0.5
    distance = np.hypot(y - 500, x - 500)
    assert mask[distance < 399.99].all()
    assert not mask[distance > 400].any()
