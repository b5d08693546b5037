"""What is inside a gland's outline: cytoplasm, nuclei, mucin and lumen, as amounts of stain.

Cells stand on the outline; depth below it and position along it are their coordinates.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .noise import FloatArray, IntArray, ridged_noise, smoothstep, value_noise
from .nuclei import Nuclei, join_nuclei
from .recipe import Recipe
from .wall import Wall

_CHANNEL = 400


def cytoplasm(wall: Wall, recipe: Recipe, seed: int) -> tuple[FloatArray, FloatArray]:
    grain = 0.6 * value_noise(seed, _CHANNEL + 3, wall.y, wall.x, 2.2)
    grain += 0.6 * value_noise(seed, _CHANNEL + 4, wall.y, wall.x, 9.0)
    # The base of the cells is the darker, bluer part.
    basal = np.exp(-np.clip(wall.depth, 0.0, None) / (0.6 * recipe.epithelium))
    hematoxylin = recipe.cytoplasm[0] * (0.72 + 0.55 * basal + 0.3 * grain)
    eosin = recipe.cytoplasm[1] * (1.0 + 0.25 * grain)
    return hematoxylin, eosin


def fill_mucinous(
    wall: Wall,
    lumen: FloatArray,
    hematoxylin: FloatArray,
    eosin: FloatArray,
    recipe: Recipe,
    seed: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Goblet cells around a small open centre."""
    opening = wall.inradius - rng.uniform(0.12, 0.34) * wall.inradius
    points, owner, radius = _goblets(wall, recipe, opening, rng)
    mucin = np.zeros(wall.shape)
    paleness = np.ones(wall.shape)
    if len(points):
        mucin, nearest = _vacuoles(wall, points, owner, radius)
        paleness = rng.uniform(0.55, 1.35, owner.max() + 1)[nearest]
    grain = value_noise(seed, _CHANNEL + 5, wall.y, wall.x, 1.7)
    grain = 0.5 * grain + 0.5 * value_noise(seed, _CHANNEL + 6, wall.y, wall.x, 4.0)
    mucin_h = 0.13 * paleness * (1.0 + 0.5 * grain)
    mucin_e = 0.15 * paleness * (1.0 + 0.55 * grain)
    # Thin walls between goblets are paler than the cytoplasm at the base.
    thin = 1.0 - 0.45 * smoothstep(recipe.epithelium, 2.2 * recipe.epithelium, wall.depth)
    hematoxylin = _blend(hematoxylin * thin, mucin_h, mucin)
    eosin = _blend(eosin * (0.35 + 0.65 * thin), mucin_e, mucin)
    ragged = wall.depth + 2.2 * value_noise(seed, _CHANNEL + 7, wall.y, wall.x, 7.0)
    open_centre = smoothstep(opening - 0.6, opening + 0.9, ragged) * smoothstep(0.0, 2.0, lumen)
    strands = smoothstep(0.78, 1.0, ridged_noise(seed, _CHANNEL + 8, wall.y, wall.x, 9.0))
    return (
        _blend(hematoxylin, 0.03 + 0.05 * strands, open_centre),
        _blend(eosin, 0.03 + 0.13 * strands, open_centre),
    )


