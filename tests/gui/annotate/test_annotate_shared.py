"""What a new area takes over from one that it lies over, without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.annotations import Area, AreaInfo
from napari_gland_mtl.widgets._annotate_shared import taken_over


def area(window: tuple[int, int, int, int], mpp: float = 1.0, **changed: Any) -> Area:
    """An area of a slide of 1 um per px on which nothing is drawn."""
    shape = tuple(round((window[i + 2] - window[i]) / mpp) for i in (0, 1))
    info = AreaInfo(
        name="one",
        slide="slide",
        slide_mpp=1.0,
        slide_shape=(200, 200),
        window=window,
        mpp=mpp,
        lumen_accepted=True,
        **changed,
    )
    image = np.zeros((*shape, 3), np.uint8)
    return Area(info, image, np.zeros(shape, np.int32), np.zeros(shape, np.uint8))


@pytest.fixture
def earlier() -> Area:
    return area((0, 0, 100, 100), complete=True)


@pytest.fixture
def new() -> Area:
    return area((0, 50, 100, 150))


def draw(given: Area, rows: slice, columns: slice, number: int, region: int = 2) -> None:
    given.glands[rows, columns] = number
    given.regions[rows, columns] = region if number else 0


def test_a_gland_that_reaches_out_goes_on_with_what_was_drawn(earlier: Area, new: Area) -> None:
    draw(earlier, slice(10, 30), slice(80, 100), 7)
    draw(new, slice(12, 32), slice(32, 60), 1)
    found, shared = taken_over(new, earlier)
    assert shared
    np.testing.assert_array_equal(found.glands[:, :50], earlier.glands[:, 50:])
    assert set(np.unique(found.glands[12:32, 50:60])) == {7}
    np.testing.assert_array_equal(found.regions[:, :50], earlier.regions[:, 50:])
    assert (found.regions[12:32, 50:60] == 2).all()


def test_a_predicted_gland_goes_where_most_of_it_was_looked_at_and_none_was_drawn(
    earlier: Area, new: Area
) -> None:
    draw(earlier, slice(80, 90), slice(60, 70), 7)
    draw(new, slice(10, 30), slice(30, 55), 1)  # most of it lies in the earlier one
    draw(new, slice(40, 60), slice(45, 70), 20)  # most of it lies beside
    found, _ = taken_over(new, earlier)
    assert not found.glands[10:30].any()
    assert not found.regions[10:30].any()
    assert not found.glands[40:60, :50].any()
    assert (found.glands[40:60, 50:70] > 0).all()
    assert 7 not in np.unique(found.glands[40:60])
    assert found.glands.max() < 10  # numbers do not grow with every area that lies over others


def test_where_nobody_has_looked_a_predicted_gland_stays(new: Area) -> None:
    draw(new, slice(10, 30), slice(30, 55), 1)
    begun_with_nothing = area((0, 0, 100, 100))
    draw(begun_with_nothing, slice(60, 80), slice(60, 80), 7)
    found, shared = taken_over(new, begun_with_nothing)
    assert shared
    assert (found.glands[10:30, 30:55] > 0).all()
    assert (found.regions[10:30, 30:55] == 2).all()
    assert (found.glands[60:80, 10:30] == 7).all()
    # The same from an area that was begun with a prediction: there somebody has looked.
    looked_at = area((0, 0, 100, 100), model="glas")
    assert not taken_over(new, looked_at)[0].glands[10:30, 30:50].any()
    assert taken_over(new, area((0, 0, 100, 100))) == (new, False)


def test_a_lumen_that_nobody_accepted_is_not_taken_over(earlier: Area, new: Area) -> None:
    draw(earlier, slice(10, 30), slice(60, 80), 1, region=3)
    open_lumen = Area(
        earlier.info.model_copy(update={"lumen_accepted": False}),
        earlier.image,
        earlier.glands,
        earlier.regions,
    )
    found, _ = taken_over(new, open_lumen)
    assert (found.glands[10:30, 10:30] > 0).all()
    assert not found.regions[10:30, 10:30].any()
    assert (taken_over(new, earlier)[0].regions[10:30, 10:30] == 3).all()


def test_an_area_at_another_scale_is_taken_over_in_place(new: Area) -> None:
    fine = area((0, 0, 100, 100), mpp=0.5)
    draw(fine, slice(20, 60), slice(120, 160), 3)
    found, _ = taken_over(new, fine)
    expected = np.zeros_like(new.glands)
    expected[10:30, 10:30] = 3
    np.testing.assert_array_equal(found.glands, expected)


def test_beside_it_nothing_is_changed(new: Area) -> None:
    draw(new, slice(10, 30), slice(30, 55), 1)
    found, shared = taken_over(new, area((100, 0, 200, 50)))
    assert not shared
    assert found is new
