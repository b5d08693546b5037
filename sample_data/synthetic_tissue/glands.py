"""One gland at a time: its true regions, and the stains inside its outline.

A gland is drawn whole on the pixel grid of the tissue, whichever window asked for it, so that
two windows that share a gland show the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label

from .epithelium import cytoplasm, epithelial_nuclei, fill_mucinous, fill_open
from .layout import Cell, gland_id
from .noise import FloatArray, smoothstep, value_noise
from .nuclei import paint_nuclei
from .recipe import Recipe
from .wall import BoolArray, PixelGrid, Wall

STROMA, EPITHELIUM, LUMEN = 1, 2, 3
_CHANNEL = 450


@dataclass(frozen=True)
class GlandStamp:
    """A gland on the pixel grid.

    Attributes
    ----------
    y, x : int
        First image pixel of the arrays; drawn pixels begin at ``y * oversampling``.
    label : int
    regions : ndarray of uint8, (Y, X)
        `EPITHELIUM` and `LUMEN` inside the gland, 0 around it.
    cover, hematoxylin, eosin : ndarray, (Y * oversampling, X * oversampling)
        How much of a drawn pixel is gland, and its stains.
    """

    y: int
    x: int
    label: int
    regions: npt.NDArray[np.uint8]
    cover: FloatArray
    hematoxylin: FloatArray
    eosin: FloatArray


def draw_gland(
    outline: FloatArray, cell: Cell, recipe: Recipe, seed: int, grid: PixelGrid
) -> GlandStamp:
    """Draw the gland of a lattice cell.

    Parameters
    ----------
    outline : ndarray, (n, 2)
        Equally spaced points in um.
    cell : (int, int)
    recipe : Recipe
    seed : int
    grid : PixelGrid

    Returns
    -------
    GlandStamp
    """
    wall = Wall(outline, grid)
    rng = np.random.default_rng([seed, _CHANNEL, gland_id(cell)])
    regions = _true_regions(wall, recipe, seed)
    lumen = _signed_distance(_refine(regions == LUMEN, grid), grid.fine_mpp)
    hematoxylin, eosin = cytoplasm(wall, recipe, seed)
    fill = fill_mucinous if recipe.mucinous else fill_open
    hematoxylin, eosin = fill(wall, lumen, hematoxylin, eosin, recipe, seed, rng)
    nuclei = epithelial_nuclei(wall, lumen, recipe, rng)
    stain, cover = paint_nuclei(nuclei, wall.shape, wall.origin, grid.fine_mpp, seed)
    cover *= smoothstep(1.5, -0.5, lumen)
    return GlandStamp(
        y=wall.origin[0] // grid.oversampling,
        x=wall.origin[1] // grid.oversampling,
        label=gland_id(cell),
        regions=regions,
        cover=smoothstep(-0.5, 0.5, wall.depth),
        hematoxylin=hematoxylin * (1.0 - 0.75 * cover) + stain,
        eosin=eosin * (1.0 - 0.35 * cover),
    )


def _true_regions(wall: Wall, recipe: Recipe, seed: int) -> npt.NDArray[np.uint8]:
    """Region codes on the image grid; they respect the topology whatever the pixel size."""
    k = wall.grid.oversampling
    y, x, depth = (_centres(field, k) for field in (wall.y, wall.x, wall.depth))
    gland = _largest_filled(wall.coarse_inside)
    height = wall.border(recipe) * (
        1.0
        + recipe.epithelium_spread * value_noise(seed, _CHANNEL + 1, y, x, 34.0)
        + 0.4 * recipe.epithelium_spread * value_noise(seed, _CHANNEL + 2, y, x, 11.0)
    )
    core = gland & (gaussian_filter(depth - height, 1.2 / wall.grid.mpp) > 0.0)
    # One pixel of epithelium on each side keeps lumen and stroma from touching.
    core &= distance_transform_edt(np.pad(gland, 1))[1:-1, 1:-1] > 1.5
    core = _largest_filled(core)
    if core.sum() * wall.grid.mpp**2 < 60.0:
        core[:] = False
    return np.where(core, LUMEN, np.where(gland, EPITHELIUM, 0)).astype(np.uint8)


def _centres(field: FloatArray, oversampling: int) -> FloatArray:
    """A finely drawn map averaged over each image pixel."""
    height, width = (n // oversampling for n in field.shape)
    means: FloatArray = field.reshape(height, oversampling, width, oversampling).mean(axis=(1, 3))
    return means


def _refine(mask: BoolArray, grid: PixelGrid) -> BoolArray:
    return mask.repeat(grid.oversampling, axis=0).repeat(grid.oversampling, axis=1)


def _signed_distance(mask: BoolArray, mpp: float) -> FloatArray:
    """Distance (um) to the edge of `mask`, positive inside, without pixel steps."""
    if not mask.any():
        return np.full(mask.shape, -1e3)
    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    distance: FloatArray = gaussian_filter((inside - outside) * mpp, 0.8 / mpp)
    return distance


def _largest_filled(mask: BoolArray) -> BoolArray:
    """The largest 4-connected piece of a mask, its holes filled."""
    pieces, count = label(mask)
    if count > 1:
        mask = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    filled: BoolArray = binary_fill_holes(mask)
    return filled
