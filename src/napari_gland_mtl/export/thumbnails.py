"""A small picture of a segmented slide: its overview with the glands washed over it.

Everything comes from the store's lower levels, found by the scale and translation that every
NGFF image carries, so that a slide of any size costs the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import UnreadableImageError
from ..segmentation import CLASS_COLORS, GlandTable
from ..storage.atomic import new_file

if TYPE_CHECKING:
    import zarr

THUMBNAIL_SIDE = 512
"""Px of a picture's longer side."""
OPACITY = 0.5
UNKNOWN_CLASS_COLOR = "#f0e442"

UInt8Array = npt.NDArray[np.uint8]


def write_thumbnail(
    path: Path, store: Path, parts: Iterable[GlandTable], classes: tuple[str, ...]
) -> None:
    """Draw a segmented slide and save it as a JPEG; one that is there is replaced.

    Parameters
    ----------
    path : Path
    store : Path
        An OME-Zarr with an image and ``labels/glands``.
    parts : iterable of dict of str to ndarray
        Its table of glands, in parts: ``label`` and, for their colours, ``<class>_probability``.
    classes : tuple of str
        In the model's order.

    Raises
    ------
    UnreadableImageError
        If there is no such store or it is damaged.
    OutputNotWritableError
    """
    from PIL import Image

    try:
        picture = thumbnail(store, gland_colors(parts, classes))
    except (KeyError, LookupError, ValueError) as error:
        raise UnreadableImageError(
            f"{store} is damaged: {error}. Segment the slide again."
        ) from error
    with new_file(path, overwrite=True) as partial:
        Image.fromarray(picture).save(partial, format="JPEG", quality=85)


def thumbnail(store: Path, colors: UInt8Array, side: int = THUMBNAIL_SIDE) -> UInt8Array:
    """The overview of a store, `side` px at its longer side, with its glands in their colours.

    Parameters
    ----------
    store : Path
    colors : ndarray of uint8, (n + 1, 3)
        Of each gland number; see `gland_colors`.
    side : int

    Returns
    -------
    ndarray of uint8, (h, w, 3)
    """
    import zarr
    from PIL import Image

    root = zarr.open_group(store, mode="r")
    pixels, (scale, start) = _levels(root)[0]
    overview = np.moveaxis(np.asarray(root[pixels][...]), 0, -1)  # type: ignore[index]
    factor = max(1.0, max(overview.shape[:2]) / side)
    size = [max(1, round(length / factor)) for length in overview.shape[1::-1]]
    picture = np.asarray(Image.fromarray(overview).resize(size, Image.Resampling.BOX))
    height, width = picture.shape[:2]
    # Where the picture's pixel centres are, in um.
    steps = scale * overview.shape[0] / height, scale * overview.shape[1] / width
    ys, xs = (
        start - scale / 2 + (np.arange(count) + 0.5) * step
        for count, step in zip((height, width), steps, strict=True)
    )
    numbers = _sample(root, "labels/glands", ys, xs, max(steps))
    return _washed(picture, numbers, colors)


def gland_colors(parts: Iterable[GlandTable], classes: tuple[str, ...]) -> UInt8Array:
    """Colour of each gland number by the class that it looks like most, (n + 1, 3)."""
    palette = np.array([_rgb(color) for color in (*CLASS_COLORS, UNKNOWN_CLASS_COLOR)], np.uint8)
    likeliest = [_likeliest(part, classes) for part in parts]
    count = max((int(labels.max(initial=0)) for labels, _ in likeliest), default=0)
    colors = np.tile(palette[-1], (count + 1, 1))
    for labels, classes_of in likeliest:
        colors[labels] = palette[classes_of]
    return colors


def _likeliest(
    table: GlandTable, classes: tuple[str, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Numbers of glands, and the place of the colour of each in the palette."""
    labels = np.asarray(table.get("label", ()), dtype=np.int64)
    unknown = np.full(len(labels), len(CLASS_COLORS), dtype=np.int64)
    columns = [table[name] for c in classes if (name := f"{c}_probability") in table]
    if not len(labels) or len(columns) < len(classes) or not columns:
        return labels, unknown
    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    known = np.isfinite(values).all(axis=0)
    return labels, np.where(
        known, np.nan_to_num(values).argmax(axis=0) % len(CLASS_COLORS), unknown
    )


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


Placed = tuple[str, tuple[float, float]]
"""Path of a level's array, and um per pixel and um of the first pixel's centre."""


def _levels(group: zarr.Group, prefix: str = "") -> list[Placed]:
    """The levels of a multiscale image, the finest first, with y and x alike."""
    ome: Mapping[str, Any] = dict(group.attrs)["ome"]  # type: ignore[assignment]
    levels = []
    for dataset in ome["multiscales"][0]["datasets"]:
        given = {
            transform["type"]: transform[transform["type"]][-1]
            for transform in dataset["coordinateTransformations"]
        }
        place = float(given["scale"]), float(given.get("translation", 0.0))
        levels.append((prefix + dataset["path"], place))
    return levels


def _sample(
    root: zarr.Group,
    name: str,
    ys: npt.NDArray[np.float64],
    xs: npt.NDArray[np.float64],
    step: float,
) -> npt.NDArray[np.integer]:
    """Labels at the given places (um), from the coarsest level that is not coarser than them."""
    levels = _levels(root[name], f"{name}/")  # type: ignore[arg-type]
    fine = [level for level in levels if level[1][0] <= step]
    path, (scale, start) = fine[-1] if fine else levels[0]
    labels = np.asarray(root[path][...])  # type: ignore[index]
    rows, columns = (
        np.clip(np.rint((places - start) / scale).astype(np.intp), 0, size - 1)
        for places, size in zip((ys, xs), labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def _washed(
    picture: UInt8Array, numbers: npt.NDArray[np.integer], colors: UInt8Array
) -> UInt8Array:
    known = np.where(numbers < len(colors), numbers, 0)
    mixed = (1 - OPACITY) * picture + OPACITY * colors[known]
    drawn: UInt8Array = np.where((numbers > 0)[..., None], mixed, picture).astype(np.uint8)
    return drawn
