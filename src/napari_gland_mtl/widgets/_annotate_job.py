"""The jobs that make a new area, from a window of a slide, and that open a stored one.

Everything slow happens in the thread: reading the slide, running the network, writing. A new
area is on disk before it is shown, so that nothing of it can be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from ..jobs.events import Event, SegmentationDone, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._annotate_patient import last_patient
from ._annotate_shared import with_areas_before
from ._image_source import ImageSource, Window
from ._segment_job import spare_the_window

if TYPE_CHECKING:
    from ..annotations.area import Area, Way
    from ..segmentation import Segmentation

WAIT_S = 0.02


@dataclass(frozen=True)
class NewArea:
    """What “New annotation area” asks for.

    Attributes
    ----------
    image : ImageSource
    slide_mpp : float
        Um per pixel of its full resolution.
    window : tuple of int
        In px of the full resolution.
    project : Path
        Where the area is kept.
    slide : str
        What the slide is called.
    slide_path : str
        Its file; empty if it comes from none.
    way : {"glands", "regions"}
    model : str
        Name or path, as `SegmentConfig` takes it.
    model_name : str
    model_mpp : float
        Um per pixel of the area.
    predict : bool
        Whether to begin with the model's prediction.
    patient : str or None
        Whose tissue it is; empty for unknown, None for as in the areas of the project so far.
    before : tuple of (Path, str)
        Projects and keys of areas whose labels are taken over where it lies over them.
    """

    image: ImageSource
    slide_mpp: float
    window: Window
    project: Path
    slide: str
    slide_path: str
    way: Way
    model: str
    model_name: str
    model_mpp: float
    predict: bool
    patient: str | None = None
    before: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class AreaReady(Event):
    """An area that is on disk and can be shown.

    Attributes
    ----------
    project : Path
    key : str
    revision : int
    area : Area
    new : bool
    shared : tuple of str
        Names of areas from which labels were taken over.
    """

    project: Path
    key: str
    revision: int
    area: Area
    new: bool = False
    shared: tuple[str, ...] = ()


def new_area_job(request: NewArea) -> Job:
    """A job that makes an area; its last event is `AreaReady`, unless it was stopped."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Reading the image")
        spare_the_window()
        from ..annotations.project import AnnotationProject

        project = AnnotationProject(request.project)
        patient = request.patient
        if patient is None:
            patient = last_patient(area.info for area in project.stored())
        area = _read(request, project.next_name(), patient)
        if request.predict:
            found = yield from _predict(request, area, stop)
            if found is None or not found.complete:
                return
            area = with_prediction(area, found)
        area, shared = with_areas_before(area, request.before)
        if stop.stopped:
            return
        yield Stage("Saving")
        key, _ = project.add(area)
        yield replace(_loaded(request.project, key, new=True), shared=shared)

    return job


def open_area_job(project: Path, key: str, being_written: Callable[[], bool]) -> Job:
    """A job that reads a stored area as soon as it is not `being_written`.

    Its last event is `AreaReady`, unless it was stopped.
    """

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Opening the area")
        spare_the_window()
        while being_written():
            if stop.stopped:
                return
            time.sleep(WAIT_S)
        yield _loaded(project, key)

    return job


def read_again(ready: AreaReady) -> AreaReady:
    """The area as it is on disk now."""
    return replace(_loaded(ready.project, ready.key, ready.new), shared=ready.shared)


def with_prediction(area: Area, found: Segmentation) -> Area:
    """The area with a model's labels, as far as they are to be taken for annotation.

    Where whole glands are outlined, nothing is said of what lies outside the predicted ones:
    whether that is stroma, the user has to say.
    """
    from ..regions import GLAND_REGIONS

    if found.hierarchy.names != GLAND_REGIONS.names:
        raise InvalidInputError(
            f"This model finds {', '.join(found.hierarchy.names)}; annotations hold "
            f"{', '.join(GLAND_REGIONS.names)}. Choose another model, or begin with nothing."
        )
    if area.info.way == "regions":
        return replace(area, regions=found.regions)
    regions = found.regions.copy()
    regions[(found.glands == 0) | ~GLAND_REGIONS.is_gland(regions)] = 0
    info = area.info.model_copy(update={"lumen_accepted": True})
    return replace(area, info=info, glands=found.glands, regions=regions)


def _read(request: NewArea, name: str, patient: str) -> Area:
    from ..annotations.area import area_from_slide

    with request.image.opened(request.slide_mpp) as slide:
        model = request.model_name if request.predict else ""
        area = area_from_slide(
            slide, request.window, request.model_mpp, name, way=request.way, model=model
        )
    known = {"slide": request.slide, "slide_path": request.slide_path, "patient": patient}
    return replace(area, info=area.info.model_copy(update=known))


def _predict(
    request: NewArea, area: Area, stop: StopToken
) -> Generator[Event, None, Segmentation | None]:
    yield Stage("Loading the network")
    from ..jobs.segment import segment_image
    from ..jobs.segment_config import SegmentConfig
    from ..slides.array import slide_from_array

    field = slide_from_array(area.image, mpp=area.info.mpp, name=area.info.name)
    config = SegmentConfig(model=request.model, mpp=area.info.mpp)
    found: Segmentation | None = None
    for event in segment_image(field, config, stop=stop):
        if isinstance(event, SegmentationDone):
            found = event.segmentation
        else:
            yield event
    return found


def _loaded(project: Path, key: str, new: bool = False) -> AreaReady:
    from ..annotations.project import AnnotationProject

    area, revision = AnnotationProject(project).load(key)
    return AreaReady(project, key, revision, area, new)
