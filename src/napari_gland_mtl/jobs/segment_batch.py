"""Segment slides one after another into one folder, as a job that runs overnight.

What can be known before is said before: a slide that cannot be opened, has no pixel size or
would overwrite something fails at once, and whatever happens to one slide, the others have their
turn. A stopped or killed batch is gone on with by `resume`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..checkpoint import Model, load_model
from ..devices import choose_device
from ..errors import GlandMTLError
from ..slides import open_slide
from ..slides.areas import Areas
from ..slides.slide import pixel_size
from .batch_folder import BatchFolder, BatchItem
from .events import Event, SlideDone, SlideFailed, SlideStarted, Stage, Started
from .segment_config import SlideConfig
from .segment_slide import segment_slide
from .slide_work import Predictors
from .stop import StopToken

AreasOf = Areas | Mapping[Path, Areas] | None
"""The parts of all slides, or those of each slide by its path; None for all tissue."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchSettings:
    """What all slides of a batch have in common; see `segment_batch`."""

    config: SlideConfig
    resume: bool = False
    overwrite: bool = False
    areas: AreasOf = None

    def areas_of(self, path: Path) -> Areas | None:
        """The parts of one slide that are segmented; None for all tissue."""
        return self.areas.get(path) if isinstance(self.areas, Mapping) else self.areas


def segment_batch(
    inputs: Sequence[Path | str],
    folder: Path | str,
    config: SlideConfig | None = None,
    stop: StopToken | None = None,
    resume: bool = False,
    overwrite: bool = False,
    areas: AreasOf = None,
    model: Model | None = None,
) -> Generator[Event]:
    """Segment slides into a folder.

    Parameters
    ----------
    inputs : sequence of path
        Files that :func:`open_slide` reads.
    folder : path
        Receives ``NAME.ome.zarr`` and ``NAME.csv`` for each slide, ``summary.csv`` with a row
        for each, ``report.html`` and the pictures in it.
    config : SlideConfig, optional
        The defaults if left out.
    stop : StopToken, optional
        What was done of the present slide is labelled and stays; the others are not begun.
    resume : bool
        Go on with slides that are not complete. Complete ones are left as they are, unless the
        settings of the separation have changed and the probabilities were kept: then they are
        labelled anew.
    overwrite : bool
        Replace earlier results.
    areas : Areas, or dict of Path to Areas, optional
        The parts to segment, of all slides or of each; all tissue unless given.
    model : Model, optional
        Used instead of loading ``config.model``.

    Yields
    ------
    Event
        `SlideFailed` for those that cannot be segmented, `SlideStarted` for each of the others,
        followed by the events of its segmentation up to `SlideDone` or `SlideFailed`, and
        `BatchDone` at the end.

    Raises
    ------
    InvalidInputError
        If there is nothing to segment.
    OutputExistsError
        If the folder holds a ``summary.csv`` or ``report.html`` of something else and
        `overwrite` is not set.
    OutputNotWritableError
        If the folder cannot be made, or its table or page cannot be written.
    ModelNotFoundError, CheckpointError, DeviceNotAvailableError
    """
    settings = BatchSettings(config or SlideConfig(), resume, overwrite, areas)
    stop = stop or StopToken()
    choose_device(settings.config.device)
    batch = BatchFolder(folder, inputs, overwrite)
    batch.make()
    if model is None:
        yield Stage("Loading the model")
        model = load_model(settings.config.model)
    sound: list[BatchItem] = []
    yield from check_items(batch, settings, stop, sound)
    predictors = Predictors()
    for item in sound:
        if stop.stopped:
            break
        yield SlideStarted(item.index, len(batch.items), item.name)
        yield from _segment(batch, item, settings, stop, model, predictors)
    yield batch.result()


def check_items(
    batch: BatchFolder, settings: BatchSettings, stop: StopToken, sound: list[BatchItem]
) -> Iterator[Event]:
    """Find out before any work which slides cannot be segmented; the others go to `sound`."""
    yield Stage("Opening the slides")
    for item in batch.items:
        if stop.stopped:
            return
        try:
            batch.check(item, settings.resume, settings.overwrite)
            with open_slide(item.path, mpp=settings.config.mpp) as slide:
                pixel_size(slide, settings.config.mpp)
        except (GlandMTLError, OSError) as error:
            yield fail(batch, item, error)
        else:
            sound.append(item)


def fail(batch: BatchFolder, item: BatchItem, error: Exception) -> SlideFailed:
    """Note a failure, in words that the user can do something with."""
    reason = str(error)
    if not isinstance(error, GlandMTLError | OSError):
        logger.error("%s failed", item.path, exc_info=error)
        reason = f"unexpected {type(error).__name__}: {error}"
    batch.slide_failed(item, reason)
    return SlideFailed(item.path, reason)


def _segment(
    batch: BatchFolder,
    item: BatchItem,
    settings: BatchSettings,
    stop: StopToken,
    model: Model,
    predictors: Predictors,
) -> Iterator[Event]:
    """One slide; whatever goes wrong with it becomes an event."""
    began, worked, done = time.monotonic(), False, None
    try:
        with closing(_events(item, settings, stop, model, predictors)) as events:
            for event in events:
                if isinstance(event, Started):
                    batch.begin(item)
                    worked = True
                if isinstance(event, SlideDone):
                    done = event
                else:
                    yield event
        if done is not None:
            batch.slide_done(item, time.monotonic() - began, skipped=not worked)
            yield done
    except Exception as error:  # noqa: BLE001 - a batch of hundreds must not end with one
        yield fail(batch, item, error)


def _events(
    item: BatchItem,
    settings: BatchSettings,
    stop: StopToken,
    model: Model,
    predictors: Predictors,
) -> Generator[Event]:
    with open_slide(item.path, mpp=settings.config.mpp) as slide:
        yield from segment_slide(
            slide,
            item.store,
            settings.config,
            stop,
            settings.areas_of(item.path),
            settings.resume,
            settings.overwrite,
            model,
            predictors,
        )
