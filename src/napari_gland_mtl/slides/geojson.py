"""Areas that were drawn elsewhere: polygons of a GeoJSON file, as QuPath exports annotations.

GeoJSON gives corners as (x, y); QuPath's are pixels of the full resolution. Polygons may have
holes, which `Areas` does not know: a hole is cut out by going around it the other way, along a
line to it and back, since what is wound around as often left as right lies outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInputError, UnreadableImageError
from .areas import Areas

Ring = npt.NDArray[np.float64]

# What QuPath calls objects that a program has found: no areas to segment.
_FOUND = {"detection", "cell", "tile", "tma_core", "root"}


def read_areas(path: Path | str) -> Areas:
    """Read the polygons of a GeoJSON file.

    Parameters
    ----------
    path : path
        A feature collection, a feature, a list of features or a geometry (RFC 7946), with
        coordinates in px of the slide's full resolution, x before y. Points and lines are left
        out, as are QuPath's detections and cells.

    Returns
    -------
    Areas

    Raises
    ------
    UnreadableImageError
        If there is no such file, or it is no JSON.
    InvalidInputError
        If it holds no polygon, or one that encloses nothing.

    References
    ----------
    RFC 7946, The GeoJSON Format. QuPath: File > Export objects as GeoJSON.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UnreadableImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UnreadableImageError(f"{path} is no GeoJSON: {error}.") from error
    try:
        polygons = [_joined(rings) for rings in _polygons(content)]
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise InvalidInputError(f"{path} is no GeoJSON with polygons in it: {error}.") from error
    if not polygons:
        raise InvalidInputError(
            f"{path} holds no polygon. Draw areas and export them as annotations; points, lines "
            "and detections are none."
        )
    try:
        return Areas(polygons)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _polygons(node: Any) -> Iterator[Any]:
    """The coordinates of all polygons: a list of rings each, the first one the outer."""
    if isinstance(node, list):
        for item in node:
            yield from _polygons(item)
        return
    kind = node.get("type")
    if kind == "FeatureCollection":
        yield from _polygons(node["features"])
    elif kind == "Feature":
        found = str((node.get("properties") or {}).get("objectType", "")).lower() in _FOUND
        if node.get("geometry") and not found:
            yield from _polygons(node["geometry"])
    elif kind == "GeometryCollection":
        yield from _polygons(node["geometries"])
    elif kind == "MultiPolygon":
        yield from node["coordinates"]
    elif kind == "Polygon":
        yield node["coordinates"]


def _joined(rings: Any) -> Ring:
    """One closed line (y, x) around a polygon and the other way around its holes."""
    outer, *holes = [_ring(ring) for ring in rings]
    turn = _signed_area(outer)
    parts = [outer]
    for hole in holes:
        inner = hole if _signed_area(hole) * turn < 0 else hole[::-1]
        # To the hole, around it, and back to where the line left from.
        parts += [outer[:1], inner, inner[:1], outer[:1]]
    return np.concatenate(parts)


def _ring(points: Any) -> Ring:
    ring = np.array([(float(point[1]), float(point[0])) for point in points])
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def _signed_area(ring: Ring) -> float:
    y, x = ring.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)
