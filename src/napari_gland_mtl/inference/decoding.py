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
from ..metrics.components import pieces_as_runs
from ..metrics.topology import any_of, containers, count_violations, stray_contained
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..segmentation import TopologyViolations
from .repair import close_glands, outside_code, repair, withdraw_contents
from .separation import SeparationConfig, drop_small, separate_glands

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..metrics.components import Mask

    Probabilities = npt.NDArray[np.floating | np.uint8]
    GlandProbability = npt.NDArray[np.floating]
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
    probabilities : ndarray of float or uint8, (A, Y, X)
        Probability of each valid assignment, in the order of the hierarchy's codes: 0 .. 1, or
        0 .. 255 as whole numbers.
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
    certainty = gland_probability(probabilities, hierarchy)
    glands = separate_glands(certainty, mpp, config, analysed)
    regions, glands = finish_glands(raw, glands, probabilities, hierarchy, mpp, config)
    return Decoded(
        regions=regions,
        glands=glands,
        violations_raw=count_violations(raw, None, hierarchy),
        violations=count_violations(regions, glands, hierarchy),
    )


def finish_glands(
    raw: Regions,
    glands: Instances,
    probabilities: Probabilities,
    hierarchy: RegionHierarchy,
    mpp: float,
    config: DecodingConfig,
) -> tuple[Regions, Instances]:
    """From separated glands to labels that respect the topology.

    Parameters
    ----------
    raw : ndarray of uint8, (Y, X)
        Most probable codes, 0 where nothing was analysed.
    glands : ndarray of int32, (Y, X)
        As `separate_glands` gives them; changed in place.
    probabilities, hierarchy, mpp, config
        As for `decode`.

    Returns
    -------
    regions : ndarray of uint8, (Y, X)
    glands : ndarray of int32, (Y, X)
        Instances 1 .. n, exactly on the gland codes of `regions`.
    """
    close_glands(glands, raw == NOT_ANNOTATED)
    regions = _paint(raw, glands, probabilities, hierarchy)
    regions, glands = _repaired(regions, glands, hierarchy)
    _drop_small_contents(regions, config.min_lumen_area_um2 / mpp**2, hierarchy)
    return regions, drop_small(glands, 1)


def gland_probability(
    probabilities: Probabilities, hierarchy: RegionHierarchy = GLAND_REGIONS
) -> GlandProbability:
    """Probability of lying in a gland, 0 .. 1: the sum over the gland codes, (Y, X)."""
    layers = [probabilities[code - 1] for code in hierarchy.gland_codes]
    if probabilities.dtype == np.uint8:
        whole = np.zeros(probabilities.shape[1:], dtype=np.uint16)
        for layer in layers:
            whole += layer
        return whole / np.float32(255)
    total = layers[0].copy()
    for layer in layers[1:]:
        total += layer
    certainty: GlandProbability = total
    return certainty


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
    regions[any_of(raw, hierarchy.gland_codes)] = outside_code(hierarchy)
    np.copyto(regions, most_probable(probabilities, hierarchy.gland_codes), where=glands > 0)
    regions[_beside_another(glands)] = hierarchy.code(hierarchy.gland)
    return regions


def _repaired(
    regions: Regions, glands: Instances, hierarchy: RegionHierarchy
) -> tuple[Regions, Instances]:
    """`repair`, without those of its steps that have nothing to do here.

    Where no other region contains anything, nothing is taken from the outline of a gland:
    each stays connected and closed, and covers its gland codes exactly.
    """
    inside = set(hierarchy.gland_codes)
    if any(code not in inside for code in containers(hierarchy)):
        return repair(regions, glands, hierarchy)
    stray = stray_contained(regions, glands, hierarchy)
    if stray.any():
        regions[stray] = outside_code(hierarchy)
        glands[stray] = 0
    for container in containers(hierarchy):
        withdraw_contents(regions, container, hierarchy)
    return regions, glands


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
            codes = np.flatnonzero(hierarchy.assignments[:, region - 1]) + 1
            clumps, _, area = pieces_as_runs(any_of(regions, codes))
            small = clumps.where(area[clumps.value] < min_pixels)
            regions[small.paint(regions.shape, np.bool_)] = container


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
    if probabilities.dtype != np.uint8 and not np.isfinite(probabilities).all():
        raise InvalidInputError(
            "The probabilities hold values that are not finite; the network or its input is broken."
        )
