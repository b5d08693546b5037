"""What is asked of projects on disk, in a thread: to list areas, and to rename, assign, remove
and restore them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AnnotationConflictError, GlandMTLError
from ._annotation_places import ImageIdentity, Places, places_of

if TYPE_CHECKING:
    from ..annotations.project import StoredArea
    from ._annotation_area import OpenArea
    from ._annotation_store import Snapshot

Identity = tuple[Path, str]
"""The project of an area, and its key in it."""


@dataclass(frozen=True)
class Listed:
    """The areas of an image.

    Attributes
    ----------
    image : ImageIdentity
    places : Places
    areas : tuple of (Path, StoredArea)
        Each with its project.
    errors : tuple of str
        Projects that could not be read.
    """

    image: ImageIdentity
    places: Places
    areas: tuple[tuple[Path, StoredArea], ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changed:
    """An area that was renamed, removed or restored, or the last of several.

    Attributes
    ----------
    what : str
        ``"renamed"``, ``"removed"``, ``"restored"`` or ``"assigned"`` to a patient.
    identity : tuple
    name : str
    area : OpenArea or None
        If it is open.
    """

    what: str
    identity: Identity
    name: str
    area: OpenArea | None = None


def listing(image: ImageIdentity) -> Callable[[], Listed]:
    """What lists the areas of an image."""

    def find() -> Listed:
        from ..annotations.project import AnnotationProject

        places = places_of(image)
        areas: list[tuple[Path, StoredArea]] = []
        errors: list[str] = []
        for path in places.existing:
            try:
                areas += [(path, stored) for stored in AnnotationProject(path).stored()]
            except GlandMTLError as error:
                errors.append(str(error))
        return Listed(image, places, tuple(areas), tuple(errors))

    return find


def renaming(identity: Identity, name: str) -> Callable[[], Changed]:
    """What gives an area that is not open another name."""

    def rename() -> Changed:
        from ..annotations.project import AnnotationProject

        project = AnnotationProject(identity[0])
        area, revision = project.load(identity[1])
        info = area.info.model_copy(update={"name": name})
        project.save(identity[1], replace(area, info=info), revision)
        return Changed("renamed", identity, name)

    return rename


def assigning(identities: Sequence[Identity], patient: str) -> Callable[[], Changed]:
    """What says of areas that are not open whose tissue they show."""

    def assign() -> Changed:
        for identity in identities:
            try:
                _assign(identity, patient)
            except AnnotationConflictError:  # it was saved at that very moment
                _assign(identity, patient)
        return Changed("assigned", identities[-1], patient)

    return assign


def _assign(identity: Identity, patient: str) -> None:
    from ..annotations.project import AnnotationProject

    project = AnnotationProject(identity[0])
    area, revision = project.load(identity[1])
    if area.info.patient != patient:
        info = area.info.model_copy(update={"patient": patient})
        project.save(identity[1], replace(area, info=info), revision)


def removing(
    identity: Identity, name: str, area: OpenArea | None, snapshot: Snapshot | None
) -> Callable[[], Changed]:
    """What removes an area, with its last changes if it is open."""

    def remove() -> Changed:
        from ..annotations.project import AnnotationProject

        if area is not None and snapshot is not None:
            area.store.write(snapshot)
        AnnotationProject(identity[0]).remove(identity[1])
        return Changed("removed", identity, name, area)

    return remove


def restoring(identity: Identity, name: str) -> Callable[[], Changed]:
    """What undoes the removal of an area."""

    def restore() -> Changed:
        from ..annotations.project import AnnotationProject

        AnnotationProject(identity[0]).restore(identity[1])
        return Changed("restored", identity, name)

    return restore
