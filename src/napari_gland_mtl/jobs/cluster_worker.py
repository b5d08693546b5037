"""What runs on the workers of a cluster: a slide's plan, a few of its tiles, its labels.

A worker process keeps the slide that it works on, the model and the network open from one task
to the next. Its threads are for one network at a time, not for several that fight over the
cores. Any task may be run again elsewhere after its worker has died: each looks first at what
is there.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..checkpoint import Model, load_model
from ..errors import ClusterError
from ..export.slide_store import SlideStore
from ..inference.tiling import Tile
from ..slides import open_slide
from ..slides.areas import Areas
from .events import Notice, TileFailed
from .segment_config import SlideConfig
from .segment_slide import is_finished
from .slide_plan import SlidePlan, plan_slide
from .slide_work import Predictors, SlideWork, label_slide, predict_tiles
from .stop import StopToken
from .worker_device import worker_device

SEEN_S = 90.0
"""How long a network drive may take to show one machine what another has written."""
_OPEN_SLIDES = 2

_network = threading.Lock()
"""Held by the task whose tiles run."""
_loading = threading.Lock()
_models: dict[str, Model] = {}
_works: OrderedDict[tuple[str, str], SlideWork] = OrderedDict()
_predictors = Predictors()


@dataclass(frozen=True)
class WorkerFacts:
    """What a client has to know of a worker before it sends work.

    Attributes
    ----------
    host : str
    version : str
        Of this package, there.
    problem : str
        Why nothing can be sent to it; empty if all is well.
    """

    host: str
    version: str
    problem: str = ""


@dataclass(frozen=True)
class SlideTask:
    """A slide as the client names it to the workers.

    Attributes
    ----------
    path, store : Path
        As all machines see them.
    config : SlideConfig
    model : Path
        The file with the weights.
    model_sha256 : str
    areas : list of polygons, or None
    resume, overwrite : bool
    run : str
    """

    path: Path
    store: Path
    config: SlideConfig
    model: Path
    model_sha256: str
    areas: list[list[list[float]]] | None
    resume: bool
    overwrite: bool
    run: str


@dataclass(frozen=True)
class PartDone:
    """A few tiles of a slide are on disk.

    Attributes
    ----------
    tiles, computed : int
        How many it was about, and how many of them had not been stored before.
    failed : tuple of TileFailed
    notices : tuple of str
    seconds : float
        That the computed ones took, by the clock.
    stages : dict of str to float
        Where the time went; see `StageClock`.
    """

    tiles: int
    computed: int
    failed: tuple[TileFailed, ...]
    notices: tuple[str, ...]
    seconds: float
    stages: dict[str, float]


def check_worker(folder: Path, probe: str, device: str) -> WorkerFacts:
    """Whether this worker sees the client's output folder, can write there, has the device.

    Parameters
    ----------
    folder : Path
        The output folder.
    probe : str
        Name of a file that the client has put into it.
    device : str
        As in the settings.
    """
    from .. import __version__

    facts = WorkerFacts(socket.gethostname(), __version__)
    if not (folder / probe).is_file():
        return replace(facts, problem=f"does not see the folder {folder}")
    answer = folder / f"{probe}.{facts.host}.{os.getpid()}"
    try:
        answer.write_bytes(b"")
        answer.unlink()
    except OSError as error:
        return replace(facts, problem=f"cannot write to {folder} ({error.strerror})")
    try:
        worker_device(device)
    except (ValueError, RuntimeError) as error:
        return replace(facts, problem=str(error))
    return facts


def plan_on_worker(task: SlideTask) -> SlidePlan:
    """Find a slide's tissue and create or reopen its store; see `plan_slide`."""
    model = _model(task.model, task.config.model, task.model_sha256)
    areas = None if task.areas is None else Areas.from_lists(task.areas)
    with open_slide(task.path, mpp=task.config.mpp) as slide:
        return plan_slide(
            slide,
            task.store,
            task.config,
            model,
            areas,
            resume=task.resume,
            overwrite=task.overwrite,
            run=task.run,
        )


