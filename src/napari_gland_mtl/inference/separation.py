"""From a gland probability map to gland instances, touching glands apart.

Glands that touch are joined by a thin or less certain bridge. Each component of the
thresholded map is shrunk: where the confident part of it, eroded, falls into several pieces of
some size, these are the seeds of as many glands, which grow back downhill on the probability
until they meet. Works in the bounding box of one component at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..metrics.components import instances_from_mask

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Box, Mask

    Instances = npt.NDArray[np.int32]
    Probability = npt.NDArray[np.floating]


class SeparationConfig(BaseModel):
    """How gland instances are made from the gland probability; sizes in micrometres.

    Parameters
    ----------
    gland_threshold : float
    seed_threshold : float
    seed_erosion_um : float
    min_seed_area_um2 : float
    min_gland_area_um2 : float
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gland_threshold: float = Field(
        default=0.5,
        ge=0.05,
        le=0.95,
        description="A pixel belongs to a gland from this probability on.",
    )
    seed_threshold: float = Field(
        default=0.9,
        ge=0.05,
        le=0.999,
        description="Touching glands are told apart by their parts above this probability.",
    )
    seed_erosion_um: float = Field(
        default=12.0,
        ge=0.0,
        le=100.0,
        description="Bridges between glands narrower than twice this length (um) are cut.",
    )
    min_seed_area_um2: float = Field(
        default=400.0,
        ge=0.0,
        le=1e6,
        description="Parts smaller than this area (um2) after the erosion make no gland of "
        "their own. Raise it if single glands fall into pieces.",
    )
    min_gland_area_um2: float = Field(
        default=600.0,
        ge=0.0,
        le=1e6,
        description="Smaller glands (um2) are removed.",
    )


def separate_glands(
    probability: Probability,
    mpp: float,
    config: SeparationConfig,
    analysed: Mask | None = None,
) -> Instances:
    """Label the glands of a probability map.

    Parameters
    ----------
    probability : ndarray of float, (Y, X)
        Probability of belonging to a gland, 0 .. 1.
    mpp : float
        Micrometres per pixel.
    config : SeparationConfig
    analysed : ndarray of bool, (Y, X), optional
        Where False, no gland is made.

    Returns
    -------
    ndarray of int32, (Y, X)
        Connected instances 1 .. n, none smaller than the minimum; holes are left open.
    """
    from scipy import ndimage

    foreground = probability >= config.gland_threshold
    if analysed is not None:
        foreground &= analysed
    instances = instances_from_mask(foreground)
    area = np.bincount(instances.ravel())
    smallest = 2 * config.min_seed_area_um2 / mpp**2
    highest = len(area) - 1
    for number, box in enumerate(ndimage.find_objects(instances), 1):
        if area[number] >= smallest:
            box = _widened(box, instances.shape)
            highest = _split(instances[box], number, probability[box], mpp, config, highest)
    return drop_small(instances, config.min_gland_area_um2 / mpp**2)


def drop_small(instances: Instances, min_pixels: float) -> Instances:
    """Remove objects with fewer pixels and number the rest 1 .. n, in their order."""
    area = np.bincount(instances.ravel(), minlength=1)
    kept = area >= max(min_pixels, 1)
    kept[0] = False
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    renumbered: Instances = table[instances]
    return renumbered


def _split(
    instances: Instances,
    number: int,
    probability: Probability,
    mpp: float,
    config: SeparationConfig,
    highest: int,
) -> int:
    """Split one component in a view of its box; return the highest number given so far."""
    from skimage.segmentation import watershed

    mask = instances == number
    seeds = _seeds(mask & (probability >= config.seed_threshold), mpp, config)
    count = int(seeds.max(initial=0))
    if count < 2:
        return highest
    height = -probability.astype(np.float32)
    parts = watershed(height, seeds, mask=mask, connectivity=2)
    numbers = np.concatenate(([0, number], highest + np.arange(1, count)))
    instances[mask] = numbers[parts[mask]]
    return highest + count - 1


def _seeds(confident: Mask, mpp: float, config: SeparationConfig) -> Instances:
    """Pieces of a mask after erosion by a disk, those of sufficient size."""
    from scipy import ndimage

    if not confident.any():
        return np.zeros(confident.shape, dtype=np.int32)
    if config.seed_erosion_um > 0 and not confident.all():
        depth = ndimage.distance_transform_edt(confident, sampling=mpp)
        confident = depth > config.seed_erosion_um
    return drop_small(instances_from_mask(confident), config.min_seed_area_um2 / mpp**2)


def _widened(box: Box, shape: tuple[int, ...]) -> Box:
    """The box and one pixel around it, so that a distance sees where the object ends."""
    rows, columns = box
    return (
        slice(max(rows.start - 1, 0), min(rows.stop + 1, shape[0])),
        slice(max(columns.start - 1, 0), min(columns.stop + 1, shape[1])),
    )
