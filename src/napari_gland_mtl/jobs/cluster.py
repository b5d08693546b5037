"""Segment slides on a dask.distributed cluster: tiles of a slide and slides of a batch at once.

Workers write tiles straight to the store of their slide, in a folder that all machines share;
through the network go plans and numbers only. For each slide: a plan, then tasks of some seconds
each, then one task that labels. The client hands every worker a task to compute and one to
come, so that a cluster may grow and shrink, and a cancelled run ends within seconds. Whatever
dies is run again by dask, and what is stored is not computed again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..checkpoint import Model, load_model
from ..errors import ClusterError
from ..export.slide_store import SlideStore, is_slide_store
from .batch_folder import BatchFolder, BatchItem
from .cluster_connection import Workers, connected
from .cluster_worker import (
    SEEN_S,
    PartDone,
    SlideTask,
    label_on_worker,
    plan_on_worker,
    predict_on_worker,
)
from .events import (
    Event,
    Notice,
    SlideDone,
    SlideFailed,
    SlideStarted,
    Stage,
    Started,
    TileDone,
)
from .segment_batch import AreasOf, BatchSettings, check_items, fail
from .segment_config import SlideConfig
from .segment_slide import is_finished
from .slide_plan import SlidePlan
from .stop import StopToken

if TYPE_CHECKING:
    from distributed import Client

TASK_SECONDS = 8.0
"""Aim for the length of a task: long enough not to be felt, short enough to be lost."""
MOST_TILES = 64
"""Tiles of a task, however fast they are."""
MOST_SLIDES = 32
"""Slides at once, however many workers there are."""
_PER_WORKER = 2
_POLL_S = 0.5
_LONELY_S = 30.0
_RETRIES = 2

Future = Any
"""Of distributed, whose methods have no types; so have those of its client."""


def segment_on_cluster(
    inputs: Sequence[Path | str],
    folder: Path | str,
    scheduler: str | Client,
    config: SlideConfig | None = None,
    stop: StopToken | None = None,
    resume: bool = False,
    overwrite: bool = False,
    areas: AreasOf = None,
    model: Model | None = None,
) -> Generator[Event]:
    """Segment slides on the workers of a cluster.

    Parameters
    ----------
    inputs : sequence of path
        Files that all machines see under the same path.
    folder : path
        Seen by all machines under the same path, too; see `segment_batch`.
    scheduler : str or distributed.Client
        Address of a dask scheduler (``tcp://host:8786``), or a client that is connected to one.
    config, stop, resume, overwrite, areas, model
        As for `segment_batch`. A stopped run is not labelled; `resume` goes on with it.

    Yields
    ------
    Event
        As `segment_batch`, but slides overlap: `TileDone` counts the tiles of all slides that
        were begun.

    Raises
    ------
    MissingExtraError
        If dask.distributed is not installed.
    ClusterError
        If there is no scheduler at that address, it goes away, or workers do not see the
        folder or run another version of this package.
    InvalidInputError, OutputExistsError, OutputNotWritableError
    ModelNotFoundError, CheckpointError
    """
    settings = BatchSettings(config or SlideConfig(), resume, overwrite, areas)
    stop = stop or StopToken()
    slides = [Path(path).absolute() for path in inputs]
    batch = BatchFolder(Path(folder).absolute(), slides, overwrite)
    batch.make()
    if model is None:
        yield Stage("Loading the model")
        model = load_model(settings.config.model)
    yield Stage("Connecting to the cluster")
    with connected(scheduler) as client:
        workers = Workers(client, batch.folder, settings.config.device)
        workers.check_all()
        sound: list[BatchItem] = []
        yield from check_items(batch, settings, stop, sound)
        run = _ClusterRun(client, workers, batch, settings, model)
        try:
            yield from run.events(sound, stop)
        finally:
            run.cancel()
    yield batch.result()


@dataclass
class _SlideRun:
    """Where one slide stands."""

    item: BatchItem
    began: float
    plan_future: Future
    plan: SlidePlan | None = None
    todo: deque[int] = field(default_factory=deque)
    parts: set[Future] = field(default_factory=set)
    label_future: Future | None = None
    done: int = 0
    total: int = 0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def futures(self) -> list[Future]:
        """All that is under way for the slide."""
        planning = [self.plan_future] if self.plan is None else []
        labelling = [] if self.label_future is None else [self.label_future]
        return [*planning, *self.parts, *labelling]


class _ClusterRun:
    """The client's side of a batch: hands out work and takes in what comes of it."""

    def __init__(
        self,
        client: Any,
        workers: Workers,
        batch: BatchFolder,
        settings: BatchSettings,
        model: Model,
    ) -> None:
        self._client, self._workers, self._batch = client, workers, batch
        self._settings, self._model = settings, model
        self._name = uuid4().hex[:12]
        self._slides: list[_SlideRun] = []
        self._fit: list[str] = []
        self._given: dict[Future, str] = {}
        self._arrived = threading.Event()
        self._tile_seconds: float | None = None
        self._done = self._total = 0

    def events(self, items: Sequence[BatchItem], stop: StopToken) -> Iterator[Event]:
        """Run all slides; ends when they are done or failed, or soon after a stop."""
        waiting = deque(items)
        last_seen = time.monotonic()
        while (waiting or self._slides) and not stop.stopped:
            self._fit, notices = self._workers.fit()
            yield from notices
            if self._fit:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > _LONELY_S:
                last_seen = time.monotonic()
                yield Notice("The cluster has no worker at the moment; waiting for one.")
            while waiting and len(self._slides) < self._most_slides:
                yield self._begin(waiting.popleft())
            self._hand_out()
            yield from self._take_in()
        for slide in self._slides if stop.stopped else ():
            yield from self._stopped(slide)

    def cancel(self) -> None:
        """Take back all that has not been begun."""
        futures = [future for slide in self._slides for future in slide.futures]
        if futures and self._client.status == "running":
            self._client.cancel(futures)

    @property
    def _most_slides(self) -> int:
        """While some slides are planned or labelled, others keep the workers busy."""
        return min(MOST_SLIDES, len(self._fit) + 1)

    def _begin(self, item: BatchItem) -> SlideStarted:
        areas = self._settings.areas_of(item.path)
        task = SlideTask(
            path=item.path,
            store=item.store,
            config=self._settings.config,
            model=self._model.path.absolute(),
            model_sha256=self._model.sha256,
            areas=None if areas is None else areas.to_lists(),
            resume=self._settings.resume,
            overwrite=self._settings.overwrite,
            run=self._name,
        )
        future = self._submit(plan_on_worker, task, name=f"plan-{item.name}", priority=1)
        self._slides.append(_SlideRun(item, time.monotonic(), future))
        return SlideStarted(item.index, len(self._batch.items), item.name)

    def _submit(
        self, function: Any, *arguments: Any, name: str, priority: int = 0, worker: str = ""
    ) -> Future:
        """Send a task, to one worker or to any that is fit; to others only if these are gone."""
        future = self._client.submit(
            function,
            *arguments,
            key=f"gland-mtl-{name}-{uuid4().hex[:8]}",
            workers=[worker] if worker else self._fit or None,
            allow_other_workers=bool(worker or self._fit),
            retries=_RETRIES if function is predict_on_worker else 0,
            priority=priority,
            pure=False,
        )
        future.add_done_callback(lambda _: self._arrived.set())
        return future

    def _hand_out(self) -> None:
        """Give tiles to every worker that has less than two tasks, the first slides first."""
        load = Counter(self._given.values())
        idle = [w for w in self._fit for _ in range(_PER_WORKER - load[w])]
        idle.sort(key=lambda worker: load[worker])
        for slide in self._slides:
            while idle and slide.todo:
                worker = idle.pop(0)
                size = self._size(len(slide.todo))
                indices = [slide.todo.popleft() for _ in range(size)]
                future = self._submit(
                    predict_on_worker,
                    slide.plan_future,
                    indices,
                    name=f"tiles-{slide.item.name}",
                    worker=worker,
                )
                slide.parts.add(future)
                self._given[future] = worker

    def _size(self, left: int) -> int:
        """Tiles for a task: some seconds of work, and in the end something for every worker."""
        share = -(-left // (_PER_WORKER * max(1, len(self._fit))))
        size = 2.0 if self._tile_seconds is None else TASK_SECONDS / self._tile_seconds
        return max(1, min(round(size), share, MOST_TILES, left))

    def _take_in(self) -> Iterator[Event]:
        """Wait for a moment, and take in all that has come meanwhile."""
        self._wait()
        for slide in list(self._slides):
            try:
                yield from self._advance(slide)
            except Exception as error:  # noqa: BLE001 - the other slides go on
                yield self._fail(slide, error)

    def _wait(self) -> None:
        """Until something has come, or for a moment."""
        self._arrived.wait(_POLL_S)
        self._arrived.clear()
        if self._client.status != "running":
            raise ClusterError(
                "The connection to the cluster was lost. What is done is kept: the same command "
                "with --resume goes on."
            )

    def _advance(self, slide: _SlideRun) -> Iterator[Event]:
        if slide.plan is None:
            if slide.plan_future.done():
                yield from self._planned(slide)
            return
        for future in [future for future in slide.parts if future.done()]:
            self._given.pop(future, None)
            slide.parts.remove(future)
            yield from self._part_done(slide, future.result())
        if slide.label_future is None and not slide.todo and not slide.parts:
            slide.label_future = self._submit(
                label_on_worker,
                slide.plan_future,
                dict(slide.stages),
                name=f"labels-{slide.item.name}",
                priority=1,
            )
        elif slide.label_future is not None and slide.label_future.done():
            yield self._finished(slide, complete=slide.label_future.result())

    def _planned(self, slide: _SlideRun) -> Iterator[Event]:
        plan: SlidePlan = slide.plan_future.result()
        slide.plan = plan
        if self._settings.resume and is_finished(SlideStore.open(plan.store), plan.config):
            yield Notice(f"{slide.item.store} is complete already.")
            yield self._finished(slide, skipped=True)
            return
        self._batch.begin(slide.item)
        missing = {(tile.core.y0, tile.core.x0) for tile in plan.missing}
        slide.todo.extend(
            index
            for index, tile in enumerate(plan.tiles)
            if (tile.core.y0, tile.core.x0) in missing
        )
        slide.total = len(plan.tiles)
        slide.done = slide.total - len(slide.todo)
        if not self._total:
            yield Started(total=slide.total)
        self._total += slide.total
        self._done += slide.done
        yield TileDone(self._done, self._total)

    def _part_done(self, slide: _SlideRun, part: PartDone) -> Iterator[Event]:
        if part.computed:
            seconds = part.seconds / part.computed
            before = self._tile_seconds
            self._tile_seconds = seconds if before is None else 0.5 * (before + seconds)
        for stage, seconds in part.stages.items():
            slide.stages[stage] = slide.stages.get(stage, 0.0) + seconds
        yield from (Notice(f"{slide.item.name}: {text}") for text in part.notices)
        yield from part.failed
        slide.done += part.tiles
        self._done += part.tiles
        yield TileDone(self._done, self._total)

    def _finished(
        self, slide: _SlideRun, complete: bool = True, skipped: bool = False
    ) -> SlideDone:
        _wait_for_result(slide.item.store, complete)
        self._batch.slide_done(slide.item, time.monotonic() - slide.began, skipped=skipped)
        store = SlideStore.open(slide.item.store)
        self._slides.remove(slide)
        return SlideDone(store.path, store.summary or {}, complete=store.complete)

    def _fail(self, slide: _SlideRun, error: Exception) -> SlideFailed:
        from distributed import KilledWorker

        self._slides.remove(slide)
        self._client.cancel(slide.futures)
        for future in slide.parts:
            self._given.pop(future, None)
        self._done -= slide.done
        self._total -= slide.total
        if isinstance(error, KilledWorker):
            error = ClusterError(
                "Several workers died over the same part of it, perhaps for want of memory. Give "
                "them more, or choose a smaller --tile-size, and go on with --resume."
            )
        return fail(self._batch, slide.item, error)

    def _stopped(self, slide: _SlideRun) -> Iterator[Event]:
        """What is said of a slide that was begun and is not done."""
        if slide.plan is None or not is_slide_store(slide.item.store):
            return
        try:
            self._batch.slide_done(slide.item, time.monotonic() - slide.began)
        except Exception as error:  # noqa: BLE001 - the other slides are told of, too
            yield fail(self._batch, slide.item, error)
            return
        summary = {
            "statement": "Not labelled yet.",
            "tiles": len(slide.plan.tiles),
            "tiles_done": slide.done,
        }
        yield SlideDone(slide.item.store, summary, complete=False)


def _wait_for_result(path: Path, complete: bool) -> None:
    """Wait until this machine sees what a worker has made of a slide; not for ever."""
    end = time.monotonic() + SEEN_S
    while not (is_slide_store(path) and _is_labelled(SlideStore.open(path), complete)):
        if time.monotonic() > end:
            return
        time.sleep(0.5)


def _is_labelled(store: SlideStore, complete: bool) -> bool:
    return store.complete or (store.summary is not None and not complete)
