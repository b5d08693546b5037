"""Where the result of a slide goes, and what is there already.

A run may take hours, so what lies in its way is looked at before it begins: an unfinished run
can be gone on with, a finished one opened, and nothing is replaced that the user did not say.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError, UnreadableImageError
from ._image_source import ImageSource

SUFFIX = ".ome.zarr"
DEFAULT_ENDING = f".glands{SUFFIX}"


class Action(Enum):
    """What a run does with what is there."""

    NEW = "Begin"
    RESUME = "Resume it"
    ANEW = "Start anew, replacing it"
    OPEN = "Open it"
    RELABEL = "Label it anew with these settings"
    REPLACE = "Replace it"

    @property
    def resumes(self) -> bool:
        """Whether what is there is gone on with."""
        return self in (Action.RESUME, Action.RELABEL)

    @property
    def overwrites(self) -> bool:
        """Whether what is there is lost."""
        return self in (Action.ANEW, Action.REPLACE)


@dataclass(frozen=True)
class Output:
    """A folder that a result goes to, and what is in it.

    Attributes
    ----------
    path : Path
    actions : tuple of Action
        What can be done, the default first; empty if nothing can.
    note : str
        What is there, in words; empty if nothing is.
    """

    path: Path
    actions: tuple[Action, ...]
    note: str = ""


def default_output(image: ImageSource, elsewhere: Path) -> Path:
    """A new name beside the slide, or in the folder `elsewhere` if that cannot be written to.

    Parameters
    ----------
    image : ImageSource
    elsewhere : Path
        For images without a file, and for files in folders of somebody else.
    """
    from ..slides.formats import slide_name

    if image.path is None:
        return elsewhere / f"{_file_name(image.name)}{DEFAULT_ENDING}"
    folder = image.path.absolute().parent
    chosen = folder if os.access(folder, os.W_OK) else elsewhere
    return chosen / f"{slide_name(image.path)}{DEFAULT_ENDING}"


def look_at(path: Path) -> Output:
    """What is at `path`; reads one small file."""
    from ..export.slide_state import is_slide_store, read_state

    if not path.exists():
        return _looked_at_folder(path)
    if not is_slide_store(path):
        return Output(path, (), "Something else has this name.")
    try:
        state = read_state(path)
    except UnreadableImageError as error:
        return Output(path, (Action.REPLACE,), str(error))
    if state.get("complete"):
        # What the network said is kept if the user wished it.
        anew = (Action.RELABEL,) if (path / "work" / "zarr.json").is_file() else ()
        return Output(path, (Action.OPEN, *anew, Action.REPLACE), "A finished result is there.")
    return Output(path, (Action.RESUME, Action.ANEW), "An unfinished run is there.")


def check_usable(output: Output) -> Output:
    """Give `output` back if a run can go there.

    Raises
    ------
    InvalidInputError
        If not; says what to do.
    """
    if not output.actions:
        raise InvalidInputError(
            f"The result cannot be written to {output.path}. {output.note} Choose another name "
            "with “Change…”."
        )
    return output


def check_same_image(path: Path, image: ImageSource) -> dict[str, Any]:
    """The state of a store; its result must be one of this image.

    Raises
    ------
    InvalidInputError
        If it is the result of an image of another size.
    UnreadableImageError
        If it is damaged or gone.
    """
    from ..export.slide_state import read_state

    state = read_state(path)
    height, width = state["layout"]["slide_shape"]
    if (height, width) != (image.height, image.width):
        raise InvalidInputError(
            f"{path} is the result of another image, of {height} x {width} px. “{image.name}” has "
            f"{image.height} x {image.width}. Choose another name for the result."
        )
    return state


def with_suffix(path: str | Path) -> Path:
    """The path with an ending by which napari recognises it."""
    return Path(path) if str(path).lower().endswith(".zarr") else Path(f"{path}{SUFFIX}")


def _looked_at_folder(path: Path) -> Output:
    folder = path.parent
    if not folder.is_dir():
        return Output(path, (), f"There is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        return Output(path, (), f"The folder {folder} cannot be written to.")
    return Output(path, (Action.NEW,))


def _file_name(name: str) -> str:
    """A layer's name without what file systems do not allow in names."""
    return re.sub(r'[\\/:*?"<>|\s]+', "_", name).strip("._") or "image"
