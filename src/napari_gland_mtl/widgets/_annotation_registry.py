"""Finds the areas that are open in a viewer, for every dock that needs them.

Nothing is kept here: the open areas belong to the main window, and go with it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from ._annotation_session import OpenAnnotations

_known: WeakValueDictionary[int, OpenAnnotations] = WeakValueDictionary()


def open_annotations(viewer: Any) -> OpenAnnotations:
    """The open areas of a viewer; hold it until it is attached to a window."""
    found = _known.get(_identity(viewer))
    if found is None:
        found = _known[_identity(viewer)] = OpenAnnotations(viewer)
    return found


def save_open_annotations(viewer: Any) -> None:
    """Save what is painted in a viewer and not saved yet, and return when that is done.

    Raises
    ------
    GlandMTLError
        If something could not be saved; the message says what and how to mend it.
    """
    found = _known.get(_identity(viewer))
    if found is not None:
        found.save_now()


def _identity(viewer: Any) -> int:
    """The same for the viewer and for the proxies of it that napari hands to plugins."""
    return id(getattr(viewer, "__wrapped__", viewer))