def _goblets(
    wall: Wall, recipe: Recipe, opening: float, rng: np.random.Generator
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Chains of points along the axis of each mucin vacuole, their cell and radius in um."""
    base = wall.border(recipe)
    count = max(int((wall.length - 2.0 * np.pi * base) / 7.6), 5)
    index = (np.arange(count) + rng.uniform(-0.22, 0.22, count)) * len(wall.outline) / count
    index = index.astype(int) % len(wall.outline)
    start = (
        base
        + rng.normal(2.4, 1.4, count)
        + (rng.random(count) < 0.25) * rng.uniform(2.0, 9.0, count)
    )
    short = rng.random(count) < 0.25
    end = start + np.where(short, rng.uniform(6.0, 12.0, count), wall.inradius)
    width = rng.uniform(3.0, 5.4, count)
    chains, owners, radii = [], [], []
    for cell in np.flatnonzero(rng.random(count) < 0.9):
        depth = np.arange(start[cell], min(end[cell], opening - 0.5), 1.3)
        points, real = wall.below(np.full(len(depth), index[cell]), depth)
        # Cells narrow towards the centre, as the sectors of a circle do.
        taper = np.clip(1.0 - 0.55 * (depth - base) / wall.inradius, 0.4, 1.0)
        taper *= rng.uniform(0.85, 1.1, len(depth))
        chains.append(points[real])
        owners.append(np.full(int(real.sum()), cell, dtype=np.int64))
        radii.append((width[cell] * taper)[real])
    if not chains:
        return np.zeros((0, 2)), np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.vstack(chains), np.concatenate(owners), np.concatenate(radii)


def _vacuoles(
    wall: Wall, points: FloatArray, owner: IntArray, radius: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Mucin cover 0 .. 1 and the goblet cell nearest to each pixel."""
    count = min(14, len(points))
    position = np.stack([wall.y, wall.x], axis=-1)
    distance, found = cKDTree(points).query(position, k=count, workers=1)
    distance, found = distance.reshape(*wall.shape, -1), found.reshape(*wall.shape, -1)
    reach = distance - radius[found]
    first = reach.argmin(axis=-1)
    own = np.take_along_axis(owner[found], first[..., None], axis=-1)
    nearest = np.take_along_axis(reach, first[..., None], axis=-1)[..., 0]
    other = np.where(owner[found] == own, np.inf, reach).min(axis=-1)
    septum = np.where(np.isfinite(other), other - nearest, 9.0)
    return smoothstep(0.5, -0.7, nearest) * smoothstep(0.2, 1.7, septum), own[..., 0]


def fill_open(
    wall: Wall,
    lumen: FloatArray,
    hematoxylin: FloatArray,
    eosin: FloatArray,
    recipe: Recipe,
    seed: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """An empty lumen with a pink apical rim, and necrotic debris in some."""
    apical = smoothstep(-10.0, -1.0, lumen)
    hematoxylin = hematoxylin * (1.0 - 0.35 * apical)
    eosin = eosin * (1.0 + 0.25 * apical)
    y, x = wall.y, wall.x
    edge = lumen + 0.9 * value_noise(seed, _CHANNEL + 9, y, x, 4.0)
    empty = smoothstep(-0.6, 0.9, edge)
    amount = rng.uniform(-0.5, 0.8) if rng.random() < 0.7 else -1.0
    clumps = 0.65 * value_noise(seed, _CHANNEL + 10, y, x, 24.0) + 0.45 * value_noise(
        seed, _CHANNEL + 11, y, x, 6.0
    )
    debris = smoothstep(-0.12, 0.3, clumps + amount) * smoothstep(0.5, 7.0, lumen)
    grain = value_noise(seed, _CHANNEL + 12, y, x, 2.4)
    dust = smoothstep(0.62, 0.85, value_noise(seed, _CHANNEL + 13, y, x, 5.0)) * debris
    hematoxylin = _blend(hematoxylin, 0.02 + debris * (0.1 + 0.1 * grain) + 1.0 * dust, empty)
    eosin = _blend(eosin, 0.025 + debris * (0.36 + 0.26 * grain), empty)
    return hematoxylin, eosin


def epithelial_nuclei(
    wall: Wall, lumen: FloatArray, recipe: Recipe, rng: np.random.Generator
) -> Nuclei:
    """Nuclei that stand on the outline, their long axis towards the centre."""
    columns = max(int(wall.length / recipe.nuclear_spacing), 4)
    place = np.repeat(np.arange(columns), recipe.nuclear_rows) / columns
    count = len(place)
    index = (place * len(wall.outline) + rng.normal(0.0, 1.1 / wall.spacing, count)).astype(int)
    index %= len(wall.outline)
    low, high = recipe.nuclear_depth
    row = np.tile(np.arange(recipe.nuclear_rows), columns)
    level = (row + rng.uniform(0.0, 1.0, count)) / recipe.nuclear_rows
    depth = wall.border(recipe) * (low + (high - low) * level)
    depth = np.maximum(depth, recipe.nucleus[0] * 0.82)
    centre, real = wall.below(index, depth)
    spread = np.exp(rng.normal(0.0, 0.13, (count, 2)))
    inward = wall.inward[index]
    nuclei = Nuclei(
        centre=centre,
        semi_axes=np.array(recipe.nucleus) * spread,
        angle=np.arctan2(inward[:, 0], inward[:, 1]) + rng.normal(0.0, 0.2, count),
        stain=rng.uniform(*recipe.nuclear_stain, count),
        vesicular=np.clip(rng.normal(0.25 if recipe.mucinous else 0.6, 0.25, count), 0.0, 1.0),
    )
    nuclei = nuclei.select(real & (rng.random(count) < 0.94))
    return (
        nuclei
        if recipe.mucinous
        else join_nuclei(nuclei, _crowded_nuclei(wall, lumen, recipe, rng))
    )


def _crowded_nuclei(
    wall: Wall, lumen: FloatArray, recipe: Recipe, rng: np.random.Generator
) -> Nuclei:
    """Nuclei in the parts of a wall that are thicker than the rest, lying any way."""
    step = max(round(5.8 / wall.grid.fine_mpp), 1)
    offset = rng.integers(0, step, 2)
    site = (slice(int(offset[0]), None, step), slice(int(offset[1]), None, step))
    thick = (wall.depth[site] > recipe.nuclear_depth[1] * wall.border(recipe)) & (
        lumen[site] < -9.0
    )
    centre = np.stack([wall.y[site][thick], wall.x[site][thick]], axis=1)
    count = len(centre)
    return Nuclei(
        centre=centre + rng.uniform(-2.0, 2.0, (count, 2)),
        semi_axes=np.array(recipe.nucleus) * rng.uniform(0.75, 1.05, (count, 2)),
        angle=rng.uniform(0.0, np.pi, count),
        stain=rng.uniform(*recipe.nuclear_stain, count),
        vesicular=np.clip(rng.normal(0.6, 0.25, count), 0.0, 1.0),
    )


def _blend(under: FloatArray, over: FloatArray, cover: FloatArray) -> FloatArray:
    return under + (over - under) * cover
