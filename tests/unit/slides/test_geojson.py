"""Claims about areas from GeoJSON: the pixels that were drawn, holes left out, clear refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.slides.geojson import read_areas

SQUARE = [[2, 1], [12, 1], [12, 7], [2, 7], [2, 1]]
"""x, y: columns 2 to 12, rows 1 to 7."""


@pytest.fixture
def geojson(tmp_path):
    def write(content):
        path = tmp_path / "areas.geojson"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def feature(kind, coordinates, object_type="annotation"):
    return {
        "type": "Feature",
        "id": "a5",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": object_type, "classification": {"name": "Tumor"}},
    }


def mask(areas):
    return areas.window(0, 0, 10, 20, scale=1.0)


def test_corners_are_x_before_y(geojson):
    found = mask(read_areas(geojson({"type": "Polygon", "coordinates": [SQUARE]})))
    expected = np.zeros((10, 20), bool)
    expected[1:7, 2:12] = True
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("wrapped", ["collection", "list", "feature"])
def test_features_come_in_several_wrappings(wrapped, geojson):
    one = feature("Polygon", [SQUARE])
    content = {
        "collection": {"type": "FeatureCollection", "features": [one]},
        "list": [one],
        "feature": one,
    }[wrapped]
    assert mask(read_areas(geojson(content))).sum() == 60


@pytest.mark.parametrize("turned", [False, True])
def test_holes_are_left_out_whichever_way_they_are_drawn(turned, geojson):
    holes = [
        [[4, 2], [6, 2], [6, 5], [4, 5], [4, 2]],
        [[8, 3], [11, 3], [11, 6], [8, 6], [8, 3]],
    ]
    rings = [SQUARE, *(hole[::-1] if turned else hole for hole in holes)]
    found = mask(read_areas(geojson(feature("Polygon", rings))))
    expected = np.zeros((10, 20), bool)
    expected[1:7, 2:12] = True
    expected[2:5, 4:6] = expected[3:6, 8:11] = False
    assert np.array_equal(found, expected)


def test_several_polygons_are_all_taken(geojson):
    other = [[14, 0], [18, 0], [18, 3], [14, 3], [14, 0]]
    multi = feature("MultiPolygon", [[SQUARE], [other]])
    assert mask(read_areas(geojson(multi))).sum() == 60 + 12
    both = {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Polygon", "coordinates": [SQUARE]},
            {"type": "Polygon", "coordinates": [other]},
        ],
    }
    assert mask(read_areas(geojson(both))).sum() == 60 + 12


def test_found_objects_lines_and_points_are_no_areas(geojson):
    content = [
        feature("Polygon", [SQUARE], "detection"),
        feature("LineString", [[0, 0], [5, 5]]),
        feature("Point", [3, 3]),
    ]
    with pytest.raises(InvalidInputError, match="no polygon"):
        read_areas(geojson(content))
    assert mask(read_areas(geojson([*content, feature("Polygon", [SQUARE])]))).sum() == 60


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("{", UnreadableImageError, "no GeoJSON"),
        ("[]", InvalidInputError, "no polygon"),
        ('{"type": "FeatureCollection"}', InvalidInputError, "no GeoJSON"),
        ('{"type": "Polygon", "coordinates": [[1, 2]]}', InvalidInputError, "no GeoJSON"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [5, 5]]]}', InvalidInputError, "no area"),
        ("7", InvalidInputError, "no GeoJSON"),
    ],
)
def test_other_files_are_refused_in_words(content, error, words, geojson):
    with pytest.raises(error, match=words) as caught:
        read_areas(geojson(content))
    assert "areas.geojson" in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"nothing\.geojson"):
        read_areas(tmp_path / "nothing.geojson")
