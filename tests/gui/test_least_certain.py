"""Which gland is annotated next, and where: from a table, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.widgets._least_certain import ResultTable, UncertainGland, least_certain

SHAPE = (4000, 6000)


def table(uncertainty: list[float], places_um: list[tuple[float, float]]) -> dict[str, Any]:
    y, x = np.array(places_um, float).T
    count = len(uncertainty)
    return {
        "label": np.arange(1, count + 1),
        "y_um": y,
        "x_um": x,
        "area_um2": np.full(count, np.pi * 20**2),
        "uncertainty": np.array(uncertainty),
    }


def found(given: dict[str, Any], annotated: Any = (), **changed: Any) -> UncertainGland | None:
    sizes = {"mpp": 1.0, "slide_mpp": 0.5, "model_mpp": 1.0, "shape": SHAPE, **changed}
    return least_certain(given, annotated=annotated, **sizes)


def test_the_least_certain_gland_has_its_area_around_it_in_px_of_the_slide() -> None:
    given = table([0.1, 0.7, 0.3], [(500, 500), (1000, 2000), (1500, 500)])
    gland = found(given)
    assert gland is not None
    assert (gland.label, gland.uncertainty, gland.left) == (2, 0.7, 2)
    # 256 px of 1 um are 512 px of the slide; the label's first pixel is centred half a um in.
    assert gland.window == (2001 - 256, 4001 - 256, 2001 + 256, 4001 + 256)


def test_glands_in_annotated_areas_are_passed_over_and_those_beside_them_are_not() -> None:
    given = table([0.9, 0.8, 0.2], [(500, 500), (500, 900), (1500, 500)])
    gland = found(given, [(900, 900, 1100, 1100)])
    assert gland is not None
    assert (gland.label, gland.left) == (2, 1)
    everywhere = found(given, [(0, 0, *SHAPE)])
    assert everywhere is None


def test_what_comes_into_the_new_area_is_not_left() -> None:
    gland = found(table([0.9, 0.8, 0.2], [(500, 500), (500, 520), (1500, 500)]))
    assert gland is not None
    assert gland.left == 1


def test_an_area_at_the_edge_is_moved_into_the_image_and_not_cut() -> None:
    gland = found(table([0.9], [(3, 2995)]))
    assert gland is not None
    assert gland.window == (0, 6000 - 512, 512, 6000)
    small = found(table([0.9], [(3, 30)]), shape=(200, 300))
    assert small is not None
    assert small.window == (0, 0, 200, 300)


def test_an_area_moves_aside_from_those_that_are_there_as_far_as_its_gland_stays_inside() -> None:
    given = table([0.9], [(500, 500)])
    # Centred it would be (745..1257)²; the gland has a radius of 40 px and stays 60 px inside.
    beside = found(given, [(700, 400, 1300, 800)])
    assert beside is not None
    assert beside.window == (745, 800, 745 + 512, 800 + 512)
    corner = found(given, [(700, 400, 1300, 800), (400, 700, 800, 1300)])
    assert corner is not None
    assert corner.window == (745 + 55, 800, 745 + 55 + 512, 800 + 512)
    near = found(given, [(700, 400, 1300, 990)])
    assert near is not None
    # It covers the least where the gland has 60 px around it, not more.
    assert near.window == (941, 941, 941 + 512, 941 + 512)


def test_of_two_places_that_cover_as_little_the_nearer_one_is_taken() -> None:
    given = table([0.9], [(500, 500)])
    between = found(given, [(0, 0, 4000, 790), (0, 1240, 4000, 6000)])
    assert between is not None
    y0, x0, y1, x1 = between.window
    assert (y0, y1) == (745, 745 + 512)
    assert x0 <= 790 <= x1
    assert x1 >= 1240


def test_a_large_gland_has_a_large_area() -> None:
    given = table([0.9], [(1000, 1500)])
    given["area_um2"] = np.array([np.pi * 300**2])
    gland = found(given)
    assert gland is not None
    y0, x0, y1, x1 = gland.window
    assert (y1 - y0, x1 - x0) == (2400, 2400)  # twice its diameter of 600 um


def test_a_gland_of_unknown_uncertainty_is_never_the_next() -> None:
    given = table([np.nan, 0.0], [(500, 500), (1500, 500)])
    gland = found(given)
    assert gland is not None
    assert (gland.label, gland.left) == (2, 0)
    assert found(table([np.nan], [(1, 1)])) is None
    assert found({}) is None


def test_a_table_of_an_earlier_version_is_refused_in_words() -> None:
    given = table([0.1], [(1, 1)])
    del given["uncertainty"]
    with pytest.raises(InvalidInputError, match="earlier version"):
        ResultTable(1.0, "", given).read()
    assert ResultTable(1.0, "", {}).read() == {}


def test_the_table_of_a_slide_is_read_from_its_store(tmp_path: Path, monkeypatch: Any) -> None:
    given = table([0.1], [(1, 1)])

    class Store:
        @staticmethod
        def open(path: Path) -> Any:
            assert path == tmp_path
            return type("Opened", (), {"read_table": lambda self: given})()

    monkeypatch.setattr("napari_gland_mtl.export.slide_store.SlideStore", Store)
    assert ResultTable(1.0, "", None, tmp_path).read() is given
