"""A row of numbers per gland: size, shape, lumen, epithelial thickness, class probability.

Sizes are in micrometres. What a pathologist reads off a gland by eye (how wide the lumen is,
how thick the epithelium around it, how ragged the outline) is measured on the label images
alone; the class probability comes from the network's class activation map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..metrics.components import check_instances, check_same_shape, compact_labels
from ..metrics.runs import Runs, encode
from ..metrics.topology import any_of, beside
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..segmentation import GlandTable
from .distances import outside_distances
from .shapes import convex_areas, perimeters
from .uncertainty import COLUMN, gland_uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Labels, Mask

    Values = npt.NDArray[np.float64]
    Index = npt.NDArray[np.int64]
    Instances = npt.NDArray[np.int32]

BASE_COLUMNS = (
    "label",
    "y_um",
    "x_um",
    "area_um2",
    "perimeter_um",
    "lumen_area_um2",
    "lumen_to_gland_ratio",
    "epithelial_thickness_um",
    "solidity",
    "touches_border",
)


def measure_glands(
    regions: Labels,
    glands: Labels,
    mpp: float,
    class_map: npt.NDArray[np.floating] | None = None,
    hierarchy: RegionHierarchy = GLAND_REGIONS,
    classes: Sequence[str] = (),
    class_map_stride: float = 16.0,
    origin: tuple[float, float] = (0.0, 0.0),
    uncertainty: npt.NDArray[np.float32] | None = None,
    uncertainty_offset: tuple[int, int] = (0, 0),
) -> GlandTable:
    """Measure each gland.

    Parameters
    ----------
    regions : ndarray of int, (Y, X)
        Codes of `hierarchy`.
    glands : ndarray of int, (Y, X)
        Gland instances.
    mpp : float
        Micrometres per pixel of both.
    class_map : ndarray of float, (K, h, w), optional
        Class activations (logits), one cell per `class_map_stride` pixels.
    hierarchy : RegionHierarchy
        "Lumen" below is everything that lies inside its gland region.
    classes : sequence of str
        The K names that go with `class_map`.
    class_map_stride : float
        Pixels of `glands` per cell of `class_map`, in y and x.
    origin : tuple of float
        (y, x) of the first pixel of `glands` in the image, in pixels.
    uncertainty : ndarray of float32, (Y, X), optional
        Of each pixel, 0 .. 1, NaN where it is not known. It may reach beyond the labels.
    uncertainty_offset : tuple of int
        (y, x) in `uncertainty` of the first pixel of `glands`.

    Returns
    -------
    dict of str to ndarray
        One row per gland, in the order of the labels:

        - ``label``
        - ``y_um``, ``x_um``: centroid; the centre of the image's first pixel is (0, 0)
        - ``area_um2``, ``perimeter_um``: of the gland, lumen included
        - ``lumen_area_um2``, ``lumen_to_gland_ratio`` (lumen area / gland area, 0 .. 1)
        - ``epithelial_thickness_um``: see `epithelial_thickness`; NaN without lumen
        - ``solidity``: area / area of the convex hull, 0 .. 1
        - ``touches_border``: cut by the image border or the end of the analysed area, so that
          the measures hold for the visible part only
        - ``uncertainty``: mean over the gland and a rim of 5 um around it, 0 .. 1; only with
          `uncertainty`
        - ``<class>_probability``: softmax of the mean activation over the gland's pixels;
          only with `class_map`

    Raises
    ------
    InvalidInputError
        If shapes do not fit or `mpp` is not positive.
    """
    hierarchy.check_labels(regions)
    check_instances(glands)
    check_same_shape(regions, glands, "The region labels and the gland labels")
    if not np.isfinite(mpp) or mpp <= 0:
        raise InvalidInputError(f"The pixel size must be a positive number of um, got {mpp}.")
    instances, names = compact_labels(glands)
    number = len(names) - 1
    runs = encode(instances)
    runs = runs.where(runs.value > 0)
    contained = any_of(regions, set(hierarchy.gland_codes) - {hierarchy.code(hierarchy.gland)})
    area = np.bincount(runs.value, runs.length, minlength=number + 1)[1:].astype(np.int64)
    lumen = np.bincount(instances[contained], minlength=number + 1)[1:]
    y, x = _centroids(runs, area, origin)
    table: GlandTable = {
        "label": names[1:].astype(np.int32),
        "y_um": y * mpp,
        "x_um": x * mpp,
        "area_um2": area * mpp**2,
        "perimeter_um": perimeters(instances, number) * mpp,
        "lumen_area_um2": lumen * mpp**2,
        "lumen_to_gland_ratio": lumen / area,
        "epithelial_thickness_um": epithelial_thickness(instances, contained) * mpp,
        "solidity": area / convex_areas(runs, number),
        "touches_border": _touches_border(instances, number, regions == NOT_ANNOTATED),
    }
    if uncertainty is not None:
        table[COLUMN] = gland_uncertainty(runs, number, uncertainty, mpp, uncertainty_offset)
    if class_map is not None:
        activations = mean_activations(runs, number, class_map, class_map_stride)
        _check_classes(classes, activations.shape[1])
        probability = softmax_rows(activations)
        for k, name in enumerate(classes):
            table[f"{name}_probability"] = probability[:, k]
    return table


def epithelial_thickness(instances: Instances, contained: Mask) -> Values:
    """Mean distance from the edge of the lumen to the outside of the gland, in pixels.

    For each lumen pixel with a 4-neighbour in the epithelium, the distance d to the nearest
    pixel outside the gland is taken; between the two lie d - 1 pixels of epithelium. The
    thickness is the mean of d - 1 along the edge of the lumen (all lumina of the gland).
    What lies beyond the image border is unknown, hence not "outside".

    Parameters
    ----------
    instances : ndarray of int32, (Y, X)
        Glands 1 .. n.
    contained : ndarray of bool, (Y, X)
        Lumen pixels.

    Returns
    -------
    ndarray of float64, (n,)
        NaN for glands without lumen or without an outside within the image.
    """
    number = int(instances.max(initial=0))
    y, x = _lumen_edges(instances, contained)
    owner = instances[y, x]
    count = np.bincount(owner, minlength=number + 1)[1:]
    total = np.bincount(owner, outside_distances(instances, y, x), minlength=number + 1)[1:]
    thickness = np.full(number, np.nan)
    known = (count > 0) & np.isfinite(total)
    thickness[known] = total[known] / count[known] - 1
    return thickness


def _lumen_edges(instances: Instances, contained: Mask) -> tuple[Index, Index]:
    """Lumen pixels with a 4-neighbour in the epithelium of the same gland, row by row."""
    epithelium = (instances > 0) & ~contained
    candidates = np.flatnonzero(contained & (instances > 0) & beside(epithelium))
    width = instances.shape[1]
    y, x = np.divmod(candidates, width)
    owner = np.pad(np.where(epithelium, instances, 0), 1)
    own = instances[y, x]
    edge = np.zeros(len(y), dtype=bool)
    for dy, dx in ((0, 1), (1, 0), (1, 2), (2, 1)):
        edge |= owner[y + dy, x + dx] == own
    return y[edge], x[edge]


def mean_activations(
    runs: Runs, number: int, class_map: npt.NDArray[np.floating], stride: float
) -> Values:
    """Class activations averaged over the pixels of each object.

    Parameters
    ----------
    runs : Runs
        Of the objects 1 .. n.
    number : int
        n.
    class_map : ndarray of float, (K, h, w)
        Activations; the cell of pixel (y, x) is (y / stride, x / stride), rounded down.
    stride : float
        Pixels per cell.

    Returns
    -------
    ndarray of float64, (n, K)
    """
    if class_map.ndim != 3 or 0 in class_map.shape:
        raise InvalidInputError(
            f"A class map has three axes (classes, y, x) and no empty one; got {class_map.shape}."
        )
    if not np.isfinite(stride) or stride <= 0:
        raise InvalidInputError(f"The stride of the class map must be positive, got {stride}.")
    _, height, width = class_map.shape
    columns = np.arange(int(runs.stop.max(initial=0)))
    columns = np.minimum((columns / stride).astype(np.int64), width - 1)
    begins = np.searchsorted(columns, np.arange(width + 1))  # the first pixel of each cell
    first = columns[runs.start]
    pieces = columns[runs.stop - 1] - first + 1
    run = np.repeat(np.arange(runs.size), pieces)
    column = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + first[run]
    pixels = np.minimum(runs.stop[run], begins[column + 1]) - np.maximum(
        runs.start[run], begins[column]
    )
    row = np.minimum((runs.y[run] / stride).astype(np.int64), height - 1)
    owner = runs.value[run]
    sums = [
        np.bincount(owner, pixels * layer[row, column].astype(np.float64), minlength=number + 1)[1:]
        for layer in class_map
    ]
    area = np.bincount(owner, pixels, minlength=number + 1)[1:]
    mean: Values = np.stack(sums, axis=1) / area[:, None]
    return mean


def softmax_rows(activations: Values) -> Values:
    """Softmax of each row, (n, K)."""
    exponentials = np.exp(activations - activations.max(axis=1, keepdims=True))
    probability: Values = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probability


def _centroids(runs: Runs, area: Index, origin: tuple[float, float]) -> tuple[Values, Values]:
    """Mean y and x of the pixels of each object, counted from the image's first pixel.

    Sums of whole numbers are exact, so that it does not matter where the cut-out begins.
    """
    count = len(area) + 1
    y = runs.y * runs.length
    x = (runs.start.astype(np.int64) + runs.stop - 1) * runs.length / 2
    sums = (np.bincount(runs.value, values, minlength=count)[1:] for values in (y, x))
    rows, columns = (
        (total + start * area) / area for total, start in zip(sums, origin, strict=True)
    )
    return rows, columns


def _touches_border(instances: Instances, number: int, unknown: Mask) -> npt.NDArray[np.bool_]:
    touches = np.zeros(number + 1, dtype=bool)
    for edge in (instances[:1], instances[-1:], instances[:, :1], instances[:, -1:]):
        touches[edge] = True
    if unknown.any():
        touches[instances[beside(unknown)]] = True
    return touches[1:]


def _check_classes(classes: Sequence[str], found: int) -> None:
    if len(classes) != found:
        raise InvalidInputError(
            f"The class map has {found} classes, but {len(classes)} names were given: "
            f"{list(classes)}."
        )
