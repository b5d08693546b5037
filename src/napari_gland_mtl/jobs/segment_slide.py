"""Segment a whole slide into a store on disk, as a job that can be watched, stopped, resumed.

The network runs tile by tile where there is tissue; a second thread follows it, decodes what is
final and writes labels. Memory depends on the tile and the batch, not on the slide. A stopped
run labels what is done and leaves the rest for later; a killed one can be gone on with too.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from ..checkpoint import Model, load_model
from ..devices import choose_device
from ..errors import InvalidInputError
from ..export.slide_store import SlideStore
from ..inference.tiling import Tile
from ..slides import Slide
from ..slides.areas import Areas
from .events import (
    Event,
    Notice,
    SlideDone,
    Stage,
    Started,
    StoreReady,
    TileDone,
)
from .segment_config import SlideConfig
from .slide_plan import check_new, plan_slide
from .slide_work import Predictors, SlideWork, label_slide, predict_tiles, ready_rows
from .stop import StopToken

_POLL_S = 0.1


def segment_slide(
    slide: Slide,
    output: Path | str,
    config: SlideConfig | None = None,
    stop: StopToken | None = None,
    areas: Areas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    model: Model | None = None,
    predictors: Predictors | None = None,
) -> Iterator[Event]:
    """Segment a slide; labels, table and maps are written to `output` while it runs.

    Parameters
    ----------
    slide : Slide
    output : path
        The OME-Zarr to write, by convention ``NAME.ome.zarr``.
    config : SlideConfig, optional
        The defaults if left out.
    stop : StopToken, optional
        Looked at before every pass of the network. What was done is labelled and stays.
    areas : Areas, optional
        The parts to segment; all tissue unless given.
    resume : bool
        Go on with what is at `output`, if it was begun with the same settings. A slide that is
        complete is left as it is, or labelled anew if its probabilities were kept and the
        settings of the separation have changed.
    overwrite : bool
        Replace what is at `output`.
    model : Model, optional
        Used instead of loading ``config.model``.
    predictors : Predictors, optional
        Of the slides before, where there are several.

    Yields
    ------
    Event
        `Stage`, `StoreReady`, `Started`, then `TileDone`, `TileFailed`, `BlockDone` and
        `Notice` as they come, and `SlideDone` at the end.

    Raises
    ------
    MissingPixelSizeError
        If neither the file nor `config` gives the pixel size.
    InvalidInputError
        If no tissue is found, the slide is too small, or what is to be resumed was begun with
        other settings.
    OutputExistsError
        If something is at `output` and neither `resume` nor `overwrite` is set.
    OutputNotWritableError
        If the folder cannot be written to or the disk is full; what was written stays.
    ModelNotFoundError, CheckpointError, DeviceNotAvailableError
    """
    config = config or SlideConfig()
    stop = stop or StopToken()
    output = Path(output)
    choose_device(config.device)
    check_new(output, resume, overwrite)
    if model is None:
        yield Stage("Loading the model")
        model = load_model(config.model)
    yield Stage("Looking for tissue")
    plan = plan_slide(slide, output, config, model, areas, resume, overwrite)
    with SlideWork(plan, slide, model, predictors) as work:
        yield StoreReady(output, work.store.layout.shape, resumed=bool(plan.done))
        if is_finished(work.store, config):
            yield Notice(f"{output} is complete already.")
            yield SlideDone(output, work.store.summary or {}, complete=True)
            return
        yield Started(total=len(plan.tiles))
        if plan.done:
            yield TileDone(len(plan.tiles) - len(plan.missing), len(plan.tiles))
        yield Stage("Segmenting")
        yield from _predict_and_label(work, stop)
        yield SlideDone(output, work.store.summary or {}, complete=work.store.complete)


def is_finished(store: SlideStore, config: SlideConfig) -> bool:
    """Whether nothing is to be done on a store any more.

    Raises
    ------
    InvalidInputError
        If it was labelled with other settings, and what labels are made from is gone.
    """
    if not store.complete or (store.failed and store.has_work):
        return False
    before = (store.summary or {}).get("decoding")
    if before in (None, config.decoding.model_dump(mode="json")):
        return True
    if store.has_work:
        return False
    raise InvalidInputError(
        f"{store.path} is complete, and other settings of the separation need the network's "
        "output, which was not kept. Segment the slide again with --overwrite; with "
        "--keep-probabilities they can be changed later."
    )


def _predict_and_label(work: SlideWork, stop: StopToken) -> Iterator[Event]:
    """Both halves at once: the network in this thread, the labels in one that follows."""
    labels = _LabelThread(work)
    missing, total = work.plan.missing, len(work.plan.tiles)
    try:
        either = _EitherStop(stop, labels)
        for event in predict_tiles(work, missing, either, labels.tile_finished):
            if isinstance(event, TileDone):
                event = TileDone(total - len(missing) + event.done, total)
            yield event
            yield from labels.events()
        yield Stage("Finishing the labels")
        yield from labels.finish()
    except BaseException:
        labels.abandon()
        raise


class _LabelThread:
    """Labels what is final, in a thread of its own."""

    def __init__(self, work: SlideWork) -> None:
        self._work = work
        self._finished: queue.SimpleQueue[Tile | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._abandoned = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            # Every write is whole or not at all; and who never closes the job must not hang.
            target=self._run,
            name="gland-mtl labels",
            daemon=True,
        )
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether the labels cannot go on; `events` says why."""
        return self._error is not None

    def tile_finished(self, tile: Tile) -> None:
        """Say that a tile is in the store, or never will be."""
        self._finished.put(tile)

    def events(self) -> Iterator[Event]:
        """What the thread has said since the last call."""
        if self._error is not None:
            raise self._error
        while not self._events.empty():
            yield self._events.get()

    def finish(self) -> Iterator[Event]:
        """No more tiles will come: label the rest, and wait for it."""
        self._finished.put(None)
        while self._thread.is_alive():
            self._thread.join(_POLL_S)
            yield from self.events()
        yield from self.events()

    def abandon(self) -> None:
        """Something else went wrong: end soon, and leave the store as it is."""
        self._abandoned.set()
        self._finished.put(None)
        self._thread.join()

    def _tiles(self) -> Iterator[Tile]:
        while (tile := self._finished.get()) is not None:
            yield tile

    def _run(self) -> None:
        work = self._work
        try:
            rows = ready_rows(work.plan.missing, work.view.shape[0], self._tiles())
            for event in label_slide(work, rows, self._abandoned.is_set):
                self._events.put(event)
        except BaseException as error:  # noqa: BLE001 - raised again in the job's thread
            self._error = error


class _EitherStop(StopToken):
    """Up when the user wants the job to stop, or the labels cannot go on."""

    def __init__(self, stop: StopToken, labels: _LabelThread) -> None:
        super().__init__()
        self._stop = stop
        self._labels = labels

    @property
    def stopped(self) -> bool:
        """Whether either is the case."""
        return self._stop.stopped or self._labels.failed
