"""Who made a TIFF, and where its maker wrote down how large a pixel is.

Every maker of scanners has a place of his own for that. To add one: a function that gives the
pixel size, and a line in `MAKERS`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from tifffile import TiffFile, TiffPage, TiffPageSeries

from .pixel_size import (
    UM_PER_INCH,
    UNKNOWN_PIXEL_SIZE,
    PixelSize,
    first_known,
    from_lengths,
    from_resolution,
    objective_hint,
    um_per_unit,
)

_NUMBER = r"\s*=\s*([0-9.]+(?:[eE][-+]?\d+)?)"
_MM = 1000.0


@dataclass(frozen=True)
class Maker:
    """A maker of TIFFs.

    Attributes
    ----------
    vendor : str or None
        Who made the scanner; None where the format is everybody's.
    format : str
        As shown to users.
    made : callable (TiffFile) -> bool
        Whether a file is of this kind.
    pixel_size : callable (TiffFile, TiffPageSeries) -> PixelSize
        Of the largest level of the series. The resolution tags are asked after it.
    """

    vendor: str | None
    format: str
    made: Callable[[TiffFile], bool]
    pixel_size: Callable[[TiffFile, TiffPageSeries], PixelSize]


def maker_of(tif: TiffFile) -> Maker:
    """Who made a file; the last of `MAKERS` where nothing tells."""
    return next(maker for maker in MAKERS if maker.made(tif))


def tiff_pixel_size(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    """The pixel size as the maker says, else as the resolution tags say."""
    own = maker_of(tif).pixel_size(tif, series)
    return first_known(own, _tagged(series.keyframe, "The TIFF resolution tag"))


# ------------------------------------------------------------------ makers


def _aperio(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    text = tif.pages.first.description
    mpp = _number(text, "MPP")
    if mpp is None:
        return objective_hint(_number(text, "AppMag"))
    return from_lengths(mpp, mpp, "The Aperio description (MPP)")


def _hamamatsu(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    size = _tagged(series.keyframe, "The Hamamatsu resolution tag")
    power = series.keyframe.tags.valueof(65421)
    return first_known(size, objective_hint(power if isinstance(power, float) else None))


def _akoya(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    return _tagged(series.keyframe, "The Akoya resolution tag")


def _leica(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    return _tagged(series.keyframe, "The Leica resolution tag")


def _ventana(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    for element in ventana_metadata(tif):
        if element.tag == "iScan" and "ScanRes" in element.attrib:
            mpp = _float(element.attrib["ScanRes"])
            return from_lengths(mpp, mpp, "The Ventana metadata (ScanRes)")
    return UNKNOWN_PIXEL_SIZE


def _philips(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    for element in _xml(tif.pages.first.description):
        if element.attrib.get("Name") == "DICOM_PIXEL_SPACING" and element.text:
            lengths = [_float(word) for word in element.text.replace('"', " ").split()]
            if len(lengths) == 2:
                y, x = (length * _MM for length in lengths)
                return from_lengths(y, x, "The Philips metadata (DICOM_PIXEL_SPACING)")
    return UNKNOWN_PIXEL_SIZE


def _ome(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    pixels = ome_pixels(tif, series)
    if pixels is None:
        return UNKNOWN_PIXEL_SIZE
    sizes = []
    for axis in "YX":
        if f"PhysicalSize{axis}" not in pixels:
            return UNKNOWN_PIXEL_SIZE
        unit = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        sizes.append(_float(pixels[f"PhysicalSize{axis}"]) * (unit or float("nan")))
    if np.isnan(sizes).any():
        return PixelSize(None, "The OME metadata gives a pixel size in no unit of length.")
    return from_lengths(sizes[0], sizes[1], "The OME metadata")


def _imagej(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    unit = um_per_unit((tif.imagej_metadata or {}).get("unit"))
    resolution = _resolution(tif.pages.first)
    if unit is None or resolution is None:
        return UNKNOWN_PIXEL_SIZE
    return from_lengths(unit / resolution[0], unit / resolution[1], "ImageJ's calibration")


def _nobody(tif: TiffFile, series: TiffPageSeries) -> PixelSize:
    return UNKNOWN_PIXEL_SIZE


MAKERS = (
    Maker("Aperio", "SVS", lambda tif: tif.is_svs, _aperio),
    Maker("Hamamatsu", "NDPI", lambda tif: tif.is_ndpi, _hamamatsu),
    Maker("Leica", "SCN", lambda tif: tif.is_scn, _leica),
    Maker("Ventana", "BIF", lambda tif: tif.is_bif, _ventana),
    Maker("Akoya", "QPTIFF", lambda tif: tif.is_qpi, _akoya),
    Maker("Philips", "Philips TIFF", lambda tif: tif.is_philips, _philips),
    Maker(None, "OME-TIFF", lambda tif: tif.is_ome, _ome),
    Maker(None, "TIFF", lambda tif: tif.is_imagej, _imagej),
    Maker(None, "TIFF", lambda tif: True, _nobody),
)


# ------------------------------------------------------------------ where they write


def ome_pixels(tif: TiffFile, series: TiffPageSeries) -> dict[str, str] | None:
    """The attributes of the OME element Pixels that has the size of `series`."""
    if not tif.is_ome or not tif.ome_metadata:
        return None
    sizes = dict(zip(series.axes, series.shape, strict=True))
    wanted = (str(sizes["Y"]), str(sizes["X"]))
    for element in _xml(tif.ome_metadata):
        if element.tag.rpartition("}")[2] == "Pixels":
            attributes = dict(element.attrib)
            if (attributes.get("SizeY"), attributes.get("SizeX")) == wanted:
                return attributes
    return None


def ventana_metadata(tif: TiffFile) -> Iterator[ElementTree.Element]:
    """All elements of the XML that Ventana writes into the XMP tag of each page."""
    for page in tif.pages:
        packet = page.tags.valueof(700) if isinstance(page, TiffPage) else None
        if isinstance(packet, bytes | str):
            text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet
            yield from _xml(text)


def philips_pictures(tif: TiffFile) -> Iterator[tuple[str, str]]:
    """The names and the base64 texts of the JPEG pictures that Philips puts into its XML."""
    kinds = {"LABELIMAGE": "label", "MACROIMAGE": "macro"}
    for scanned in _xml(tif.pages.first.description):
        values = {
            child.attrib.get("Name"): (child.text or "").strip()
            for child in scanned
            if child.tag == "Attribute"
        }
        name = kinds.get(values.get("PIM_DP_IMAGE_TYPE", ""))
        if name and values.get("PIM_DP_IMAGE_DATA"):
            yield name, values["PIM_DP_IMAGE_DATA"]


def _xml(text: str | None) -> Iterator[ElementTree.Element]:
    """All elements of an XML text; none if it is no XML."""
    try:
        return ElementTree.fromstring((text or "").strip("\0 \r\n\t")).iter()
    except (ElementTree.ParseError, ValueError):
        return iter(())


def _number(text: str, name: str) -> float | None:
    """The number in ``|name = 0.5|``."""
    found = re.search(rf"\b{name}{_NUMBER}", text)
    value = _float(found.group(1)) if found else float("nan")
    return value if np.isfinite(value) else None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _tagged(page: TiffPage, source: str) -> PixelSize:
    resolution = _resolution(page)
    inches = {2: 1.0, 3: UM_PER_INCH / 1e4}.get(int(page.tags.valueof("ResolutionUnit", 2)))
    if resolution is None or inches is None:
        return UNKNOWN_PIXEL_SIZE
    y, x = resolution
    return from_resolution(y * inches, x * inches, source)


def _resolution(page: TiffPage) -> tuple[float, float] | None:
    """Pixels per unit, y and x, as the tags give them."""
    values = []
    for name in ("YResolution", "XResolution"):
        fraction = page.tags.valueof(name)
        if not (isinstance(fraction, tuple) and len(fraction) == 2 and all(fraction)):
            return None
        values.append(fraction[0] / fraction[1])
    return values[0], values[1]
