"""The kinds of files that can be opened: the one place to which a new reader is added.

A file is recognised by its first bytes, since names lie; the endings only tell a viewer which
files to offer. Each reader's libraries are imported when such a file is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UnreadableImageError
from .slide import Slide

_HEAD_BYTES = 16
_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


@dataclass(frozen=True)
class SlideFormat:
    """A kind of file.

    Attributes
    ----------
    name : str
        As shown to users.
    suffixes : tuple of str
        Endings in lower case. Compound ones (``.ome.tif``) stand before simple ones.
    matches : callable (path, head) -> bool
        Whether a file with these first bytes (empty for a folder) is of this kind.
    open : callable (path, name) -> Slide
        Opens it; `name` is the file's name without ending.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[Path, bytes], bool]
    open: Callable[[Path, str], Slide]


def _is_tiff(path: Path, head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _is_raster(path: Path, head: bytes) -> bool:
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"))


def _is_zarr(path: Path, head: bytes) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)


def _open_tiff(path: Path, name: str) -> Slide:
    from .tiff import TiffSlide

    return TiffSlide(path, name)


def _open_raster(path: Path, name: str) -> Slide:
    from .raster import RasterSlide

    return RasterSlide(path, name)


def _open_zarr(path: Path, name: str) -> Slide:
    from .ome_zarr import OmeZarrSlide

    return OmeZarrSlide(path, name)


FORMATS = (
    SlideFormat("OME-Zarr", (".ome.zarr", ".zarr"), _is_zarr, _open_zarr),
    SlideFormat(
        "TIFF, OME-TIFF, SVS",
        (".ome.tiff", ".ome.tif", ".tiff", ".tif", ".svs", ".btf"),
        _is_tiff,
        _open_tiff,
    ),
    SlideFormat("PNG, JPEG, BMP", (".png", ".jpg", ".jpeg", ".bmp"), _is_raster, _open_raster),
)


def open_slide(path: Path | str, mpp: float | None = None) -> Slide:
    """Open an image of tissue: a field of view or a slide.

    PNG, JPEG, BMP, TIFF, OME-TIFF, Aperio SVS and other pyramidal TIFFs, OME-Zarr 0.4 and 0.5.
    Grey, palette, CMYK and transparent images are given as RGB on white. Of 16-bit samples the
    upper eight significant bits are kept. The EXIF orientation is left alone.

    Parameters
    ----------
    path : path
    mpp : float, optional
        Micrometres per pixel, in place of what the file says.

    Returns
    -------
    Slide
        To be closed, or used in a ``with`` statement.

    Raises
    ------
    UnreadableImageError
        If there is no such file, it is no image, or it is damaged.
    UnsupportedImageError
        If it is an image that cannot be segmented (a stack, fluorescence, real numbers).
    InvalidInputError
        If `mpp` is not within 0.05 to 20 um.
    """
    path = Path(path)
    head = _head(path)
    for kind in FORMATS:
        if kind.matches(path, head):
            slide = kind.open(path, slide_name(path))
            break
    else:
        raise UnreadableImageError(_complaint(path, head))
    if mpp is not None:
        try:
            slide.set_mpp(mpp)
        except ValueError:
            slide.close()
            raise
    return slide


def slide_name(path: Path | str) -> str:
    """The name of a file without the endings of image files: ``a.1`` for ``a.1.ome.tif``."""
    name = Path(path).name
    for kind in FORMATS:
        for suffix in kind.suffixes:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                return name[: -len(suffix)]
    return Path(path).stem


def is_slide_path(path: Path | str) -> bool:
    """Whether the name ends as that of a file that `open_slide` reads. Does not look inside."""
    name = Path(path).name.lower()
    return any(name.endswith(suffix) for kind in FORMATS for suffix in kind.suffixes)


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise UnreadableImageError(f"There is no file {path}. Check its name.") from None
    except OSError as error:
        raise UnreadableImageError(f"{path} cannot be read: {error.strerror or error}.") from error


def _complaint(path: Path, head: bytes) -> str:
    known = ", ".join(kind.name for kind in FORMATS)
    if path.is_dir():
        return f"{path} is a folder, and no OME-Zarr. Give the image files in it."
    if not head:
        return f"{path} is empty. Copy or export it again."
    return f"{path} is no image of a known kind, whatever its name says. Known are {known}."
