"""The attributes of a zarr group, read and replaced as a whole.

A reader finds the old or the new ones, never half of them, and loads no zarr for it: a group of
version 3 is a folder with one small file of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .atomic import new_file
from .durable import flush_file, flush_names

_FILE = "zarr.json"


def write_group(folder: Path, attributes: Mapping[str, Any], *, durable: bool = False) -> None:
    """Give a zarr group other attributes, in one step; the group is made if there is none.

    Parameters
    ----------
    folder : Path
    attributes : mapping
        Plain JSON.
    durable : bool
        Wait until they are on the disk, for what a person made and cannot be computed again.

    Raises
    ------
    OutputNotWritableError
    """
    group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    with new_file(folder / _FILE, overwrite=True) as partial:
        partial.write_text(json.dumps(group, allow_nan=False), "utf-8")
        if durable:
            flush_file(partial)
    if durable:
        flush_names(folder)


def read_group(folder: Path) -> dict[str, Any]:
    """The attributes of a zarr group.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError
        If there is none, or it is damaged.
    """
    attributes: dict[str, Any] = json.loads((folder / _FILE).read_text("utf-8"))["attributes"]
    return attributes
