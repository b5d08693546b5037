"""What a slide's store says of itself: an attribute that is always there as a whole.

The attribute ``napari_gland_mtl`` of the root holds the layout, the record of where the result
comes from, and how far it is. It is replaced in one step: a reader sees the old or the new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError, UnreadableImageError
from ..storage.zarr_group import read_group, write_group
from .ome_zarr import ATTRIBUTE

SLIDE_FORMAT_VERSION = 1
KIND = "slide"


def is_slide_store(path: Path | str) -> bool:
    """Whether `path` is the result of a whole slide, complete or not. Reads one small file."""
    try:
        return bool(read_group(Path(path))[ATTRIBUTE]["kind"] == KIND)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read_state(path: Path) -> dict[str, Any]:
    """The attribute of a slide's store.

    Raises
    ------
    UnreadableImageError
        If there is none, or a newer version of this program wrote it.
    """
    try:
        state: dict[str, Any] = read_group(path)[ATTRIBUTE]
        kind, version = state["kind"], state["format_version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UnreadableImageError(_no_result(path)) from error
    if kind != KIND:
        raise UnreadableImageError(_no_result(path))
    if version != SLIDE_FORMAT_VERSION:
        raise UnreadableImageError(
            f"{path} was written by another version of this program (its format is {version}, "
            f"this one reads {SLIDE_FORMAT_VERSION}). Update napari-gland-mtl."
        )
    return state


def update_state(path: Path, **changes: Any) -> None:
    """Change entries of the attribute of a slide's store.

    Raises
    ------
    OutputNotWritableError
    UnreadableImageError
        If it is none any more.
    """
    attributes = {**read_group(path), ATTRIBUTE: {**read_state(path), **changes}}
    write_group(path, attributes)


def check_json(record: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy that has been JSON; InvalidInputError if it cannot be."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(record), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"The {what} of a slide must consist of plain numbers and text: {error}."
        ) from error
    return copy


def _no_result(path: Path) -> str:
    return (
        f"{path} holds no result of a whole slide, or it is damaged. Give a folder NAME.ome.zarr "
        "that “segment” wrote for a slide."
    )
