"""An endless stained tissue of which any window can be rendered, with its truth.

The image is a function of position, kind and seed: the tissue is cut into square blocks, a
block is rendered from its index alone, and a window is put together from blocks. So windows of
one tissue agree to the last bit wherever they overlap, in whatever order they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from .glands import STROMA, GlandStamp, draw_gland
from .layout import Cell, GlandLayout
from .noise import FloatArray, value_noise
from .recipe import KINDS, RECIPES, Kind
from .stain import Stain
from .stroma import REACH_UM, Stroma
from .wall import PixelGrid

BLOCK = 256
_FINEST_UM, _COARSEST_UM, _DRAWN_UM = 0.15, 3.0, 0.7
_FOCUS_UM = (0.38, 0.7)
_NOISE_LEVELS = 2.6
_CHANNEL = 700


@dataclass(frozen=True)
class SyntheticField:
    """A window of synthetic tissue with its truth.

    Attributes
    ----------
    image : ndarray of uint8, (Y, X, 3)
    regions : ndarray of uint8, (Y, X)
        1 stroma, 2 epithelium, 3 lumen.
    glands : ndarray of int32, (Y, X)
        Gland instances, 0 elsewhere.
    kind : str
        ``"benign"`` or ``"malignant"``: the class of the image.
    mpp : float
        um per pixel.
    """

    image: npt.NDArray[np.uint8]
    regions: npt.NDArray[np.uint8]
    glands: npt.NDArray[np.int32]
    kind: Kind
    mpp: float


class SyntheticTissue:
    """Synthetic H&E stained colon of one kind, without borders.

    Parameters
    ----------
    kind : {"benign", "malignant"}
    seed : int
        From 0; another seed is another slide, with other glands and slightly other dyes.
    mpp : float
        um per pixel, 0.15 .. 3.

    Raises
    ------
    ValueError
        If a parameter is outside of its range.

    Notes
    -----
    `render` may be called from several threads. Copies sent to other processes start with
    empty caches.

    Examples
    --------
    >>> tissue = SyntheticTissue("benign", seed=3, mpp=0.62)
    >>> tissue.render(90_000, 40_000, 256, 512).image.shape
    (256, 512, 3)
    """

    def __init__(self, kind: Kind, seed: int = 0, mpp: float = 0.62) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}.")
        if not _FINEST_UM <= mpp <= _COARSEST_UM:
            raise ValueError(f"mpp must lie in {_FINEST_UM} .. {_COARSEST_UM} um, not {mpp}.")
        self.kind, self.seed, self.mpp = kind, int(seed), float(mpp)
        self._recipe = RECIPES[kind]
        # Kinds of one seed share nothing.
        self._world = 2 * self.seed + KINDS.index(kind)
        self._grid = PixelGrid(self.mpp, int(np.ceil(self.mpp / _DRAWN_UM)))
        self._layout = GlandLayout(self._recipe, self._world)
        self._stroma = Stroma(self._recipe, self._layout, self._world)
        self._stain = Stain.of_slide(self._world)
        self._stamp = lru_cache(maxsize=96)(self._draw_stamp)
        self._block = lru_cache(maxsize=48)(self._render_block)

    def __reduce__(self) -> tuple[Callable[..., SyntheticTissue], tuple[Kind, int, float]]:
        return SyntheticTissue, (self.kind, self.seed, self.mpp)

    def render(self, y: int, x: int, height: int, width: int) -> SyntheticField:
        """Render a window.

        Parameters
        ----------
        y, x : int
            First row and column, px; may be negative.
        height, width : int
            At least 1.

        Returns
        -------
        SyntheticField
            Its `glands` hold labels that are unique in the whole tissue, so that windows can
            be put together; a gland that leaves the window may show in several pieces. See
            `make_field` for labels 1 .. n.

        Raises
        ------
        ValueError
            If the window is empty.
        """
        if height < 1 or width < 1:
            raise ValueError(f"A window has at least 1 x 1 pixels, not {height} x {width}.")
        image = np.empty((height, width, 3), dtype=np.uint8)
        regions = np.empty((height, width), dtype=np.uint8)
        glands = np.empty((height, width), dtype=np.int32)
        for row in range(y // BLOCK, (y + height - 1) // BLOCK + 1):
            for column in range(x // BLOCK, (x + width - 1) // BLOCK + 1):
                corner = (row * BLOCK, column * BLOCK)
                target, source = _overlap((y, x), (height, width), corner, (BLOCK, BLOCK))
                block = self._block(row, column)
                image[target] = block.image[source]
                regions[target] = block.regions[source]
                glands[target] = block.glands[source]
        return SyntheticField(image, regions, glands, self.kind, self.mpp)

    def _draw_stamp(self, cell: Cell) -> GlandStamp:
        return draw_gland(self._layout.outline(cell), cell, self._recipe, self._world, self._grid)

    def _render_block(self, row: int, column: int) -> SyntheticField:
        k, fine = self._grid.oversampling, self._grid.fine_mpp
        margin = int(np.ceil((REACH_UM + 11.0) / self.mpp))
        y, x, size = row * BLOCK - margin, column * BLOCK - margin, BLOCK + 2 * margin
        stamps = self._stamps_near(y, x, size)
        regions, glands = _paste_truth(stamps, y, x, size)
        cover, gland_h, gland_e = _paste_stains(stamps, y * k, x * k, size * k, k)
        outside = np.full((size * k, size * k), REACH_UM)
        if (cover > 0.5).any():
            outside = np.minimum(distance_transform_edt(cover <= 0.5) * fine, REACH_UM)
        origin = (y * k, x * k)
        stroma_h, stroma_e = self._stroma.draw(outside, origin, fine)
        hematoxylin = stroma_h * (1.0 - cover) + gland_h
        eosin = stroma_e * (1.0 - cover) + gland_e
        crop = (slice(margin, margin + BLOCK),) * 2
        image = self._develop(hematoxylin, eosin, origin)[crop]
        noise = np.random.default_rng([self._world, _CHANNEL, *_natural(row, column)])
        image = image + _NOISE_LEVELS * _grain(noise, image.shape)
        return SyntheticField(
            np.clip(np.rint(image), 0, 255).astype(np.uint8),
            regions[crop],
            glands[crop],
            self.kind,
            self.mpp,
        )

    def _stamps_near(self, y: int, x: int, size: int) -> list[GlandStamp]:
        window = (y * self.mpp, x * self.mpp, (y + size) * self.mpp, (x + size) * self.mpp)
        stamps = []
        for cell in self._layout.cells_near(*window):
            outline = self._layout.outline(cell)
            low, high = outline.min(axis=0) - 5.0, outline.max(axis=0) + 5.0
            if (high > window[:2]).all() and (low < window[2:]).all():
                stamps.append(self._stamp(cell))
        return stamps

    def _develop(
        self, hematoxylin: FloatArray, eosin: FloatArray, origin: tuple[int, int]
    ) -> FloatArray:
        """Light through the stained section, slightly out of focus; image pixels, float."""
        fine, seed = self._grid.fine_mpp, self._world
        rows, columns = np.mgrid[: hematoxylin.shape[0], : hematoxylin.shape[1]]
        y, x = (rows + origin[0] + 0.5) * fine, (columns + origin[1] + 0.5) * fine
        thickness = 1.0 + 0.07 * value_noise(seed, _CHANNEL + 1, y, x, 330.0)
        balance = 0.06 * value_noise(seed, _CHANNEL + 2, y, x, 240.0)
        # Proteins take up dye in grains of about a micrometre, in whatever tissue.
        grain = 0.2 * value_noise(seed, _CHANNEL + 4, y, x, 1.5)
        grain += 0.16 * value_noise(seed, _CHANNEL + 5, y, x, 3.6)
        rgb = self._stain.to_rgb(
            np.clip(hematoxylin, 0.0, None) * (thickness + balance + grain),
            np.clip(eosin, 0.0, None) * (thickness - balance + 1.3 * grain),
        )
        sharp, soft = (gaussian_filter(rgb, (um / fine, um / fine, 0.0)) for um in _FOCUS_UM)
        focus = 0.5 + 0.5 * value_noise(seed, _CHANNEL + 3, y, x, 280.0)[..., None]
        blurred = sharp + (soft - sharp) * focus
        k = self._grid.oversampling
        height, width = (n // k for n in hematoxylin.shape)
        pooled: FloatArray = blurred.reshape(height, k, width, k, 3).mean(axis=(1, 3))
        return pooled


def make_field(
    kind: Kind, height: int, width: int, mpp: float = 0.62, seed: int = 0
) -> SyntheticField:
    """A field of view of its own, with glands numbered from 1.

    Parameters
    ----------
    kind : {"benign", "malignant"}
    height, width : int
        Size in px.
    mpp : float
        um per pixel.
    seed : int
        The same arguments give the same field.

    Returns
    -------
    SyntheticField
        Its truth respects the topology: each label is one 4-connected piece without holes,
        lumen lies in a gland and does not touch stroma. Pieces of a gland that the field's
        edge cuts apart count as several.

    Raises
    ------
    ValueError
        If a parameter is outside of its range.
    """
    field = SyntheticTissue(kind, seed, mpp).render(0, 0, height, width)
    return SyntheticField(
        field.image, field.regions, number_pieces(field.glands), field.kind, field.mpp
    )


def number_pieces(glands: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Labels 1 .. n, one for each 4-connected piece of each gland."""
    numbered = np.zeros_like(glands)
    total = 0
    for gland in np.unique(glands[glands > 0]):
        pieces, count = label(glands == gland)
        numbered[pieces > 0] = pieces[pieces > 0] + total
        total += count
    return numbered


