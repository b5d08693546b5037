"""From the probabilities of the valid assignments to labels that respect the topology.

The assignment of largest probability is valid at each pixel, but lumen may still lie in the
stroma, glands may have holes and touch each other. Decoding makes gland instances first, then
decides between stroma and the like outside them and between epithelium and lumen inside, and
ends with the repair. What the raw output broke is counted, as it measures the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ..errors import InvalidInputError
from ..metrics.components import instances_from_mask
from ..metrics.topology import containers, count_violations
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..segmentation import TopologyViolations
from .repair import close_glands, outside_code, repair
from .separation import SeparationConfig, drop_small, separate_glands

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Mask

    Probabilities = npt.NDArray[np.floating]
    Regions = npt.NDArray[np.uint8]
    Instances = npt.NDArray[np.int32]


class DecodingConfig(SeparationConfig):
    """How probabilities become labels: the separation of glands, and the least lumen.

    Parameters
    ----------
    min_lumen_area_um2 : float
    """

    min_lumen_area_um2: float = Field(
        default=30.0,
        ge=0.0,
        le=1e6,
        description="Smaller clumps of lumen (um2) become the region around them.",
    )


@dataclass(frozen=True)
class Decoded:
    """Labels of one image.

    Attributes
    ----------
    regions : ndarray of uint8, (Y, X)
        Codes of the hierarchy, 0 where nothing was analysed.
    glands : ndarray of int32, (Y, X)
        Instances 1 .. n, exactly on the gland codes of `regions`.
    violations_raw : TopologyViolations
        In the assignments of largest probability, before any threshold, filter or repair.
    violations : TopologyViolations
        In `regions` and `glands`: none.
    """

    regions: Regions
    glands: Instances
    violations_raw: TopologyViolations
    violations: TopologyViolations


def decode(
    probabilities: Probabilities,
    hierarchy: RegionHierarchy = GLAND_REGIONS,
    mpp: float = 1.0,
    config: DecodingConfig | None = None,
    analysed: Mask | None = None,
) -> Decoded:
    """Turn probabilities into region labels and gland instances that respect the topology.

    Parameters
    ----------
    probabilities : ndarray of float, (A, Y, X)
        Probability of each valid assignment, in the order of the hierarchy's codes.
    hierarchy : RegionHierarchy
    mpp : float
        Micrometres per pixel of `probabilities`.
    config : DecodingConfig, optional
        The defaults if left out.
    analysed : ndarray of bool, (Y, X), optional
        Where False, nothing was analysed: code 0 there, and nothing is said about it.

    Returns
    -------
    Decoded

    Raises
    ------
    InvalidInputError
        If shapes do not fit, a probability is not finite or `mpp` is not positive.
    """
    config = config or DecodingConfig()
    _check(probabilities, hierarchy, mpp, analysed)
    raw = most_probable(probabilities, range(1, len(hierarchy) + 1))
    if analysed is not None:
        raw[~analysed] = NOT_ANNOTATED
    gland_probability = probabilities[[code - 1 for code in hierarchy.gland_codes]].sum(axis=0)
    glands = separate_glands(gland_probability, mpp, config, analysed)
    close_glands(glands, raw == NOT_ANNOTATED)
    regions = _paint(raw, glands, probabilities, hierarchy)
    regions, glands = repair(regions, glands, hierarchy)
    _drop_small_contents(regions, config.min_lumen_area_um2 / mpp**2, hierarchy)
    return Decoded(
        regions=regions,
        glands=drop_small(glands, 1),
        violations_raw=count_violations(raw, None, hierarchy),
        violations=count_violations(regions, glands, hierarchy),
    )


def most_probable(probabilities: Probabilities, codes: range | tuple[int, ...]) -> Regions:
    """Of the given codes the one of largest probability at each pixel, (Y, X)."""
    chosen = np.asarray(codes, dtype=np.uint8)
    best = probabilities[chosen[0] - 1]
    labels = np.full(best.shape, chosen[0], dtype=np.uint8)
    for code in chosen[1:]:
        layer = probabilities[code - 1]
        labels[layer > best] = code
        best = np.maximum(best, layer)
    return labels


def _paint(
    raw: Regions, glands: Instances, probabilities: Probabilities, hierarchy: RegionHierarchy
) -> Regions:
    """Gland codes exactly on the instances; a line of the gland region between two of them."""
    regions = raw.copy()
    regions[hierarchy.is_gland(raw)] = outside_code(hierarchy)
    inside = glands > 0
    regions[inside] = most_probable(probabilities, hierarchy.gland_codes)[inside]
    regions[inside & _beside_another(glands)] = hierarchy.code(hierarchy.gland)
    return regions


def _beside_another(glands: Instances) -> Mask:
    """Gland pixels with a 4-neighbour in another gland."""
    result = np.zeros(glands.shape, dtype=bool)
    for first, second, here, there in (
        (glands[1:], glands[:-1], result[1:], result[:-1]),
        (glands[:, 1:], glands[:, :-1], result[:, 1:], result[:, :-1]),
    ):
        differ = (first != second) & (first > 0) & (second > 0)
        here |= differ
        there |= differ
    return result


def _drop_small_contents(regions: Regions, min_pixels: float, hierarchy: RegionHierarchy) -> None:
    """Turn small clumps of each region inside the glands into its parent, deepest first.

    A whole clump goes, with all that lies in it, so nothing is left that touches its outside.
    """
    inside = set(hierarchy.gland_codes)
    for container in reversed([code for code in containers(hierarchy) if code in inside]):
        for region in _children(container, hierarchy):
            extent = np.concatenate(([False], hierarchy.assignments[:, region - 1]))[regions]
            clumps = instances_from_mask(extent)
            small = np.bincount(clumps.ravel(), minlength=1) < min_pixels
            small[0] = False
            regions[small[clumps]] = container


def _children(container: int, hierarchy: RegionHierarchy) -> list[int]:
    name = hierarchy.names[container - 1]
    return [code for code, region in enumerate(hierarchy.regions, 1) if region.parent == name]


def _check(
    probabilities: Probabilities, hierarchy: RegionHierarchy, mpp: float, analysed: Mask | None
) -> None:
    if probabilities.ndim != 3 or len(probabilities) != len(hierarchy):
        raise InvalidInputError(
            f"Decoding needs probabilities of shape ({len(hierarchy)}, Y, X), one per valid "
            f"assignment of {list(hierarchy.names)}; got shape {probabilities.shape}."
        )
    if analysed is not None and analysed.shape != probabilities.shape[1:]:
        raise InvalidInputError(
            f"The analysed area has shape {analysed.shape}, the probabilities "
            f"{probabilities.shape[1:]}; they must be the same."
        )
    if not np.isfinite(mpp) or mpp <= 0:
        raise InvalidInputError(f"The pixel size must be a positive number of um, got {mpp}.")
    if not np.isfinite(probabilities).all():
        raise InvalidInputError(
            "The probabilities hold values that are not finite; the network or its input is broken."
        )
