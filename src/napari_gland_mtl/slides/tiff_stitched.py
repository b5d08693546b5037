"""TIFFs whose tiles overlap: two makers leave it to the reader to put the tiles together.

Read tile by tile such a slide would show the same tissue twice along every seam. OpenSlide
knows how the tiles lie.
"""

from __future__ import annotations

from tifffile import TiffFile

from ..errors import UnsupportedImageError
from .tiff_vendors import ventana_metadata


class OverlappingTilesError(UnsupportedImageError):
    """A TIFF that only OpenSlide puts together; the message names the maker."""


def refuse_overlapping(tif: TiffFile) -> None:
    """Refuse files whose tiles do not simply lie side by side.

    Raises
    ------
    OverlappingTilesError
    """
    if tif.is_bif and _ventana_needs_placing(tif):
        raise OverlappingTilesError("is a Ventana slide whose tiles overlap.")
    # Trestle also writes um per pixel where others write pixels per inch.
    if tif.pages.first.software.startswith("MedScan"):
        raise OverlappingTilesError("is a Trestle slide whose tiles overlap.")


def _ventana_needs_placing(tif: TiffFile) -> bool:
    """Whether neighbouring tiles share pixels, or several areas lie apart on the glass."""
    areas = 0
    for element in ventana_metadata(tif):
        if element.tag == "ImageInfo":
            areas += element.attrib.get("AOIScanned", "1").strip() != "0"
        if element.tag == "TileJointInfo" and any(
            _float(element.attrib.get(name)) != 0.0 for name in ("OverlapX", "OverlapY")
        ):
            return True
    return areas > 1


def _float(text: str | None) -> float:
    try:
        return float(text or 0.0)
    except ValueError:
        return 0.0
