"""One annotated area and its place on disk: what is written, when, and under whose name.

A save happens in a thread while the user paints on, or at once when the window closes; the two
never mix. What another window saved meanwhile is not overwritten: the area goes on as a copy.
Nothing here knows a layer or a window.
"""

from __future__ import annotations

import itertools
import re
import threading
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..annotations.area import Area, AreaInfo
from ..annotations.project import AnnotationProject
from ..errors import AnnotationConflictError

Labels = npt.NDArray[Any]
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Snapshot:
    """An area as it was at one moment, safe from further painting.

    Attributes
    ----------
    info : AreaInfo
    glands : ndarray of int32, (Y, X)
    regions : ndarray of uint8, (Y, X)
    number : int
        The later it was taken, the higher.
    """

    info: AreaInfo
    glands: Labels
    regions: Labels
    number: int = field(default_factory=lambda: next(_numbers))


@dataclass(frozen=True)
class Written:
    """What became of a save.

    Attributes
    ----------
    info : AreaInfo
        As it is on disk now.
    changed : bool
        False if nothing had changed since the last save, or a later snapshot is there already.
    copied_from : str
        Name of the area that another window had changed or removed; empty if none had.
    was_removed : bool
        Whether it had removed it.
    asked : str
        The name in the snapshot, which may be taken.
    """

    info: AreaInfo
    changed: bool
    copied_from: str = ""
    was_removed: bool = False
    asked: str = ""


class AreaStore:
    """Where an area is kept, and what of it is already there.

    Parameters
    ----------
    project : Path
    key : str
    revision : int
    area : Area
        As it is on disk.
    """

    def __init__(self, project: Path, key: str, revision: int, area: Area) -> None:
        self._lock = threading.Lock()
        self._image = area.image
        self._project = AnnotationProject(project)
        self._key = key
        self._revision = revision
        self._newest = 0
        self._removed = False
        self._stored = _mark(Snapshot(area.info, area.glands, area.regions))

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self._project.path

    @property
    def key(self) -> str:
        """The area's key in the project."""
        return self._key

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The area's pixels, (Y, X, 3)."""
        return self._image

    def area(self, snapshot: Snapshot) -> Area:
        """The snapshot with its image."""
        return Area(snapshot.info, self._image, snapshot.glands, snapshot.regions)

    def write(self, snapshot: Snapshot) -> Written:
        """Save, unless nothing has changed or it is too late. May be called from any thread.

        A thread that saves several areas comes late where the window saved all of them meanwhile,
        or where the area was removed.

        Raises
        ------
        GlandMTLError
            If it could not be written; what was there before still is.
        """
        with self._lock:
            return self._write(snapshot)

    def move(self, project: Path, snapshot: Snapshot) -> Written:
        """Go on in another project; the area in the first stays as it was last saved.

        Raises
        ------
        GlandMTLError
            If that cannot be written either; then everything stays as it was.
        """
        with self._lock:
            return self._add(AnnotationProject(project), snapshot)

    def remove(self, snapshot: Snapshot | None) -> tuple[Path, str]:
        """Remove the area from its project, with the last changes; nothing is written any more.

        Returns
        -------
        tuple of Path, str
            What brings it back: its project, and its key in it.

        Raises
        ------
        GlandMTLError
            If it could not be written or removed; then it goes on being saved.
        """
        with self._lock:
            if snapshot is not None:
                self._write(snapshot)
            self._project.remove(self._key)
            self._removed = True
            return self._project.path, self._key

    def _write(self, snapshot: Snapshot) -> Written:
        name = snapshot.info.name
        if not self._removed and _mark(snapshot) == self._stored:
            # An older one that arrives late must not undo this.
            self._newest = max(self._newest, snapshot.number)
        if self._removed or snapshot.number < self._newest or _mark(snapshot) == self._stored:
            return Written(snapshot.info, False, asked=name)
        try:
            self._revision = self._project.save(self._key, self.area(snapshot), self._revision)
        except AnnotationConflictError:
            return self._add_copy(snapshot)
        return self._remember(snapshot, name)

    def _add_copy(self, snapshot: Snapshot) -> Written:
        name = snapshot.info.name
        removed = self._key not in {stored.key for stored in self._project.stored()}
        # A copy of a copy is told apart by its number.
        copy = re.sub(r" \(copy\)( \(\d+\))?$", "", name) + " (copy)"
        info = snapshot.info.model_copy(update={"name": copy})
        written = self._add(self._project, replace(snapshot, info=info))
        return Written(written.info, True, name, removed, name)

    def _add(self, project: AnnotationProject, snapshot: Snapshot) -> Written:
        key, revision = project.add(self.area(snapshot))
        self._project, self._key, self._revision = project, key, revision
        return self._remember(snapshot, snapshot.info.name)

    def _remember(self, snapshot: Snapshot, asked: str) -> Written:
        """What is on disk now, under the name that it got there: another if it was taken."""
        names = {stored.key: stored.info.name for stored in self._project.stored()}
        info = snapshot.info.model_copy(update={"name": names.get(self._key, snapshot.info.name)})
        self._stored, self._newest = _mark(replace(snapshot, info=info)), snapshot.number
        return Written(info, True, asked=asked)


def _mark(snapshot: Snapshot) -> tuple[int, int, str]:
    """Tells whether anything changed."""
    labels = snapshot.glands, snapshot.regions
    return _checksum(labels[0]), _checksum(labels[1]), snapshot.info.model_dump_json()


def _checksum(labels: Labels) -> int:
    return zlib.crc32(np.ascontiguousarray(labels).data)
