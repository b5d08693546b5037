"""The annotated areas there are: of the open slides, and of projects added by hand.

Projects are looked at again every few seconds, in a thread: whoever annotates, in this window or
in another, sees the list follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from ..errors import DatasetError, GlandMTLError
from ..jobs.events import Event, JobFailed
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from . import _layers
from ._finetune_table import SeenArea
from ._job_bridge import JobBridge

LOOK_MS = 2000
THREAD = "gland-mtl areas"


@dataclass(frozen=True)
class AreasSeen(Event):
    """All areas of the projects that were looked at.

    Attributes
    ----------
    areas : tuple of SeenArea
    problems : tuple of str
        Projects that could not be read.
    """

    areas: tuple[SeenArea, ...]
    problems: tuple[str, ...] = ()


class AreaSource(QObject):
    """Follows annotation projects.

    Parameters
    ----------
    opened : OpenProjects
        Gives the projects of the slides that are open.
    parent : QWidget
        The look ends with it.

    Attributes
    ----------
    changed : Signal
        There are other areas, or other contents.
    """

    changed = Signal()

    def __init__(self, opened: OpenProjects, parent: QObject) -> None:
        super().__init__(parent)
        self._opened = opened
        self._added: list[Path] = []
        self._seen = AreasSeen(())
        self.bridge = JobBridge(parent)
        self.bridge.event_arrived.connect(self._on_event)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)

    @property
    def areas(self) -> tuple[SeenArea, ...]:
        """All areas, by project."""
        return self._seen.areas

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read, in words."""
        return self._seen.problems

    def add(self, path: Path) -> None:
        """Add a project, or all projects in a folder.

        Raises
        ------
        DatasetError
            If there is none.
        """
        self._added += [project for project in projects_in(path) if project not in self._added]
        self.look_at_once()

    def follow(self, following: bool) -> None:
        """Look at the projects now and then, while somebody looks at the list."""
        if following:
            self._timer.start()
            self.look()
        else:
            self._timer.stop()

    def on_layers_changed(self) -> None:
        """Other slides are open."""
        self._opened.refresh()
        self.look()

    def look(self) -> None:
        """Look at all projects, in a thread; nothing if that is being done."""
        if not self.bridge.running:
            self.bridge.start(look_job(self._opened.paths(), self._added), THREAD)

    def save_and_look(self) -> None:
        """What is being painted counts, too: save it, and look in this thread."""
        self._opened.save()
        self.look_at_once()

    def look_at_once(self) -> None:
        """The same in this thread."""
        self._take(seen_in(self._opened.paths(), self._added))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, AreasSeen):
            self._take(event)
        elif isinstance(event, JobFailed):
            self._take(AreasSeen(self._seen.areas, (str(event.error),)))

    def _take(self, seen: AreasSeen) -> None:
        if seen != self._seen:
            self._seen = seen
            self.changed.emit()


class OpenProjects:
    """Where annotations of the open images are, or would be.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._places: list[Path] = []
        self.refresh()

    def refresh(self) -> None:
        """Other images are open."""
        from ._annotate_inputs import identity_of
        from ._annotation_places import places_of

        found: list[Path] = []
        for image in _layers.image_layers(self._viewer):
            identity = identity_of(image)
            if identity is not None:
                places = places_of(identity)
                found += [places.default, *places.existing]
        self._places = found

    def paths(self) -> list[Path]:
        """Projects that may be there, those of areas being painted first."""
        from ._annotation_registry import open_annotations

        painted = [area.store.project for area in open_annotations(self._viewer).areas]
        return list(dict.fromkeys([*painted, *self._places]))

    def save(self) -> None:
        """Save what is being painted; raises GlandMTLError if that fails."""
        from ._annotation_registry import save_open_annotations

        save_open_annotations(self._viewer)


def look_job(opened: Sequence[Path], added: Sequence[Path]) -> Job:
    """A job that reads the attributes of all areas; see `seen_in`."""
    opened, added = list(opened), list(added)

    def job(stop: StopToken) -> Iterator[Event]:
        yield seen_in(opened, added)

    return job


def seen_in(opened: Sequence[Path], added: Sequence[Path] = ()) -> AreasSeen:
    """The areas of projects; one that cannot be read does not hide the others.

    Parameters
    ----------
    opened : sequence of path
        Where projects of the open slides would be; one that is not there has no areas yet.
    added : sequence of path
        Where the user said that one is; it is missed if it is gone.
    """
    from ..annotations.project import AnnotationProject, is_project

    areas: list[SeenArea] = []
    problems: list[str] = []
    for path in dict.fromkeys([*opened, *added]):
        if not is_project(path):
            if path in added:
                problems.append(f"The annotations {path} are not there any more.")
            continue
        try:
            areas += [SeenArea(path, stored) for stored in AnnotationProject(path).stored()]
        except (GlandMTLError, OSError) as error:
            problems.append(str(error))
    return AreasSeen(tuple(areas), tuple(problems))


def projects_in(path: Path) -> list[Path]:
    """The project itself, or those that lie in a folder.

    Raises
    ------
    DatasetError
        If there is none.
    """
    from ..annotations.project import SUFFIX, is_project

    if is_project(path):
        return [path]
    found = sorted(item for item in path.glob(f"*{SUFFIX}") if is_project(item))
    if not found:
        raise DatasetError(
            f"{path} holds no annotations. Choose a folder whose name ends in {SUFFIX}, as "
            "“Annotate glands” makes it beside a slide, or a folder with several of them."
        )
    return found
