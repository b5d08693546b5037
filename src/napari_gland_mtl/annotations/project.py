"""The areas annotated on a slide, in a folder beside it that survives whatever happens.

A project is a zarr group with one OME-Zarr image per area (`area_files`). Everything that
writes does so while it holds the project's lock, for a fraction of a second: two windows may
work on one project, and the one that would overwrite what the other saved is told so.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from ..errors import (
    AnnotationConflictError,
    InvalidInputError,
    OutputNotWritableError,
    UnreadableImageError,
)
from ..storage.atomic import new_folder
from ..storage.disk_errors import patiently
from ..storage.durable import flush_names
from . import area_files
from .area import Area
from .area_state import AreaState, read_state, state_of
from .listing import DAMAGE, StoredArea, area_error, stored_area
from .locking import sole_writer
from .place import AREAS, ENDING, REMOVED, SUFFIX, check_place, is_project, make_place, project_path

__all__ = ["SUFFIX", "AnnotationProject", "StoredArea", "is_project", "project_path"]

_TRIES = 3
T = TypeVar("T")


class AnnotationProject:
    """Annotated areas of one slide, or of several.

    Parameters
    ----------
    path : path
        By convention ``NAME.annotations.zarr``; see `project_path`. It is made when the first
        area is added. What a killed program left half done in it is put right.

    Raises
    ------
    InvalidInputError
        If something else is there.
    UnreadableImageError
        If a newer version of this program made it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        check_place(self.path)
        self._recover()

    # ------------------------------------------------------------------ looking

    def stored(self) -> list[StoredArea]:
        """Every area, the oldest first. Reads one small file for each.

        Raises
        ------
        UnreadableImageError
            If the folder cannot be read; an area that cannot has an `error`.
        """
        found = [stored_area(folder) for folder in self._folders(AREAS)]
        return sorted(found, key=lambda area: (area.info.created or "~", area.key))

    def load(self, key: str) -> tuple[Area, int]:
        """Read an area.

        Returns
        -------
        area : Area
        revision : int
            To be given to `save`.

        Raises
        ------
        UnreadableImageError
            If there is no such area (any more), or it is damaged.
        """
        return self._reading(key, area_files.read_area)

    def check(self, key: str) -> None:
        """Read the labels of an area and look whether its image is there.

        Raises
        ------
        UnreadableImageError
            As `load` would, in much less time.
        """
        self._reading(key, area_files.check_area)

    def next_name(self) -> str:
        """A name for a new area that is not in use: ``area 3`` after ``area 1`` and ``area 2``."""
        numbers = [re.fullmatch(r"area (\d+)", name) for name in self._names()]
        return f"area {max((int(found[1]) for found in numbers if found), default=0) + 1}"

    # ------------------------------------------------------------------ changing

    def add(self, area: Area) -> tuple[str, int]:
        """Store a new area.

        Parameters
        ----------
        area : Area
            If its name is taken it gets another one: ``area 1 (2)``.

        Returns
        -------
        key : str
        revision : int

        Raises
        ------
        InvalidInputError
            If its labels hold impossible values.
        OutputNotWritableError
            If the place is not writable or full; nothing is left behind then.
        """
        area.check_values()
        with sole_writer(self.path, make=True):
            make_place(self.path)
            now = _now()
            name = _free_name(area.info.name, self._names())
            changed = {"name": name, "created": area.info.created or now, "modified": now}
            area = replace(area, info=area.info.model_copy(update=changed))
            key = _new_key(name)
            with new_folder(self._folder(key)) as unfinished:
                area_files.write_area(unfinished, area, state_of(area, 1))
            flush_names(self.path / AREAS)
        return key, 1

    def save(self, key: str, area: Area, revision: int) -> int:
        """Let labels and description of an area take the place of what is stored.

        The image of a stored area never changes; that of `area` is not looked at. Killed or
        out of room at any instant, the area is as it was or as it should be.

        Parameters
        ----------
        key : str
        area : Area
        revision : int
            What `add`, `load` or the last `save` gave.

        Returns
        -------
        int
            The new revision.

        Raises
        ------
        AnnotationConflictError
            If somebody else saved or removed the area since.
        InvalidInputError
            If the labels have another size, or impossible values.
        OutputNotWritableError
            If the place is not writable or full.
        UnreadableImageError
            If the stored area is damaged.
        """
        area.check_values()
        with sole_writer(self.path):
            stored = self._state_to_replace(key, area, revision)
            area = self._renamed(key, area, stored)
            state = state_of(area, revision + 1)
            area_files.settle(self._folder(key), stored)
            area_files.replace_labels(self._folder(key), area, state)
        return state.revision

    def remove(self, key: str) -> None:
        """Take an area away; `restore` brings it back.

        Raises
        ------
        UnreadableImageError
            If there is no such area.
        OutputNotWritableError
        """
        self._move(key, AREAS, REMOVED)

    def restore(self, key: str) -> None:
        """Bring back an area that was removed; raises as `remove`."""
        self._move(key, REMOVED, AREAS)

    # ------------------------------------------------------------------ inside

    def _folder(self, key: str) -> Path:
        return self.path / AREAS / key

    def _folders(self, place: str) -> list[Path]:
        """Those that hold an area; names with a dot are half written."""
        try:
            entries = sorted((self.path / place).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableImageError(
                f"{self.path} cannot be read ({error.strerror or error}). Check the drive and "
                "whether you may read there."
            ) from error
        return [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]

    def _names(self, but: str = "") -> set[str]:
        """Names in use, those of removed areas included: they may come back."""
        names = set()
        for folder in self._folders(AREAS) + self._folders(REMOVED):
            if folder.name != but:
                with suppress(*DAMAGE):
                    names.add(read_state(folder).info.name)
        return names

    def _renamed(self, key: str, area: Area, stored: AreaState) -> Area:
        """With a name of its own, and the times set."""
        name = area.info.name
        if name != stored.info.name:
            name = _free_name(name, self._names(but=key))
        changed = {"name": name, "created": stored.info.created, "modified": _now()}
        return replace(area, info=area.info.model_copy(update=changed))

    def _state_to_replace(self, key: str, area: Area, revision: int) -> AreaState:
        try:
            state = read_state(self._folder(key))
        except DAMAGE as error:
            if not self._folder(key).exists():
                raise AnnotationConflictError(
                    f"The area {area.info.name!r} is not in {self.path.name} any more: it was "
                    "removed in another window. Restore it there, or save yours as a new area."
                ) from error
            raise area_error(self._folder(key), error) from error
        if state.revision != revision:
            raise AnnotationConflictError(
                f"The area {area.info.name!r} was saved elsewhere meanwhile (at "
                f"{state.info.modified}, in another window). Load that one, or save yours as a "
                "new area."
            )
        if state.shape != area.regions.shape:
            raise InvalidInputError(
                f"The area {area.info.name!r} has {state.shape[0]} x {state.shape[1]} px; labels "
                f"of {area.regions.shape[0]} x {area.regions.shape[1]} px do not fit."
            )
        return state

    def _reading(self, key: str, read: Callable[[Path, AreaState], T]) -> tuple[T, int]:
        """Read from an area, again if another window saved it at that moment."""
        folder = self._folder(key)
        try:
            state = read_state(folder)
            for _ in range(_TRIES):
                try:
                    return read(folder, state), state.revision
                except DAMAGE:
                    seen, state = state, read_state(folder)
                    if state.revision == seen.revision:
                        raise
            with sole_writer(self.path):  # somebody saves faster than we read
                state = read_state(folder)
                return read(folder, state), state.revision
        except OutputNotWritableError:
            raise
        except DAMAGE as error:
            raise area_error(folder, error) from error

    def _move(self, key: str, source: str, target: str) -> None:
        old, new = self.path / source / key, self.path / target / key
        with sole_writer(self.path):
            if not old.is_dir() or new.exists():
                raise UnreadableImageError(
                    f"{self.path} has no area {key} to move. Another window may have removed or "
                    "restored it: look again."
                )
            new.parent.mkdir(exist_ok=True)
            patiently(partial(os.rename, old, new))
            flush_names(old.parent)
            flush_names(new.parent)

    # ------------------------------------------------------------------ the project itself

    def _recover(self) -> None:
        """Finish or undo what was cut short, unless the place is busy or read-only."""
        halves = [*self.path.glob(".*.partial"), *self.path.glob(f"{AREAS}/.*.partial")]
        unsettled = [entry for entry in self._folders(AREAS) if area_files.is_unsettled(entry)]
        if not halves and not unsettled:
            return
        with suppress(OutputNotWritableError), sole_writer(self.path, 0.5):
            for half in halves:
                _discard(half)
            for folder in unsettled:
                with suppress(*DAMAGE):
                    area_files.settle(folder, read_state(folder))


def _discard(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate


def _new_key(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32] or "area"
    # Viewers know by this ending what it is.
    return f"{plain}-{uuid4().hex[:8]}{ENDING}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