def _paste_truth(
    stamps: list[GlandStamp], y: int, x: int, size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    regions = np.full((size, size), STROMA, dtype=np.uint8)
    glands = np.zeros((size, size), dtype=np.int32)
    for stamp in stamps:
        target, source = _overlap((y, x), (size, size), (stamp.y, stamp.x), stamp.regions.shape)
        gland = stamp.regions[source] > 0
        regions[target][gland] = stamp.regions[source][gland]
        glands[target][gland] = stamp.label
    return regions, glands


def _paste_stains(
    stamps: list[GlandStamp], y: int, x: int, size: int, oversampling: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cover, haematoxylin and eosin of all glands; the stains already weighted by cover."""
    cover, hematoxylin, eosin = (np.zeros((size, size)) for _ in range(3))
    for stamp in stamps:
        corner = (stamp.y * oversampling, stamp.x * oversampling)
        target, source = _overlap((y, x), (size, size), corner, stamp.cover.shape)
        cover[target] += stamp.cover[source]
        hematoxylin[target] += stamp.cover[source] * stamp.hematoxylin[source]
        eosin[target] += stamp.cover[source] * stamp.eosin[source]
    return np.minimum(cover, 1.0), hematoxylin, eosin


def _overlap(
    window: tuple[int, int],
    shape: tuple[int, int],
    tile: tuple[int, int],
    tile_shape: tuple[int, int],
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a tile falls into a window: slices of the window, and of the tile."""
    target, source = [], []
    for start, length, tile_start, tile_length in zip(window, shape, tile, tile_shape, strict=True):
        low = max(start, tile_start)
        high = max(low, min(start + length, tile_start + tile_length))
        target.append(slice(low - start, high - start))
        source.append(slice(low - tile_start, high - tile_start))
    return (target[0], target[1]), (source[0], source[1])


def _natural(*index: int) -> list[int]:
    """Whole numbers mapped one to one to natural ones: 0, -1, 1, -2 ..."""
    return [2 * n if n >= 0 else -2 * n - 1 for n in index]


def _grain(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Sensor noise of unit variance, mostly common to the colours."""
    grey, colour = rng.standard_normal((*shape[:2], 1)), rng.standard_normal(shape)
    grain: FloatArray = 0.85 * grey + 0.53 * colour
    return grain
