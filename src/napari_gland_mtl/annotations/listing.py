"""What a project says of its areas without reading pixels, the damaged ones included."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import UnreadableImageError
from .area import AreaInfo
from .area_files import missing_part
from .area_state import NewerVersionError, read_state
from .place import ENDING, SUFFIX

DAMAGE = (OSError, ValueError, LookupError, TypeError, RuntimeError)
"""What reading an area raises where a file is damaged or gone."""


@dataclass(frozen=True)
class StoredArea:
    """What a project says of one of its areas without reading pixels.

    Attributes
    ----------
    key : str
        Names the area for as long as it exists, whatever it is called.
    info : AreaInfo
        A placeholder, named like the key, if `error` is not empty.
    revision : int
        Rises by one with every save.
    glands : int
        Number of glands (of connected ones where regions are painted).
    annotated_px : int
        Pixels of which something was said.
    error : str
        Why it cannot be read; empty if it can.
    """

    key: str
    info: AreaInfo
    revision: int
    glands: int
    annotated_px: int
    error: str = ""


def stored_area(folder: Path) -> StoredArea:
    """What there is to say of the area in a folder."""
    try:
        state = read_state(folder)
        missing = missing_part(folder, state)
    except DAMAGE as error:
        info = AreaInfo(
            name=folder.name.removesuffix(ENDING),
            slide=folder.parent.parent.name.removesuffix(SUFFIX),
            slide_mpp=1.0,
            slide_shape=(1, 1),
            window=(0, 0, 1, 1),
            mpp=1.0,
        )
        return StoredArea(folder.name, info, 0, 0, 0, str(area_error(folder, error)))
    error_text = str(area_error(folder, ValueError(f"{missing} missing"))) if missing else ""
    return StoredArea(
        key=folder.name,
        info=state.info,
        revision=state.revision,
        glands=state.glands,
        annotated_px=state.annotated_px,
        error=error_text,
    )


def area_error(folder: Path, error: Exception) -> UnreadableImageError:
    """What is wrong with an area, and what to do about it."""
    project = folder.parent.parent
    if not folder.exists():
        return UnreadableImageError(
            f"{project} has no area {folder.name}. It may have been removed in another window."
        )
    name = folder.name.removesuffix(ENDING)
    with suppress(*DAMAGE):
        name = read_state(folder).info.name
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, NewerVersionError):
        problem, cure = "cannot be read", "Update napari-gland-mtl"
    elif isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        problem, cure = "cannot be read", "Check the drive and whether you may read there"
    else:
        problem = "is damaged"
        cure = f"Put back a copy of {folder.name}, or remove the area and annotate it again"
    return UnreadableImageError(f"The area {name!r} in {project} {problem} ({reason}). {cure}.")
