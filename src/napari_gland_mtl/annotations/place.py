"""Where a project lies, and how it is told from other folders."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..errors import InvalidInputError, UnreadableImageError
from ..slides.formats import slide_name
from ..storage.zarr_group import read_group, write_group
from .area_state import ATTRIBUTE

SUFFIX = ".annotations.zarr"
ENDING = ".ome.zarr"
KIND = "annotations"
FORMAT_VERSION = 1
AREAS, REMOVED, LOCK = "areas", "removed", ".lock"


def project_path(slide_path: Path | None, folder: Path | None = None, name: str = "") -> Path:
    """Where the annotations of a slide lie: ``NAME.annotations.zarr`` beside it.

    Parameters
    ----------
    slide_path : Path or None
        None for an array without a file.
    folder : Path, optional
        Instead of the slide's own.
    name : str
        Of an array without a file.

    Raises
    ------
    InvalidInputError
        If neither tells a folder.
    """
    place = folder or (slide_path.parent if slide_path else None)
    if place is None:
        raise InvalidInputError(
            "The image has no file beside which its annotations could lie. Choose a folder."
        )
    stem = slide_name(slide_path) if slide_path else name or "image"
    return Path(place) / f"{stem}{SUFFIX}"


def is_project(path: Path | str) -> bool:
    """Whether `path` is a folder of annotations, complete or damaged. Reads one small file."""
    path = Path(path)
    if path.name.endswith(SUFFIX) and (path / AREAS).is_dir():
        return True
    try:
        return bool(read_group(path)[ATTRIBUTE]["kind"] == KIND)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def check_place(path: Path) -> None:
    """Make sure that a project is at `path`, or may be made there.

    Raises
    ------
    InvalidInputError
        If something else is there.
    UnreadableImageError
        If a newer version of this program made it.
    """
    version = None
    with suppress(OSError, ValueError, LookupError, TypeError):
        version = read_group(path)[ATTRIBUTE]["format_version"]
    if version not in (None, FORMAT_VERSION):
        raise UnreadableImageError(
            f"A newer version of this program made {path}. Update napari-gland-mtl."
        )
    if is_project(path) or not path.exists():
        return
    if not path.is_dir() or any(not _is_ours(entry) for entry in path.iterdir()):
        raise InvalidInputError(
            f"{path} holds no annotations. Choose a folder NAME{SUFFIX}, or a new one."
        )


def make_place(path: Path) -> None:
    """Make the groups of a project, as far as they are not there."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        read_group(path / AREAS)
        if read_group(path)[ATTRIBUTE]["kind"] == KIND:
            return
    write_group(path, {ATTRIBUTE: {"kind": KIND, "format_version": FORMAT_VERSION}}, durable=True)
    (path / AREAS).mkdir(exist_ok=True)
    write_group(path / AREAS, {}, durable=True)


def _is_ours(entry: Path) -> bool:
    """Whether it may be there before the project is: what a killed program left of making it."""
    return entry.name == LOCK or (entry.name.startswith(".") and entry.name.endswith(".partial"))
