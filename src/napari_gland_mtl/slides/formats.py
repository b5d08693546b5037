"""The kinds of files that can be opened: the one place to which a new reader is added.

A file is recognised by its first bytes, since names lie; the endings only tell a viewer which
files to offer. Each reader's libraries are imported when such a file is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import UnreadableImageError, UnsupportedImageError
from .slide import Slide

_HEAD_BYTES = 256
# A folder with a DICOM slide holds little else; one with ten thousand images is not read for it.
_LOOKED_INTO = 16
_ZARR_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
# Projects of annotated areas lie beside their slides and hold images; they are none.
_NO_SLIDES = (".annotations.zarr",)


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
        Whether a file with these first 256 bytes (none for a folder) is of this kind.
    open : callable (path, name) -> Slide
        Opens it; `name` is the file's name without ending.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[Path, bytes], bool]
    open: Callable[[Path, str], Slide]


# ------------------------------------------------------------------ how they are told


def _is_zarr(path: Path, head: bytes) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in _ZARR_FILES)


def _is_tiff(path: Path, head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _is_mirax(path: Path, head: bytes) -> bool:
    # The file itself may be a small JPEG; the slide is in the folder beside it.
    return path.suffix.lower() == ".mrxs" and bool(head)


def _is_raster(path: Path, head: bytes) -> bool:
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"))


def _is_hamamatsu(path: Path, head: bytes) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return text.startswith(
        (b"[Virtual Microscope Specimen]", b"[Uncompressed Virtual Microscope Specimen]")
    )


def _is_dicom(path: Path, head: bytes) -> bool:
    return head[128:132] == b"DICM" or _first_dicom(path) is not None


def _is_sakura(path: Path, head: bytes) -> bool:
    return path.suffix.lower() == ".svslide" and head.startswith(b"SQLite format 3")


def _is_zeiss(path: Path, head: bytes) -> bool:
    return head.startswith(b"ZISRAWFILE")


def _is_known_to_openslide(path: Path, head: bytes) -> bool:
    from .openslide_file import openslide_knows

    return bool(head) and openslide_knows(path)


def _first_dicom(path: Path) -> Path | None:
    """A DICOM file in a folder: any of a slide's files leads OpenSlide to the others."""
    if not path.is_dir():
        return None
    files = sorted(item for item in path.iterdir() if item.is_file())[:_LOOKED_INTO]
    return next((item for item in files if _head(item)[128:132] == b"DICM"), None)


# ------------------------------------------------------------------ how they are opened


def _open_zarr(path: Path, name: str) -> Slide:
    from .ome_zarr import open_zarr

    return open_zarr(path, name)


def _open_tiff(path: Path, name: str) -> Slide:
    from .tiff import open_tiff
    from .tiff_stitched import OverlappingTilesError

    try:
        return open_tiff(path, name)
    except OverlappingTilesError:
        slide = _through_openslide("TIFF", "a slide whose tiles overlap", path, name)
        slide.format = "BIF" if slide.vendor == "Ventana" else slide.format
        return slide


def _open_raster(path: Path, name: str) -> Slide:
    from .raster import RasterSlide

    return RasterSlide(path, name)


def _open_dicom(path: Path, name: str) -> Slide:
    return _through_openslide("DICOM", "a DICOM slide", _first_dicom(path) or path, name)


def _through_openslide(format: str, kind: str, path: Path, name: str) -> Slide:
    from .openslide_file import OpenSlideSlide

    return OpenSlideSlide(path, name, kind, format)


FORMATS = (
    SlideFormat("OME-Zarr", (".ome.zarr", ".zarr"), _is_zarr, _open_zarr),
    SlideFormat(
        "TIFF, OME-TIFF, SVS, NDPI, SCN, BIF, QPTIFF",
        (
            ".ome.tiff",
            ".ome.tif",
            ".tiff",
            ".tif",
            ".svs",
            ".btf",
            ".tf8",
            ".tf2",
            ".ndpi",
            ".scn",
            ".bif",
            ".qptiff",
        ),
        _is_tiff,
        _open_tiff,
    ),
    SlideFormat(
        "MIRAX", (".mrxs",), _is_mirax, partial(_through_openslide, "MIRAX", "a MIRAX slide")
    ),
    SlideFormat("PNG, JPEG, BMP", (".png", ".jpg", ".jpeg", ".bmp"), _is_raster, _open_raster),
    SlideFormat(
        "VMS, VMU",
        (".vms", ".vmu"),
        _is_hamamatsu,
        partial(_through_openslide, "VMS", "a Hamamatsu VMS slide"),
    ),
    SlideFormat("DICOM", (".dcm",), _is_dicom, _open_dicom),
    SlideFormat(
        "Sakura", (".svslide",), _is_sakura, partial(_through_openslide, "Sakura", "a Sakura slide")
    ),
    SlideFormat("CZI", (".czi",), _is_zeiss, partial(_through_openslide, "CZI", "a Zeiss CZI")),
    SlideFormat(
        "whatever else OpenSlide reads",
        (),
        _is_known_to_openslide,
        partial(_through_openslide, "OpenSlide", "a slide"),
    ),
)


def open_slide(path: Path | str, mpp: float | None = None, threads: int = 1) -> Slide:
    """Open an image of tissue: a field of view or a slide.

    PNG, JPEG, BMP; TIFF, OME-TIFF and the makers' kinds of TIFF (SVS, NDPI, SCN, BIF, QPTIFF,
    Philips); OME-Zarr 0.4 and 0.5 and plain zarr arrays; through OpenSlide MIRAX, VMS, DICOM,
    Sakura, CZI and what else it reads. Grey, palette, CMYK and transparent images are given as
    RGB on white. Of 16-bit samples the upper eight significant bits are kept. The EXIF
    orientation is left alone.

    Parameters
    ----------
    path : path
    mpp : float, optional
        Micrometres per pixel, in place of what the file says.
    threads : int
        How many tiles of one window are decoded at once. More than 1 pays where one thread
        reads; what reads in several threads itself should leave it at 1.

    Returns
    -------
    Slide
        To be closed, or used in a ``with`` statement. Another process opens it by its `path`.

    Raises
    ------
    UnreadableImageError
        If there is no such file, it is no image, or it is damaged.
    UnsupportedImageError
        If it is an image that cannot be segmented (a stack, fluorescence, real numbers).
    MissingExtraError
        If it is read through OpenSlide, which is not installed.
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
        raise _complaint(path, head)
    slide.threads = max(1, int(threads))
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
    if name.endswith(_NO_SLIDES):
        return False
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


def _complaint(path: Path, head: bytes) -> UnreadableImageError:
    if path.is_dir():
        return UnreadableImageError(
            f"{path} is a folder, and neither an OME-Zarr nor a DICOM slide. Give the image files "
            "in it."
        )
    if not head:
        return UnreadableImageError(f"{path} is empty. Copy or export it again.")
    if b"DPUfsImport" in head:
        return UnsupportedImageError(
            f"{path} is a Philips iSyntax slide, which only Philips' own software reads. Export it "
            "as TIFF or DICOM there."
        )
    known = ", ".join(kind.name for kind in FORMATS)
    return UnreadableImageError(
        f"{path} is no image of a known kind, whatever its name says. Known are {known}."
    )