def predict_on_worker(plan: SlidePlan, indices: Sequence[int]) -> PartDone:
    """Run the network over some of the plan's tiles, those that nobody has stored yet.

    Parameters
    ----------
    plan : SlidePlan
    indices : sequence of int
        Into the plan's tiles.
    """
    with _network:
        began = time.monotonic()
        work = _work(plan)
        missing = [
            tile for tile in (plan.tiles[i] for i in indices) if not _is_stored(work.store, tile)
        ]
        before = work.clock.seconds
        events = list(predict_tiles(work, missing, StopToken(), provisional=False))
        return PartDone(
            tiles=len(indices),
            computed=len(missing),
            failed=tuple(event for event in events if isinstance(event, TileFailed)),
            notices=tuple(event.text for event in events if isinstance(event, Notice)),
            seconds=time.monotonic() - began,
            stages={
                stage: seconds - before.get(stage, 0.0)
                for stage, seconds in work.clock.seconds.items()
            },
        )


def label_on_worker(plan: SlidePlan, stages: Mapping[str, float]) -> bool:
    """Label all that is stored of a slide.

    Parameters
    ----------
    plan : SlidePlan
    stages : dict of str to float
        Seconds that its tiles have cost, for the summary.

    Returns
    -------
    bool
        Whether the slide is complete; not if tiles of it could not be read.
    """
    store = SlideStore.open(plan.store)
    if is_finished(store, plan.config):
        return True  # the worker that has done it died before anybody heard of it
    _wait_for_tiles(plan, store)
    model = _model(Path(plan.model), plan.config.model, plan.model_sha256)
    with SlideWork(plan, model=model) as work:
        for stage, seconds in stages.items():
            work.clock.add(stage, seconds)
        for _ in label_slide(work):
            pass
        return work.store.complete


def _wait_for_tiles(plan: SlidePlan, store: SlideStore) -> None:
    """Wait until this machine sees what others have just stored: network drives take their time.

    Raises
    ------
    ClusterError
        If it does not.
    """
    end = time.monotonic() + SEEN_S
    while missing := plan.unsettled(store):
        if time.monotonic() > end:
            raise ClusterError(
                f"{len(missing)} tiles of {plan.store} that were stored are not seen on "
                f"{socket.gethostname()}. Check that all machines see the same folder, and go on "
                "with --resume."
            )
        time.sleep(1.0)


def _is_stored(store: SlideStore, tile: Tile) -> bool:
    y0, x0, y1, x1 = tile.core
    return store.any(store.layout.clipped((y0, x0, y1, x1)))


def _model(path: Path, name: str, sha256: str) -> Model:
    """The client's model, by its file or else by its name."""
    with _loading:
        if sha256 not in _models:
            model = load_model(path if path.is_file() else name)
            if model.sha256 != sha256:
                raise ClusterError(
                    f"The model {name!r} on {socket.gethostname()} is not the client's. Give the "
                    "model as a file that all machines see: --model FILE."
                )
            _models.clear()
            _models[sha256] = model
        return _models[sha256]


def _work(plan: SlidePlan) -> SlideWork:
    """The slide, open; only within the lock."""
    key = (str(plan.store), plan.run)
    if key not in _works:
        _use_own_threads()
        device = worker_device(plan.config.device)
        config = plan.config.model_copy(update={"device": device})
        model = _model(Path(plan.model), plan.config.model, plan.model_sha256)
        _works[key] = SlideWork(replace(plan, config=config), model=model, predictors=_predictors)
        while len(_works) > _OPEN_SLIDES:
            _works.popitem(last=False)[1].close()
    _works.move_to_end(key)
    return _works[key]


def _use_own_threads() -> None:
    """Let the network use the threads that this worker was given, and no more."""
    import torch
    from distributed import get_worker

    try:
        threads = int(get_worker().state.nthreads)
    except ValueError:  # no worker: a test
        return
    torch.set_num_threads(threads)
