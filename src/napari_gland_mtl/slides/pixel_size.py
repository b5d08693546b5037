"""How large is a pixel? What files say, in whatever unit, turned into micrometres or refused.

Files give a size per pixel (OME, OME-Zarr, Aperio), pixels per unit (TIFF, PNG and JPEG
resolution) or nothing. Resolution fields mostly hold a print resolution (72 dpi), which would
make a gland as large as a hand. A size is therefore believed only if a microscope could have
made it; otherwise it is None, with a note that tells the user why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InvalidInputError

SMALLEST_MPP = 0.05
LARGEST_MPP = 20.0
_SQUARE_TOLERANCE = 0.05
_LARGEST_PRINT_DPI = 9600.0
_PRINT_STEPS = (72.0, 96.0, 100.0)
UM_PER_INCH = 25400.0

_UM_PER_UNIT = {
    "angstrom": 1e-4,
    "å": 1e-4,
    "nanometer": 1e-3,
    "nm": 1e-3,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "millimeter": 1e3,
    "mm": 1e3,
    "centimeter": 1e4,
    "cm": 1e4,
    "decimeter": 1e5,
    "dm": 1e5,
    "meter": 1e6,
    "m": 1e6,
    "inch": UM_PER_INCH,
    "in": UM_PER_INCH,
    "pt": UM_PER_INCH / 72.0,
}


@dataclass(frozen=True)
class PixelSize:
    """A pixel size, or the reason why there is none.

    Attributes
    ----------
    mpp : float or None
        Micrometres per pixel; None where unknown or implausible.
    note : str or None
        For the user, why `mpp` is None; None where it is known.
    """

    mpp: float | None = None
    note: str | None = "The file says nothing about its pixel size."


UNKNOWN_PIXEL_SIZE = PixelSize()


def checked_mpp(value: float) -> float:
    """Give `value` back, as a number of um per pixel that an image may have.

    Raises
    ------
    InvalidInputError
        If no microscope image has pixels of that size.
    """
    if plausible_mpp(value) is None:
        raise InvalidInputError(
            f"A pixel size of {value:g} um is not possible here: give micrometres per pixel, "
            f"from {SMALLEST_MPP:g} to {LARGEST_MPP:g} (a 20x scan has about 0.5)."
        )
    return float(value)


def plausible_mpp(value: float | None) -> float | None:
    """Give `value` back if a microscope's pixel could have that size, else None.

    Parameters
    ----------
    value : float or None
        Micrometres per pixel.

    Returns
    -------
    float or None
        `value` where it lies within 0.05 to 20 um, None otherwise (NaN included).

    Examples
    --------
    >>> plausible_mpp(0.5)
    0.5
    >>> plausible_mpp(352.8) is None  # 72 dpi
    True
    """
    if value is None or not math.isfinite(value):
        return None
    return float(value) if SMALLEST_MPP <= value <= LARGEST_MPP else None


def um_per_unit(unit: str | None) -> float | None:
    """Micrometres in one `unit` of length; None for pixels and for unknown units."""
    if unit is None:
        return None
    # ImageJ escapes the micro sign; Unicode has two of them (U+00B5, U+03BC).
    name = unit.strip().replace("\\u00B5", "µ").replace("\u03bc", "µ")
    # "Å" and "å" are one character in two cases, and so are most units people type.
    return _UM_PER_UNIT.get(name.lower())


def from_lengths(y: float, x: float, source: str) -> PixelSize:
    """Judge a pixel's height and width.

    Parameters
    ----------
    y, x : float
        Height and width of a pixel, um.
    source : str
        Who says so, for the note, e.g. ``"The OME metadata"``.

    Returns
    -------
    PixelSize
        Their mean, or none if they are implausible or differ by more than 5 %.
    """
    if plausible_mpp(y) is None or plausible_mpp(x) is None:
        return PixelSize(
            None,
            f"{source} gives {y:.6g} x {x:.6g} um per pixel, which no microscope image has "
            f"({SMALLEST_MPP:g} to {LARGEST_MPP:g} um).",
        )
    if abs(y - x) > _SQUARE_TOLERANCE * max(y, x):
        return PixelSize(None, f"{source} gives pixels that are not square: {y:g} x {x:g} um.")
    return PixelSize((y + x) / 2.0, None)


def from_resolution(y_dpi: float, x_dpi: float, source: str) -> PixelSize:
    """Judge a resolution field, which as a rule is meant for a printer.

    Parameters
    ----------
    y_dpi, x_dpi : float
        Pixels per inch.
    source : str
        Who says so, for the note, e.g. ``"The PNG header"``.

    Returns
    -------
    PixelSize
        None for round print resolutions up to 9600 dpi and for implausible sizes.
    """
    if not (math.isfinite(y_dpi) and math.isfinite(x_dpi) and y_dpi > 0 and x_dpi > 0):
        return UNKNOWN_PIXEL_SIZE
    if _is_print_resolution(x_dpi):
        return PixelSize(
            None, f"{source} gives {x_dpi:.4g} dpi, a print resolution and not a pixel size."
        )
    return from_lengths(UM_PER_INCH / y_dpi, UM_PER_INCH / x_dpi, source)


def objective_hint(power: float | None) -> PixelSize:
    """No size, and what the objective's magnification suggests, which is never used unasked.

    Parameters
    ----------
    power : float or None
        20 for a 20x objective; None or not above 0 where unknown.
    """
    if power is None or not (math.isfinite(power) and power > 0):
        return UNKNOWN_PIXEL_SIZE
    return PixelSize(
        None,
        f"{UNKNOWN_PIXEL_SIZE.note} Its objective is {power:g}x, which often means about "
        f"{10.0 / power:.2g} um per pixel.",
    )


def _is_print_resolution(dpi: float) -> bool:
    """Whether it is too coarse for a microscope, or round in the way of printers."""
    if dpi < UM_PER_INCH / LARGEST_MPP:
        return True
    if dpi > _LARGEST_PRINT_DPI + 1:
        return False
    # PNG and BMP store whole pixels per metre: 300 dpi comes back as 299.9994.
    return any(abs(dpi - step * round(dpi / step)) < 0.02 for step in _PRINT_STEPS)


def first_known(*candidates: PixelSize) -> PixelSize:
    """The first candidate with a size; failing that, the first that can say why not."""
    for candidate in candidates:
        if candidate.mpp is not None:
            return candidate
    for candidate in candidates:
        if candidate != UNKNOWN_PIXEL_SIZE:
            return candidate
    return UNKNOWN_PIXEL_SIZE
