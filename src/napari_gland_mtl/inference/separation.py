"""From a gland probability map to gland instances, touching glands apart.

Glands that touch are joined by a thin or less certain bridge. Each component of the
thresholded map is shrunk: where the confident part of it, eroded, falls into several pieces of
some size, these are the seeds of as many glands, which grow back downhill on the probability
until they meet. All of it concerns one component at a time, so that an image can be cut
anywhere between components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..metrics.components import pieces_as_runs
from ..metrics.runs import boxes_of, first_pixels
from .distances import erode

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Box, Mask
    from ..metrics.runs import Runs

    Index = npt.NDArray[np.int64]
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
    foreground = probability >= config.gland_threshold
    if analysed is not None:
        foreground &= analysed
    clumps, _, area = pieces_as_runs(foreground)
    instances = clumps.paint(foreground.shape)
    large = area >= 2 * config.min_seed_area_um2 / mpp**2
    if large[1:].any():
        confident = clumps.with_values(large[clumps.value]).paint(foreground.shape, np.bool_)
        confident &= probability >= config.seed_threshold
        seeds = _seeds(confident, mpp, config)
        _split_at_seeds(instances, clumps, seeds, confident, probability)
    return drop_small(instances, config.min_gland_area_um2 / mpp**2)


def _seeds(confident: Mask, mpp: float, config: SeparationConfig) -> Instances:
    """Pieces of a mask after erosion by a disk, those of sufficient size, 1 .. n."""
    pieces, _, area = pieces_as_runs(erode(confident, config.seed_erosion_um / mpp))
    kept = area >= max(config.min_seed_area_um2 / mpp**2, 1)
    seeds: Instances = pieces.with_values((np.cumsum(kept) * kept)[pieces.value]).paint(
        confident.shape
    )
    return seeds


def drop_small(instances: Instances, min_pixels: float) -> Instances:
    """Remove objects with fewer pixels and number the rest 1 .. n, in their order."""
    area = np.bincount(instances.ravel(), minlength=1)
    kept = area >= max(min_pixels, 1)
    kept[0] = False
    if kept[1:].all():
        return instances
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    renumbered: Instances = table[instances]
    return renumbered


def _split_at_seeds(
    instances: Instances,
    clumps: Runs,
    seeds: Instances,
    confident: Mask,
    probability: Probability,
) -> None:
    """Give each seed of a component that holds several an instance of its own, in place.

    `clumps` are the runs of the components that `instances` shows.
    """
    first = first_pixels(seeds)
    owner = instances.ravel()[first]
    shared = np.flatnonzero(np.bincount(owner, minlength=1) > 1)
    if shared.size == 0:
        return
    markers = _grown(seeds, first, confident)
    highest = int(clumps.value.max())
    for number, tight in boxes_of(clumps, shared):
        box = widened(tight, instances.shape)
        parts = _flooded(markers[box], instances[box] == number, probability[box])
        own = np.flatnonzero(owner == number) + 1
        numbers = np.zeros(len(owner) + 1, dtype=np.int32)
        numbers[own] = np.concatenate(([number], highest + np.arange(1, len(own))))
        highest += len(own) - 1
        np.copyto(instances[box], numbers[parts], where=parts > 0)


def _grown(seeds: Instances, first: Index, confident: Mask) -> Instances:
    """Seeds that have a piece of the confident mask to themselves, grown to that piece.

    The flood would fill the piece from its seed before it reached anything below. `first` holds
    the first pixel of each seed.
    """
    runs, _, area = pieces_as_runs(confident)
    pieces = runs.paint(confident.shape)
    piece = pieces.ravel()[first]
    alone = np.bincount(piece)[piece] == 1
    owner = np.zeros(len(area), dtype=np.int32)
    owner[piece[alone]] = np.flatnonzero(alone) + 1
    grown: Instances = np.maximum(seeds, runs.with_values(owner[runs.value]).paint(seeds.shape))
    return grown


def _flooded(markers: Instances, mask: Mask, probability: Probability) -> Instances:
    """Grow markers downhill on the probability until they fill the mask.

    Markers are flooded from their outline alone: their inside could only cost time.
    """
    from skimage.segmentation import watershed

    markers = np.where(mask, markers, 0)
    settled = _surrounded(markers)
    rest = mask & ~settled
    height = -probability.astype(np.float32)
    parts = watershed(height, np.where(rest, markers, 0), mask=rest, connectivity=2)
    return np.where(settled, markers, parts)


def _surrounded(labels: Instances) -> Mask:
    """Labelled pixels whose eight neighbours carry the same label."""
    across = np.zeros(labels.shape, dtype=bool)
    across[:, 1:-1] = (labels[:, 1:-1] == labels[:, :-2]) & (labels[:, 1:-1] == labels[:, 2:])
    result = np.zeros(labels.shape, dtype=bool)
    result[1:-1] = (labels[1:-1] == labels[:-2]) & (labels[1:-1] == labels[2:])
    result[1:-1] &= across[:-2] & across[1:-1] & across[2:]
    return result & (labels > 0)


def widened(box: Box, shape: tuple[int, ...]) -> Box:
    """The box and one pixel around it, where the image goes on."""
    rows, columns = box
    return (
        slice(max(rows.start - 1, 0), min(rows.stop + 1, shape[0])),
        slice(max(columns.start - 1, 0), min(columns.stop + 1, shape[1])),
    )
