"""“Annotate next”: the job that makes an area around the least certain gland that is in none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.events import Event, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._annotate_files import listing
from ._annotate_job import NewArea, new_area_job
from ._annotate_shared import areas_under
from ._annotation_places import ImageIdentity
from ._least_certain import ResultTable, UncertainGland, least_certain

if TYPE_CHECKING:
    from ..annotations.project import StoredArea


@dataclass(frozen=True)
class GlandChosen(Event):
    """Around which gland the area is made.

    Attributes
    ----------
    gland : UncertainGland or None
        None if every gland lies in an area.
    """

    gland: UncertainGland | None


def next_area_job(request: NewArea, image: ImageIdentity, glands: ResultTable) -> Job:
    """A job that makes the next area of an image.

    Parameters
    ----------
    request : NewArea
        Its window is not looked at.
    image : ImageIdentity
    glands : ResultTable
        Of the image's result.
    """

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Looking for the least certain gland")
        known = _areas_of(image)
        annotated = [area.info.window for _, area in known]
        table = glands.read()
        gland = least_certain(
            table, glands.mpp, request.slide_mpp, request.model_mpp, image.shape, annotated
        )
        yield GlandChosen(gland)
        if gland is not None:
            before = areas_under(gland.window, request.way, known)
            yield from new_area_job(replace(request, window=gland.window, before=before))(stop)

    return job


def _areas_of(image: ImageIdentity) -> list[tuple[Path, StoredArea]]:
    """The areas of an image that can be read, each with its project."""
    return [
        (project, stored)
        for project, stored in listing(image)().areas
        if not stored.error and tuple(stored.info.slide_shape) == tuple(image.shape)
    ]


def chosen_words(gland: UncertainGland, area: str, shared: Sequence[str] = ()) -> str:
    """What was done, once the area is there; `shared` names areas that it lies over."""
    left = {0: "No other gland is", 1: "1 gland is"}.get(gland.left, f"{gland.left:,} glands are")
    return (
        f"“{area}” lies around gland {gland.label}, the least certain one that was in no area yet "
        f"(uncertainty {gland.uncertainty:.2f} of 1). {left} still outside of all areas. Correct "
        f"what the model found; “Annotate next” goes to the next one.{_shared_words(shared)}"
    )


def _shared_words(shared: Sequence[str]) -> str:
    if not shared:
        return ""
    names = " and ".join(f"“{name}”" for name in shared)
    return (
        f" There was no room beside {names}: where they overlap, what was drawn there is here as "
        "well. Make later corrections of that part in both."
    )


NOTHING_LEFT = (
    "Every gland of this result lies in an area already. Fine-tune a model on them, or segment "
    "another image."
)
