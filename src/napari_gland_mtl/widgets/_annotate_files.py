"""What is asked of projects on disk, in a thread: to list areas, and to change, remove and restore
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AnnotationConflictError, GlandMTLError
from ._annotation_places import ImageIdentity, Places, places_of

if TYPE_CHECKING:
    from ..annotations.project import StoredArea
    from ._annotation_store import AreaStore, Snapshot

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
    """An area that was changed, removed or restored.

    Attributes
    ----------
    what : str
        ``"renamed"``, ``"assigned"`` to a patient, ``"removed"`` or ``"restored"``.
    identity : tuple
    name : str
        Of the area, as far as it is known.
    """

    what: str
    identity: Identity
    name: str = ""


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


def changing(what: str, identity: Identity, update: Mapping[str, Any]) -> Callable[[], Changed]:
    """What gives an area that is not open another name or patient."""

    def change() -> Changed:
        try:
            _change(identity, update)
        except AnnotationConflictError:  # it was saved at that very moment
            _change(identity, update)
        return Changed(what, identity)

    return change


def _change(identity: Identity, update: Mapping[str, Any]) -> None:
    from ..annotations.project import AnnotationProject

    project = AnnotationProject(identity[0])
    area, revision = project.load(identity[1])
    info = area.info.model_copy(update=dict(update))
    if info != area.info:
        project.save(identity[1], replace(area, info=info), revision)


def removing(
    identity: Identity,
    name: str,
    store: AreaStore | None = None,
    snapshot: Snapshot | None = None,
) -> Callable[[], Changed]:
    """What removes an area, with its last changes if it is open."""

    def remove() -> Changed:
        from ..annotations.project import AnnotationProject

        if store is not None:
            return Changed("removed", store.remove(snapshot), name)
        AnnotationProject(identity[0]).remove(identity[1])
        return Changed("removed", identity, name)

    return remove


def restoring(identity: Identity, name: str) -> Callable[[], Changed]:
    """What undoes the removal of an area."""

    def restore() -> Changed:
        from ..annotations.project import AnnotationProject

        AnnotationProject(identity[0]).restore(identity[1])
        return Changed("restored", identity, name)

    return restore
