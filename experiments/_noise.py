"""Labels made wrong on purpose in a third of the images, as hurried annotators get them wrong.

Three kinds: half of the glands are dropped, the borders of glands are moved, the image's class is
flipped; "all" does all three to the same images. What is drawn depends on the seed and the image's
name alone, so that the same images are noisy in the same way however often and wherever they are
read. The pixels of the images are never touched.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.datasets.dataset import Annotation, Record
from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.metrics.components import instances_from_mask
from napari_gland_mtl.metrics.topology import beside
from napari_gland_mtl.regions import GLAND_REGIONS

KINDS = ("dropped", "moved", "flipped", "all")
SHARE = 1 / 3
MOVED_UM = 12.0

STROMA, EPITHELIUM, LUMEN = (GLAND_REGIONS.code(n) for n in ("stroma", "epithelium", "lumen"))

Labels = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]


def with_noise(dataset: Dataset, kind: str, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    """The data set with a third of its labels made wrong, and the names of these images.

    Raises
    ------
    InvalidInputError
        If there is no such kind of noise.
    """
    if kind not in KINDS:
        raise InvalidInputError(f"There is no noise {kind!r}; there are {', '.join(KINDS)}.")
    noisy = chosen(dataset.names, seed)
    records = tuple(
        _noisy(record, kind, seed, len(dataset.classes)) if record.name in noisy else record
        for record in dataset.records
    )
    return replace(dataset, records=records), tuple(n for n in dataset.names if n in noisy)


def chosen(names: Sequence[str], seed: int) -> set[str]:
    """A third of the names, the same for the same seed in whatever order they come."""
    order = sorted(names)
    np.random.default_rng(seed).shuffle(order)
    return set(order[: round(SHARE * len(order))])


def _noisy(record: Record, kind: str, seed: int, classes: int) -> Record:
    """One sample with wrong labels; its pixels are read only when asked for."""
    index = record.class_index
    if kind in ("flipped", "all"):
        index = flipped(index, classes, _random(record, seed))
    if kind == "flipped":
        return replace(record, class_index=index)

    @cache
    def read() -> Annotation:
        image, regions, given = record.read()
        found = given if given is not None else _instances(regions)
        rng = _random(record, seed)
        if kind in ("dropped", "all"):
            regions, found = without_half(regions, found, rng)
        if kind in ("moved", "all"):
            regions, found = moved(regions, found, MOVED_UM / record.mpp, rng)
        return image, regions, found

    return replace(record, class_index=index, read=read)


def _random(record: Record, seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(record.name.encode())))


def _instances(regions: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    found: npt.NDArray[np.int32] = instances_from_mask(GLAND_REGIONS.is_gland(regions))
    return found


def flipped(index: int, classes: int, rng: np.random.Generator) -> int:
    """Another class than this one; an unknown class, or the only one, stays."""
    if index < 0 or classes < 2:
        return index
    return (index + int(rng.integers(1, classes))) % classes


def without_half(
    regions: npt.NDArray[np.uint8], instances: npt.NDArray[np.int32], rng: np.random.Generator
) -> Labels:
    """Half of the glands called stroma, rounded down, but at least one.

    Parameters
    ----------
    regions : ndarray of uint8, (Y, X)
    instances : ndarray of int32, (Y, X)
    rng : Generator

    Returns
    -------
    regions, instances : ndarray
        New arrays; what was not annotated stays so.
    """
    glands = np.unique(instances[instances > 0])
    if not glands.size:
        return regions, instances
    dropped = rng.choice(glands, max(1, len(glands) // 2), replace=False)
    gone = np.isin(instances, dropped)
    return _stroma_where(gone, regions), np.where(gone, 0, instances).astype(np.int32)


def moved(
    regions: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
    distance_px: float,
    rng: np.random.Generator,
) -> Labels:
    """The border of every gland moved inwards or outwards, gland by gland at random.

    Growing glands take stroma alone, and meet halfway; where a shrinking one would end in
    its lumen, what is left gets a rim of epithelium.
    """
    glands = np.unique(instances[instances > 0])
    if not glands.size:
        return regions, instances
    grows = np.zeros(int(glands.max()) + 1, dtype=bool)
    grows[glands] = rng.random(len(glands)) < 0.5
    grown = _grown(regions, instances, distance_px, grows)
    lost = _rim(instances, distance_px) & (instances > 0) & ~grows[instances]
    labels = np.where(lost, 0, grown).astype(np.int32)
    result = np.where((labels > 0) & (instances == 0), EPITHELIUM, regions)
    result = _stroma_where(lost, result.astype(np.uint8))
    result[(result == LUMEN) & beside(result == STROMA)] = EPITHELIUM
    return result, labels


def _grown(
    regions: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
    distance_px: float,
    grows: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int32]:
    """Instances with the stroma around those that grow."""
    distance, nearest = ndimage.distance_transform_edt(instances == 0, return_indices=True)
    owner = instances[tuple(nearest)]
    taken = (distance <= distance_px) & (regions == STROMA) & grows[owner]
    grown: npt.NDArray[np.int32] = np.where((instances == 0) & taken, owner, instances)
    return grown


def _rim(instances: npt.NDArray[np.int32], distance_px: float) -> npt.NDArray[np.bool_]:
    """Gland pixels so near to what is not their gland; the image's edge is none of it."""
    edge = np.zeros(instances.shape, dtype=bool)
    for axis in (0, 1):
        ahead = np.diff(instances, axis=axis) != 0
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        edge[tuple(first)] |= ahead
        edge[tuple(second)] |= ahead
    if not edge.any():
        return edge
    rim: npt.NDArray[np.bool_] = ndimage.distance_transform_edt(~edge) < distance_px
    return rim


def _stroma_where(
    gone: npt.NDArray[np.bool_], regions: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    return np.where(gone & (regions > 0), STROMA, regions).astype(np.uint8)
