"""Where the annotations of an image are kept: beside it, else in the user's own documents.

A folder that the user chose is remembered for that image, in a small file of the user's, so that
its areas are found again when the image is opened the next time.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ..annotations.project import is_project, project_path
from ..errors import GlandMTLError
from ..storage.atomic import new_file
from . import _output_row

_MEMORY = "annotation-places.json"
_REMEMBERED = 500


@dataclass(frozen=True)
class ImageIdentity:
    """What an image is recognised by when it is opened again.

    Attributes
    ----------
    name : str
        File name without endings, or the layer's name.
    path : Path or None
        The file; None for an array that came from none.
    shape : tuple of int
        Height and width of the full resolution.
    """

    name: str
    path: Path | None
    shape: tuple[int, int]

    @property
    def memory_key(self) -> str:
        """Under which a chosen folder is remembered."""
        return str(self.path.absolute()) if self.path else f"layer {self.name} {self.shape}"


@dataclass(frozen=True)
class Places:
    """The projects that may hold areas of an image.

    Attributes
    ----------
    default : Path
        Where a new area goes.
    existing : tuple of Path
        Projects that are there, the default first.
    note : str
        Why the default is not beside the image; empty if it is.
    """

    default: Path
    existing: tuple[Path, ...]
    note: str = ""


def places_of(image: ImageIdentity) -> Places:
    """Look where areas of an image are and where new ones go."""
    beside = project_path(image.path) if image.path is not None else None
    own = project_in(_output_row.own_folder(), image)
    chosen = _remembered().get(image.memory_key)
    if chosen is not None and can_hold(Path(chosen)):
        default, note = Path(chosen), "Chosen by you for this image."
    elif beside is not None and can_hold(beside):
        default, note = beside, ""
    else:
        default, note = own, _why_not_beside(image)
    candidates = [default, *(p for p in (beside, own) if p is not None)]
    if chosen is not None:
        candidates.append(Path(chosen))
    existing = tuple(path for path in dict.fromkeys(candidates) if is_project(path))
    return Places(default, existing, note)


def project_in(folder: Path, image: ImageIdentity) -> Path:
    """The project of an image in another folder."""
    return project_path(image.path, folder, _file_name(image.name))


def choose_place(image: ImageIdentity, folder: Path) -> Path:
    """Remember a folder for the annotations of an image; gives the project in it."""
    project = project_in(folder, image)
    known = {**_remembered(), image.memory_key: str(project)}
    newest = dict(list(known.items())[-_REMEMBERED:])
    try:
        with new_file(_memory_file(), overwrite=True) as partial:
            partial.write_text(json.dumps(newest, indent=1), encoding="utf-8")
    except GlandMTLError:
        pass  # it only saves the user the same choice the next time
    return project


def can_hold(project: Path) -> bool:
    """Whether a project can be written there; tried, as permissions tell only half."""
    folder = project if project.is_dir() else project.parent
    probe = folder / f".{uuid4().hex[:8]}.partial"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _why_not_beside(image: ImageIdentity) -> str:
    if image.path is None:
        return "This image comes from no file, so its areas go to your documents."
    return f"Nothing can be written in {image.path.parent}, so the areas go to your documents."


def _memory_file() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME", "")
    user = Path(data_home) if data_home else Path.home() / ".local" / "share"
    return user / "napari-gland-mtl" / _MEMORY


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(_memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _file_name(name: str) -> str:
    """A layer's name as that of a file."""
    return re.sub(r"[^\w\- ]+", "_", name).strip() or "image"
