"""Leica's SCN: which of its images are tissue, and where they lie on the glass.

A file describes the glass (the collection), one image of all of it (the macro photograph) and
one image for each area that was scanned, all in nanometres. OpenSlide lays the areas on a
canvas of the whole glass, and so is done here, so that coordinates agree.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tifffile import TiffFile, TiffPageSeries

from ..errors import UnreadableImageError, UnsupportedImageError
from .mosaic import MosaicPart, MosaicSlide
from .open_files import PositionalFile
from .slide import Box
from .tiff_pictures import accompanying_pictures
from .tiff_series import series_size
from .tiff_slide import TiffSlide, tissue_levels
from .tiff_vendors import maker_of, tiff_pixel_size

_RESOLUTION_TOLERANCE = 0.02


@dataclass(frozen=True)
class GlassArea:
    """One image of an SCN file.

    Attributes
    ----------
    series : TiffPageSeries
        Its pixels, with all levels.
    y, x, height, width : float
        What it shows of the glass, nm.
    macro : bool
        Whether it shows all of the glass.
    brightfield : bool
    """

    series: TiffPageSeries
    y: float
    x: float
    height: float
    width: float
    macro: bool
    brightfield: bool


@dataclass(frozen=True)
class GlassCanvas:
    """The canvas that areas are laid on.

    Attributes
    ----------
    shapes : tuple of (height, width)
        Pixels of each level.
    downsamples : tuple of float
    corners : tuple of tuple of (y, x)
        Of each area, for each level: its upper left pixel.
    """

    shapes: tuple[tuple[int, int], ...]
    downsamples: tuple[float, ...]
    corners: tuple[tuple[tuple[int, int], ...], ...]


def open_glass(tif: TiffFile, path: Path, name: str, file: PositionalFile) -> MosaicSlide:
    """Open an SCN file; `file` is closed with the slide."""
    areas, glass = glass_areas(tif)
    tissue = tissue_areas(areas)
    canvas = lay_out(tissue, glass)
    maker = maker_of(tif)
    parts = [
        MosaicPart(
            TiffSlide(
                tissue_levels(tif, area.series, file),
                file.close,
                name=name,
                path=path,
                format=maker.format,
            ),
            corners,
        )
        for area, corners in zip(tissue, canvas.corners, strict=True)
    ]
    if any(len(part.slide.levels) != len(canvas.shapes) for part in parts):
        raise UnreadableImageError("some of its levels are empty")
    used = [area.series for area in tissue]
    names = {area.series.keyframe.offset: "macro" for area in areas if area.macro}
    return MosaicSlide(
        parts,
        name=name,
        path=path,
        format=maker.format,
        vendor=maker.vendor,
        shapes=canvas.shapes,
        downsamples=canvas.downsamples,
        bounds=_bounds(parts),
        pixel_size=tiff_pixel_size(tif, used[0]),
        associated=accompanying_pictures(tif, used, path, file, names),
    )


def _bounds(parts: list[MosaicPart]) -> Box:
    """The smallest box on level 0 with all parts in it."""
    corners = [part.corners[0] for part in parts]
    sizes = [part.slide.levels[0] for part in parts]
    ends = [(y + size.height, x + size.width) for (y, x), size in zip(corners, sizes, strict=True)]
    return (
        min(y for y, _ in corners),
        min(x for _, x in corners),
        max(y for y, _ in ends),
        max(x for _, x in ends),
    )


def glass_areas(tif: TiffFile) -> tuple[list[GlassArea], tuple[float, float]]:
    """The images of an SCN file, and the height and width of the glass in nm.

    Raises
    ------
    UnsupportedImageError
        If a scanned area is fluorescence.
    """
    collection = _child(ElementTree.fromstring(tif.pages.first.description), "collection")
    glass = float(collection.attrib["sizeY"]), float(collection.attrib["sizeX"])
    images = [
        image
        for image in collection
        if _name(image) == "image"
        for part in image
        # tifffile makes a series of each such element, unless it has no images.
        if _name(part) == "pixels" and any(_name(child) == "dimension" for child in part)
    ]
    return [
        _area(image, series, glass) for image, series in zip(images, tif.series, strict=True)
    ], glass


def tissue_areas(areas: list[GlassArea]) -> list[GlassArea]:
    """The areas that were scanned for their tissue; the macro photograph if there is no other.

    Raises
    ------
    UnsupportedImageError
        If they are fluorescence.
    """
    scanned = [area for area in areas if not area.macro] or areas
    bright = [area for area in scanned if area.brightfield]
    if not bright:
        raise UnsupportedImageError(
            "is fluorescence and no stained section in bright field, which is needed here."
        )
    return bright


def lay_out(areas: list[GlassArea], glass: tuple[float, float]) -> GlassCanvas:
    """Place areas of one resolution on a canvas of the whole glass.

    Raises
    ------
    UnsupportedImageError
        If they differ in resolution or in their number of levels.
    """
    scales = [_nm_per_pixel(area) for area in areas]
    for own in scales:
        if len(own) != len(scales[0]) or any(
            abs(a - b) > _RESOLUTION_TOLERANCE * b for a, b in zip(own, scales[0], strict=True)
        ):
            raise UnsupportedImageError(
                "holds areas that were scanned at several resolutions. Save the one to segment "
                "as a TIFF."
            )
    finest = [min(level) for level in zip(*scales, strict=True)]
    return GlassCanvas(
        shapes=tuple((math.ceil(glass[0] / nm), math.ceil(glass[1] / nm)) for nm in finest),
        downsamples=tuple(nm / finest[0] for nm in finest),
        corners=tuple(
            tuple((round(area.y / nm), round(area.x / nm)) for nm in finest) for area in areas
        ),
    )


def _nm_per_pixel(area: GlassArea) -> list[float]:
    widths = (series_size(level)[1] for level in area.series.levels)
    return [area.width / width for width in widths]


def _area(
    image: ElementTree.Element, series: TiffPageSeries, glass: tuple[float, float]
) -> GlassArea:
    view = _child(image, "view").attrib
    y, x = float(view["offsetY"]), float(view["offsetX"])
    height, width = float(view["sizeY"]), float(view["sizeX"])
    sources = [part.text or "" for part in image.iter() if _name(part) == "illuminationSource"]
    return GlassArea(
        series=series,
        y=y,
        x=x,
        height=height,
        width=width,
        macro=(y, x, height, width) == (0.0, 0.0, *glass),
        brightfield=all(source.strip().lower() == "brightfield" for source in sources),
    )


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element:
    for child in element:
        if _name(child) == name:
            return child
    raise ValueError(f"its description lacks {name!r}")


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
