"""Slides that OpenSlide reads: MIRAX, Hamamatsu VMS, DICOM, Sakura, Zeiss and what it adds.

openslide-python and the library itself (openslide-bin) are the extra ``openslide``; the files
are recognised without it, so that the error can name it. OpenSlide is asked for tiles at fixed
places, which are kept: where levels do not divide evenly it interpolates, and a window has to
show the same pixels whatever its corner.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingExtraError, UnreadableImageError, UnsupportedImageError
from .file_errors import naming_file
from .open_files import SharedHandle
from .pixel_size import PixelSize, from_lengths, objective_hint
from .rgb import RGB
from .slide import Box
from .tiled import TiledSlide

if TYPE_CHECKING:
    import openslide

_TILE_SIDE = 512
_DARKEST_GLASS = 128
_VENDORS = {
    "aperio": "Aperio",
    "generic-tiff": None,
    "hamamatsu": "Hamamatsu",
    "leica": "Leica",
    "mirax": "3DHISTECH",
    "philips": "Philips",
    "sakura": "Sakura",
    "trestle": "Trestle",
    "ventana": "Ventana",
    "zeiss": "Zeiss",
}


def load_openslide(path: Path, kind: str) -> Any:
    """Import openslide-python.

    Parameters
    ----------
    path : Path
        For the error.
    kind : str
        What the file is, e.g. ``"a MIRAX slide"``.

    Raises
    ------
    MissingExtraError
        If it or its library is not installed.
    """
    try:
        import openslide
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f"{path} is {kind}, which is read through OpenSlide, and that is not installed "
            f"({str(error).splitlines()[0].rstrip('.')}). Run: "
            "pip install 'napari-gland-mtl[openslide]'"
        ) from error
    return openslide


def openslide_knows(path: Path) -> bool:
    """Whether OpenSlide is installed and would open the file. Imports it to find out."""
    if find_spec("openslide") is None:
        return False
    try:
        import openslide

        return openslide.OpenSlide.detect_format(path) is not None
    except (ImportError, OSError):
        return False


class OpenSlideSlide(TiledSlide):
    """A slide read through OpenSlide; see the module.

    Parameters
    ----------
    path : Path
    name : str
    kind : str
        For errors, e.g. ``"a MIRAX slide"``.
    format : str
        As shown to users, e.g. ``"MIRAX"``.

    Raises
    ------
    MissingExtraError
        If OpenSlide is not installed.
    UnsupportedImageError
        If OpenSlide knows files of this kind, but not this one.
    UnreadableImageError
        If the file is damaged.
    """

    def __init__(self, path: Path, name: str, kind: str, format: str) -> None:
        self._openslide = load_openslide(path, kind)
        self._path = path
        self._lock = Lock()
        self._slide = self._open()
        self._handle = SharedHandle(self._slide.close)
        with naming_file(path):
            properties = dict(self._slide.properties)
            sizes = self._slide.level_dimensions
            downsamples = self._slide.level_downsamples
            names = list(self._slide.associated_images)
        super().__init__(
            name=name,
            path=path,
            format=format,
            shapes=[(height, width) for width, height in sizes],
            downsamples=downsamples,
            vendor=_vendor(properties),
            bounds=_bounds(properties, sizes[0]),
            pixel_size=_pixel_size(properties),
            associated={item: lambda item=item: self._picture(item) for item in names},
        )
        self._background = _background(properties.get("openslide.background-color"))
        self._tiles = [_tile_shape(properties, level) for level in range(len(sizes))]

    def _open(self) -> openslide.OpenSlide:
        try:
            slide: openslide.OpenSlide = self._openslide.OpenSlide(self._path)
            return slide
        except self._openslide.OpenSlideUnsupportedFormatError as error:
            raise UnsupportedImageError(
                f"{self._path} is of a kind that OpenSlide does not read. Save it as TIFF."
            ) from error
        except (self._openslide.OpenSlideError, OSError) as error:
            raise UnreadableImageError(
                f"{self._path} cannot be opened by OpenSlide ({str(error).rstrip('.')}). Copy or "
                "export it again, with all the files that belong to it."
            ) from error

    def tile_shape(self, level: int) -> tuple[int, int]:
        """About half a screen, in whole tiles of the file where it has them."""
        return self._tiles[level]

    def _load_tile(self, level: int, row: int, column: int) -> RGB:
        height, width = self._cut_tile(level, row, column)
        y, x = row * self._tiles[level][0], column * self._tiles[level][1]
        downsample = self.levels[level].downsample
        corner = round(x * downsample), round(y * downsample)
        with self._handle.using():
            slide = self._slide
            try:
                image = slide.read_region(corner, level, (width, height))
            except self._openslide.OpenSlideError as error:
                self._replace(slide)
                raise UnreadableImageError(
                    f"{self._path} is damaged or incomplete at tile {row}, {column} of level "
                    f"{level} ({str(error).rstrip('.')}). Copy or export it again."
                ) from error
        return _over(np.asarray(image), self._background)

    def _picture(self, name: str) -> RGB:
        with naming_file(self._path, f"at the {name} that comes with it"), self._handle.using():
            return _over(np.asarray(self._slide.associated_images[name]), self._background)

    def _replace(self, broken: openslide.OpenSlide) -> None:
        """Open the file anew: after one error OpenSlide refuses everything else."""
        with self._lock:
            if self._slide is broken:
                fresh = self._open()
                old, self._handle = self._handle, SharedHandle(fresh.close)
                self._slide = fresh
                old.close()

    def close(self) -> None:
        """Close the file, at once or after the reads under way."""
        super().close()
        with self._lock:
            self._handle.close()


def _vendor(properties: dict[str, str]) -> str | None:
    """Who made the scanner; a DICOM slide names its maker itself."""
    name = properties.get("openslide.vendor")
    if name is None or name == "dicom":
        return properties.get("dicom.Manufacturer")
    return _VENDORS.get(name, name)


def _bounds(properties: dict[str, str], size: tuple[int, int]) -> Box | None:
    try:
        x, y, width, height = (
            int(properties[f"openslide.bounds-{key}"]) for key in ("x", "y", "width", "height")
        )
    except (KeyError, ValueError):
        return None
    full_width, full_height = size
    return max(y, 0), max(x, 0), min(y + height, full_height), min(x + width, full_width)


def _pixel_size(properties: dict[str, str]) -> PixelSize:
    y, x, power = (
        _number(properties.get(f"openslide.{key}")) for key in ("mpp-y", "mpp-x", "objective-power")
    )
    if y is None or x is None:
        return objective_hint(power)
    return from_lengths(y, x, "OpenSlide")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _background(text: str | None) -> tuple[int, int, int]:
    """The colour of empty glass: as the file says, unless that is dark; else white."""
    try:
        red, green, blue = bytes.fromhex(text or "")
    except ValueError:
        return 255, 255, 255
    # Bright field has no black glass; a file that says so means "nothing".
    return (red, green, blue) if min(red, green, blue) >= _DARKEST_GLASS else (255, 255, 255)


def _tile_shape(properties: dict[str, str], level: int) -> tuple[int, int]:
    sides = (
        _number(properties.get(f"openslide.level[{level}].tile-{key}"))
        for key in ("height", "width")
    )
    height, width = (_whole_tiles(side) for side in sides)
    return height, width


def _whole_tiles(side: float | None) -> int:
    if side is None or not 1 <= side <= 2 * _TILE_SIDE:
        return _TILE_SIDE
    return max(1, round(_TILE_SIDE / side)) * int(side)


def _over(rgba: Any, background: tuple[int, int, int]) -> RGB:
    """RGBA put on a colour, (Y, X, 3)."""
    colors, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(colors)
    opacity = alpha.astype(np.uint16)
    mixed = colors * opacity + np.array(background, np.uint16) * (255 - opacity)
    blended: RGB = ((mixed + 127) // 255).astype(np.uint8)
    return blended
