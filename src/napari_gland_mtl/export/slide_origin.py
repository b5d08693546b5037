"""Which file a stored result belongs to, and whether that file is still there.

A result remembers the path, the size in bytes and the level-0 size of its slide. Another file
that took the same name differs in one of them, and is not shown below labels of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import GlandMTLError
from ..slides import Slide, open_slide
from .slide_layout import StoreLayout


def slide_origin(slide: Slide) -> dict[str, Any]:
    """What a store's ``record["slide"]`` says of its slide; JSON-able.

    Returns
    -------
    dict
        ``path`` (absolute; None for an array), ``name``, ``format``, ``bytes`` (None for a
        folder).
    """
    path = slide.path
    return {
        "path": None if path is None else str(path.absolute()),
        "name": slide.name,
        "format": slide.format,
        "bytes": None if path is None else _bytes(path),
    }


def open_origin(record: Mapping[str, Any], layout: StoreLayout) -> Slide | None:
    """The slide that a result was made from, with the um/px it had then.

    Returns
    -------
    Slide or None
        To be closed by the caller. None if it is not there any more, another file has taken its
        place, or it cannot be opened.
    """
    origin = record.get("slide") or {}
    if not origin.get("path"):
        return None
    path = Path(origin["path"])
    if not path.exists() or _bytes(path) != origin.get("bytes", _bytes(path)):
        return None
    with suppress(GlandMTLError):
        slide = open_slide(path, mpp=layout.slide_mpp)
        full = slide.levels[0]
        if (full.height, full.width) == layout.slide_shape:
            return slide
        slide.close()
    return None


def _bytes(path: Path) -> int | None:
    """Size of a file; None for a folder, whose size says nothing."""
    return path.stat().st_size if path.is_file() else None
