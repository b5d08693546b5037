"""What a new area takes over where it lies over others: what was drawn there, not a prediction.

Of one place, two areas should not say two things. The labels of the areas before take the place of
the model's in the new one; a predicted gland that reaches out of them goes on with the gland that
was drawn there, and goes if most of it lies where none was. What is empty in an area that was begun
with nothing says nothing, unless all its glands are outlined: there the prediction stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import GlandMTLError
from ._image_source import Window

if TYPE_CHECKING:
    from ..annotations.area import Area, AreaInfo
    from ..annotations.project import StoredArea

Identity = tuple[Path, str]


def areas_under(
    window: Window, way: str, stored: Iterable[tuple[Path, StoredArea]]
) -> tuple[Identity, ...]:
    """The areas in which a window lies in part, drawn in the same way; the oldest first.

    Parameters
    ----------
    window : Window
        In px of the slide.
    way : {"glands", "regions"}
        What was drawn in another way does not say what is wanted here.
    stored : iterable of (Path, StoredArea)
        Areas of the same slide, each with its project.
    """
    found = [
        (area.info.modified, project, area.key)
        for project, area in stored
        if area.info.way == way and _overlap(area.info.window, window)
    ]
    return tuple((project, key) for _, project, key in sorted(found))


def with_areas_before(area: Area, before: Sequence[Identity]) -> tuple[Area, tuple[str, ...]]:
    """An area with the labels of others where it lies over them, and the names of these."""
    from ..annotations.project import AnnotationProject

    names = []
    for project, key in before:
        try:
            earlier, _ = AnnotationProject(project).load(key)
        except GlandMTLError:  # removed or damaged meanwhile: the list of areas says so
            continue
        area, changed = taken_over(area, earlier)
        if changed:
            names.append(earlier.info.name)
    return area, tuple(names)


def taken_over(area: Area, earlier: Area) -> tuple[Area, bool]:
    """An area with the labels of an earlier one where both lie; whether there was such a place."""
    from ..regions import GLAND_REGIONS

    rows = _pixels_of(area.info, earlier.info, 0, area.glands.shape, earlier.glands.shape)
    columns = _pixels_of(area.info, earlier.info, 1, area.glands.shape, earlier.glands.shape)
    shared = (rows >= 0)[:, None] & (columns >= 0)[None, :]
    if not shared.any():
        return area, False
    there = np.ix_(rows[rows >= 0], columns[columns >= 0])
    drawn, known = earlier.glands[there].ravel(), earlier.regions[there].ravel()
    if not _says_where_none_is(earlier.info):
        said = (drawn > 0) | (known > 0)
        shared[shared] = said
        drawn, known = drawn[said], known[said]
        if not drawn.size:
            return area, False
    if area.info.way == "glands" and not earlier.info.lumen_accepted:
        known = np.where(GLAND_REGIONS.is_gland(known), 0, known)  # proposed, accepted by nobody
    regions = area.regions.copy()
    glands = _joined(area.glands, shared, drawn)
    if area.info.way == "glands":
        regions[(area.glands > 0) & (glands == 0)] = 0
    regions[shared] = known
    return replace(area, glands=glands, regions=regions), True


def _says_where_none_is(info: AreaInfo) -> bool:
    """Whether an empty pixel means that there is nothing, and not that nobody has looked."""
    return info.way != "glands" or info.complete or bool(info.model)


def _joined(
    predicted: npt.NDArray[np.int32], shared: npt.NDArray[np.bool_], drawn: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Drawn glands, given for the pixels that are shared, and predicted ones around them."""
    from ..metrics.components import compact_labels

    before = np.zeros_like(predicted)
    before[shared] = drawn
    # Numbers that no drawn gland has, and no larger ones with every area that lies over others.
    glands = compact_labels(predicted)[0].astype(np.int32)
    glands[predicted > 0] += before.max()
    for number in np.unique(glands[shared & (predicted > 0)]):
        own = glands == number
        met = before[own & shared]
        known = np.bincount(met[met > 0])
        if known.size:
            glands[own] = known.argmax()
        elif 2 * np.count_nonzero(own & shared) > np.count_nonzero(own):
            glands[own] = 0  # most of it was looked at, and it is not there
    glands[shared] = before[shared]
    return glands


def _pixels_of(
    new: AreaInfo, earlier: AreaInfo, axis: int, shape: tuple[int, ...], other: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """For each row or column of a new area that of an earlier one in its place; -1 for none."""
    centres = (np.arange(shape[axis]) + 0.5) * new.mpp + new.window[axis] * new.slide_mpp
    places = np.floor((centres - earlier.window[axis] * earlier.slide_mpp) / earlier.mpp)
    places = places.astype(np.int64)
    places[(places < 0) | (places >= other[axis])] = -1
    return places


def _overlap(one: Window, other: Window) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
