"""Nuclei: what haematoxylin stains, drawn as soft ellipses with a rim and grainy chromatin."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .noise import FloatArray, hash_uniform, smoothstep, value_noise

_CHANNEL_LOBES, _CHANNEL_CHROMATIN = 200, 210
_FAR = 1e3
# Where a nucleus ends and where it is in full, relative to its outline.
_EDGE = (1.2, 0.78)


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one place; all arrays have one entry per nucleus.

    Attributes
    ----------
    centre : ndarray, (n, 2)
        (y, x) in um.
    semi_axes : ndarray, (n, 2)
        In um, along the direction of `angle` and across it.
    angle : ndarray, (n,)
        Direction of the first axis, ``atan2(dy, dx)``.
    stain : ndarray, (n,)
        Haematoxylin, optical density.
    vesicular : ndarray, (n,)
        0 for evenly dark, 1 for a pale inside with a dark rim.
    """

    centre: FloatArray
    semi_axes: FloatArray
    angle: FloatArray
    stain: FloatArray
    vesicular: FloatArray

    def __len__(self) -> int:
        return len(self.angle)

    def select(self, keep: npt.NDArray[np.bool_]) -> Nuclei:
        """The nuclei of a boolean mask."""
        return Nuclei(
            self.centre[keep],
            self.semi_axes[keep],
            self.angle[keep],
            self.stain[keep],
            self.vesicular[keep],
        )


def join_nuclei(*parts: Nuclei) -> Nuclei:
    """All nuclei of several groups."""
    return Nuclei(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Nuclei))
    )


def paint_nuclei(
    nuclei: Nuclei, shape: tuple[int, int], origin: tuple[int, int], mpp: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Draw nuclei on a window of the pixel grid.

    Parameters
    ----------
    nuclei : Nuclei
    shape : (int, int)
        Height and width of the window, px.
    origin : (int, int)
        Row and column of its first pixel.
    mpp : float
        um per pixel.
    seed : int

    Returns
    -------
    stain : ndarray, (Y, X)
        Haematoxylin; nuclei do not overlap, the nearer one counts.
    cover : ndarray, (Y, X)
        0 .. 1: how much of the pixel is nucleus.
    """
    if not len(nuclei):
        return np.zeros(shape), np.zeros(shape)
    half = int(np.ceil(1.35 * nuclei.semi_axes.max() / mpp)) + 1
    middle = np.floor(nuclei.centre / mpp).astype(np.int64) - origin
    inside = np.all((middle >= -half) & (middle < np.array(shape) + half), axis=1)
    nuclei, middle = nuclei.select(inside), middle[inside]
    stain, cover = (np.zeros((shape[0] + 4 * half + 2, shape[1] + 4 * half + 2)) for _ in range(2))
    if len(nuclei):
        step = np.arange(-half, half + 1)
        rows = middle[:, 0, None, None] + step[None, :, None]
        columns = middle[:, 1, None, None] + step[None, None, :]
        y = (rows + origin[0] + 0.5) * mpp + np.zeros(columns.shape)
        x = (columns + origin[1] + 0.5) * mpp + np.zeros(rows.shape)
        at = (rows + 2 * half) + np.zeros_like(columns), (columns + 2 * half) + np.zeros_like(rows)
        radius = _radii(nuclei, y, x, seed)
        # The grids' size depends on what else is drawn: nothing beyond the edge may count.
        radius = np.where(radius < _EDGE[0], radius, _FAR)
        # The nucleus in whose middle a pixel lies most counts; a pale line parts it from others.
        first, second = (np.full(stain.shape, _FAR) for _ in range(2))
        np.minimum.at(first, at, radius)
        np.minimum.at(second, at, np.where(radius > first[at], radius, _FAR))
        parted = 0.4 + 0.6 * smoothstep(0.0, 0.32, np.minimum(second - first, 1.0)[at])
        amount = np.where(radius <= first[at], _stain(nuclei, radius, y, x, seed), 0.0)
        np.maximum.at(stain, at, amount * parted)
        np.maximum.at(cover, at, _edge(radius))
    crop = (slice(2 * half, 2 * half + shape[0]), slice(2 * half, 2 * half + shape[1]))
    return stain[crop], cover[crop]


def _radii(nuclei: Nuclei, y: FloatArray, x: FloatArray, seed: int) -> FloatArray:
    """Distance from each nucleus's centre, 1 on its outline, over its own grid (n, P, P)."""
    dy = y - nuclei.centre[:, 0, None, None]
    dx = x - nuclei.centre[:, 1, None, None]
    sine, cosine = np.sin(nuclei.angle)[:, None, None], np.cos(nuclei.angle)[:, None, None]
    along = (dy * sine + dx * cosine) / nuclei.semi_axes[:, 0, None, None]
    across = (dx * sine - dy * cosine) / nuclei.semi_axes[:, 1, None, None]
    radius = np.hypot(along, across)
    turn = np.arctan2(across, along)
    # Hash the position itself, so that a nucleus looks the same from whichever window.
    key = np.floor(nuclei.centre * 1000.0).astype(np.int64)
    for harmonic, amplitude in ((2, 0.07), (3, 0.08), (5, 0.04)):
        phase = hash_uniform(seed, _CHANNEL_LOBES + harmonic, key[:, 0], key[:, 1])
        radius *= 1.0 + amplitude * np.cos(harmonic * turn + 2.0 * np.pi * phase[:, None, None])
    return radius


def _edge(radius: FloatArray) -> FloatArray:
    return smoothstep(*_EDGE, radius)


def _stain(
    nuclei: Nuclei, radius: FloatArray, y: FloatArray, x: FloatArray, seed: int
) -> FloatArray:
    """Haematoxylin of each nucleus over its own grid, (n, P, P)."""
    grain = 0.6 * value_noise(seed, _CHANNEL_CHROMATIN, y, x, 1.9)
    grain += 0.4 * value_noise(seed, _CHANNEL_CHROMATIN + 1, y, x, 1.0)
    vesicular = nuclei.vesicular[:, None, None]
    hollow = vesicular * 0.66 * smoothstep(0.9, 0.4, radius)
    texture = 1.0 - hollow + (0.18 + 0.3 * vesicular) * grain
    return nuclei.stain[:, None, None] * _edge(radius) * np.clip(texture, 0.2, 1.4)
