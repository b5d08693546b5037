"""Random numbers that are a function of *where* they are asked for.

A tissue of any size can only be rendered window by window, and windows only fit together, if
the randomness at a place does not depend on what was drawn before. So every number here comes
from hashing (seed, channel, lattice position); smooth noise interpolates such numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GOLDEN = 0x9E3779B97F4A7C15
_ROW = np.uint64(0xD1B54A32D192ED03)
_COLUMN = np.uint64(0x8CB92BA72F3D8DD7)


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def hash_uniform(seed: int, channel: int, row: npt.ArrayLike, column: npt.ArrayLike) -> FloatArray:
    """Hash lattice positions to uniform numbers.

    Parameters
    ----------
    seed, channel : int
        The world and the use within it: other values give unrelated numbers.
    row, column : array of int
        Lattice positions, any sign; broadcast against each other.

    Returns
    -------
    ndarray of float64
        In [0, 1), of the broadcast shape.
    """
    key = np.uint64(((seed * 1_000_003 + channel) * _GOLDEN) % 2**64)
    rows = np.asarray(row, dtype=np.int64).astype(np.uint64)
    columns = np.asarray(column, dtype=np.int64).astype(np.uint64)
    # Products of 64-bit hashes wrap around on purpose.
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(np.atleast_1d(rows * _ROW) ^ key) + columns * _COLUMN)
    shape = np.broadcast_shapes(rows.shape, columns.shape)
    uniform: FloatArray = ((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)
    return uniform


def value_noise(
    seed: int, channel: int, y: FloatArray, x: FloatArray, wavelength: float
) -> FloatArray:
    """Smooth noise: hashed lattice values, interpolated with a quintic.

    Parameters
    ----------
    seed, channel : int
        As in `hash_uniform`.
    y, x : ndarray of float64
        Positions, of one shape.
    wavelength : float
        Distance between lattice points, in the unit of the positions.

    Returns
    -------
    ndarray of float64
        In [-1, 1], mean about 0, twice differentiable in `y` and `x`.
    """
    # Each channel's lattice is turned its own way, or squares would show.
    turn = 2.0 * np.pi * ((channel * 0.381966) % 1.0) + 0.35
    scale_cos, scale_sin = np.cos(turn) / wavelength, np.sin(turn) / wavelength
    scaled_y, scaled_x = scale_cos * y + scale_sin * x, scale_cos * x - scale_sin * y
    floor_y, floor_x = np.floor(scaled_y), np.floor(scaled_x)
    weight_y, weight_x = _fade(scaled_y - floor_y), _fade(scaled_x - floor_x)
    row, column = floor_y.astype(np.int64), floor_x.astype(np.int64)
    # Hash each lattice point once, not once per pixel that it touches.
    row0, column0 = int(row.min()), int(column.min())
    lattice = hash_uniform(
        seed,
        channel,
        np.arange(row0, int(row.max()) + 2)[:, None],
        np.arange(column0, int(column.max()) + 2)[None, :],
    )
    stride = lattice.shape[1]
    at = (row - row0) * stride + (column - column0)
    values = lattice.ravel()
    top = _lerp(values.take(at), values.take(at + 1), weight_x)
    bottom = _lerp(values.take(at + stride), values.take(at + stride + 1), weight_x)
    return 2.0 * _lerp(top, bottom, weight_y) - 1.0


def ridged_noise(
    seed: int, channel: int, y: FloatArray, x: FloatArray, wavelength: float
) -> FloatArray:
    """Noise in [0, 1] with thin bright ridges, as fibres and cracks have; see `value_noise`."""
    return 1.0 - np.abs(value_noise(seed, channel, y, x, wavelength))


def smoothstep(low: float, high: float, value: FloatArray) -> FloatArray:
    """0 below `low`, 1 above `high`, a smooth cubic between; `low` may exceed `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _fade(t: FloatArray) -> FloatArray:
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


def _lerp(first: FloatArray, second: FloatArray, weight: FloatArray) -> FloatArray:
    return first + (second - first) * weight
