"""A row of numbers per gland: size, shape, lumen, epithelial thickness, class probability.

Sizes are in micrometres. What a pathologist reads off a gland by eye (how wide the lumen is,
how thick the epithelium around it, how ragged the outline) is measured on the label images
alone; the class probability comes from the network's class activation map.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..metrics.components import check_instances, check_same_shape, compact_labels
from ..metrics.topology import beside
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..segmentation import GlandTable

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Labels, Mask

    Values = npt.NDArray[np.float64]
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
    contained = hierarchy.is_gland(regions) & (regions != hierarchy.code(hierarchy.gland))
    area = np.bincount(instances.ravel(), minlength=number + 1)[1:]
    lumen = np.bincount(instances[contained], minlength=number + 1)[1:]
    shape = _shape(instances, number)
    table: GlandTable = {
        "label": names[1:].astype(np.int32),
        "y_um": (shape["centroid-0"] + origin[0]) * mpp,
        "x_um": (shape["centroid-1"] + origin[1]) * mpp,
        "area_um2": area * mpp**2,
        "perimeter_um": shape["perimeter"] * mpp,
        "lumen_area_um2": lumen * mpp**2,
        "lumen_to_gland_ratio": lumen / area,
        "epithelial_thickness_um": epithelial_thickness(instances, contained) * mpp,
        "solidity": np.clip(shape["solidity"], 0.0, 1.0),
        "touches_border": _touches_border(instances, number, regions == NOT_ANNOTATED),
    }
    if class_map is not None:
        probability = class_probabilities(instances, class_map, class_map_stride)
        _check_classes(classes, probability.shape[1])
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
    from scipy import ndimage

    boxes = ndimage.find_objects(instances) if instances.size else []
    thickness = np.full(len(boxes), np.nan)
    for index, (rows, columns) in enumerate(boxes):
        around = (
            slice(max(rows.start - 1, 0), rows.stop + 1),
            slice(max(columns.start - 1, 0), columns.stop + 1),
        )
        gland = instances[around] == index + 1
        lumen = gland & contained[around]
        edge = lumen & beside(gland & ~lumen)
        if edge.any() and not gland.all():
            distance = ndimage.distance_transform_edt(gland)
            thickness[index] = distance[edge].mean() - 1
    return thickness


def class_probabilities(
    instances: Instances, class_map: npt.NDArray[np.floating], stride: float
) -> Values:
    """Softmax of the class activations averaged over the pixels of each gland.

    Parameters
    ----------
    instances : ndarray of int32, (Y, X)
        Glands 1 .. n.
    class_map : ndarray of float, (K, h, w)
        Activations; the cell of pixel (y, x) is (y / stride, x / stride), rounded down.
    stride : float
        Pixels per cell.

    Returns
    -------
    ndarray of float64, (n, K)
        Rows sum to 1.
    """
    if class_map.ndim != 3 or 0 in class_map.shape:
        raise InvalidInputError(
            f"A class map has three axes (classes, y, x) and no empty one; got {class_map.shape}."
        )
    if not np.isfinite(stride) or stride <= 0:
        raise InvalidInputError(f"The stride of the class map must be positive, got {stride}.")
    _, height, width = class_map.shape
    y, x = np.nonzero(instances)
    rows = np.minimum((y / stride).astype(np.int64), height - 1)
    columns = np.minimum((x / stride).astype(np.int64), width - 1)
    number = int(instances.max(initial=0))
    gland, cells = instances[y, x], rows * width + columns
    pixels = np.bincount(gland, minlength=number + 1)[1:]
    sums = [
        np.bincount(gland, layer.ravel().astype(np.float64)[cells], minlength=number + 1)[1:]
        for layer in class_map
    ]
    mean = np.stack(sums, axis=1) / pixels[:, None]
    exponentials = np.exp(mean - mean.max(axis=1, keepdims=True))
    probability: Values = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probability


def _shape(instances: Instances, number: int) -> dict[str, Values]:
    from skimage.measure import regionprops_table

    properties = ("centroid", "perimeter", "solidity")
    if number == 0:
        keys = ("centroid-0", "centroid-1", "perimeter", "solidity")
        return {key: np.zeros(0) for key in keys}
    with warnings.catch_warnings():
        # Glands of a pixel's width have no convex hull with an area; solidity is then 1.
        warnings.simplefilter("ignore")
        table = regionprops_table(instances, properties=properties)
    table["solidity"] = np.nan_to_num(table["solidity"], nan=1.0, posinf=1.0)
    return dict(table)


def _touches_border(instances: Instances, number: int, unknown: Mask) -> npt.NDArray[np.bool_]:
    touches = np.zeros(number + 1, dtype=bool)
    for edge in (instances[:1], instances[-1:], instances[:, :1], instances[:, -1:]):
        touches[edge] = True
    touches[instances[beside(unknown)]] = True
    return touches[1:]


def _check_classes(classes: Sequence[str], found: int) -> None:
    if len(classes) != found:
        raise InvalidInputError(
            f"The class map has {found} classes, but {len(classes)} names were given: "
            f"{list(classes)}."
        )
