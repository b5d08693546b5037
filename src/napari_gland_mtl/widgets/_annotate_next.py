"""“Annotate next”: the job that makes an area around the least certain gland that is in none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..jobs.events import Event, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ._annotate_files import listing
from ._annotate_job import NewArea, new_area_job
from ._annotation_places import ImageIdentity
from ._least_certain import ResultTable, UncertainGland, least_certain


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
        areas = [stored.info for _, stored in listing(image)().areas if not stored.error]
        annotated = [area.window for area in areas if tuple(area.slide_shape) == tuple(image.shape)]
        table = glands.read()
        gland = least_certain(
            table, glands.mpp, request.slide_mpp, request.model_mpp, image.shape, annotated
        )
        yield GlandChosen(gland)
        if gland is not None:
            yield from new_area_job(replace(request, window=gland.window))(stop)

    return job


def chosen_words(gland: UncertainGland, area: str) -> str:
    """What was done, once the area is there."""
    left = {0: "No other gland is", 1: "1 gland is"}.get(gland.left, f"{gland.left:,} glands are")
    return (
        f"“{area}” lies around gland {gland.label}, the least certain one that was in no area yet "
        f"(uncertainty {gland.uncertainty:.2f} of 1). {left} still outside of all areas. Correct "
        "what the model found; “Annotate next” goes to the next one."
    )


NOTHING_LEFT = (
    "Every gland of this result lies in an area already. Fine-tune a model on them, or segment "
    "another image."
)
