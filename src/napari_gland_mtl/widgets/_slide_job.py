"""The jobs of a slide: segment it into a store, look for its tissue, open an earlier result.

All of them run in a thread of their own. What the viewer is to show of a store is read there,
too: the window only makes layers of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..export.layers import LayerData
from ..jobs.events import Event, SlideDone, Stage, StoreReady
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ..jobs.torch_libraries import load_torch_libraries
from ._extent import Part
from ._image_source import ImageSource
from ._output_state import Action, check_same_image
from ._segment_job import spare_the_window

if TYPE_CHECKING:
    from ..slides.low_resolution import LowResolution
    from ..slides.tissue import TissueMask


@dataclass(frozen=True)
class SlideRequest:
    """What “Run” asks for on a slide.

    Attributes
    ----------
    image : ImageSource
    settings : dict
        Arguments of `SlideConfig`; checked in the thread.
    part : Part
    output : Path
        The OME-Zarr to write.
    action : Action
        What to do with what is there.
    """

    image: ImageSource
    settings: dict[str, Any]
    part: Part
    output: Path
    action: Action = Action.NEW


@dataclass(frozen=True)
class StoreLayers(Event):
    """What the viewer shows of a store, once it is there and again when it is finished.

    Attributes
    ----------
    path : Path
    layers : list of tuple
        Layer data tuples, lazy.
    state : dict
        What the store says of itself: ``complete``, ``summary``, ``layout`` ...
    """

    path: Path
    layers: list[LayerData]
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TissueFound(Event):
    """The tissue of a slide at low resolution.

    Attributes
    ----------
    mask : TissueMask
    picture : LowResolution
        What it was found in; other settings can be tried on it.
    """

    mask: TissueMask
    picture: LowResolution


def slide_job(request: SlideRequest) -> Job:
    """A job that segments a slide into a store and says when its layers can be shown."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Loading the network")
        load_torch_libraries()
        from ..jobs.segment_config import SlideConfig
        from ..jobs.segment_slide import segment_slide
        from ..slides.areas import Areas

        spare_the_window()
        config = SlideConfig(**request.settings)
        polygons = request.part.polygons
        with request.image.opened(config.mpp) as slide:
            for event in segment_slide(
                slide,
                request.output,
                config,
                stop,
                areas=Areas(polygons) if polygons else None,
                resume=request.action.resumes,
                overwrite=request.action.overwrites,
            ):
                yield event
                if isinstance(event, StoreReady | SlideDone):
                    yield store_layers(event.path)

    return job


def open_job(path: Path, image: ImageSource) -> Job:
    """A job that reads what the viewer shows of a finished result of `image`."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Opening the result")
        check_same_image(path, image)
        yield store_layers(path)

    return job


def tissue_job(
    image: ImageSource, mpp: float, settings: dict[str, Any], picture: LowResolution | None = None
) -> Job:
    """A job that looks for tissue; a `picture` of before saves reading the slide once more."""

    def job(stop: StopToken) -> Iterator[Event]:
        yield Stage("Looking for tissue")
        from ..slides.tissue import TissueConfig, picture_for_tissue, tissue_in

        config = TissueConfig(**settings)
        small = picture
        if small is None:
            with image.opened(mpp) as slide:
                small = picture_for_tissue(slide, mpp)
        yield TissueFound(tissue_in(small, mpp, config), small)

    return job


def store_layers(path: Path) -> StoreLayers:
    """What the viewer shows of a store."""
    from ..export.slide_layers import layers_from_store
    from ..export.slide_state import read_state

    return StoreLayers(path, layers_from_store(path), read_state(path))
