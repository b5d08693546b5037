"""The two halves of a slide's segmentation: running the network, and labelling what it said.

The first writes the output of each tile to the store, in any process and any order. The second
sweeps over what is stored, so that it is the same whether the slide was run at once, resumed
or spread over a cluster; it may follow the first half at a distance while that goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ..checkpoint import Model, load_model
from ..devices import choose_device
from ..errors import InvalidInputError, UnreadableImageError
from ..export.slide_store import SlideStore
from ..inference.engine import choose_engine
from ..inference.heatmap import class_heatmap, field_radius
from ..inference.predictor import FailedTile, Predictor, Waiting
from ..inference.scaled_slide import ScaledSlide
from ..inference.slide_labels import SlideLabeller
from ..inference.tiling import Tile, Window
from ..slides import Slide, open_slide
from ..slides.areas import Areas
from ..slides.tissue import TissueMask
from .events import BlockDone, Event, Notice, TileDone
from .memory import release_freed_memory
from .segment_config import SlideConfig
from .slide_plan import SlidePlan
from .slide_summary import slide_summary
from .stages import StageClock
from .stop import StopToken
from .tile_writer import TileWriter

HEATMAP_SIDE = 512
"""Cells of the class map, along y and x, that are averaged at a time."""
_UNREAD_IN_A_ROW = 16
_PREDICTOR_SETTINGS = {
    "tile_size",
    "batch_size",
    "flips",
    "quarter_turns",
    "dropout_samples",
    "engine",
    "precision",
}


class Predictors:
    """Networks on their devices, kept from one slide to the next: an engine takes long to start.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Predictor] = {}

    def get(self, model: Model, config: SlideConfig, tiles: Sequence[Tile]) -> Predictor:
        """A predictor for a slide.

        Parameters
        ----------
        model : Model
        config : SlideConfig
        tiles : sequence of Tile
            All of the slide's, whether they are done or not: a run that is gone on with makes
            the same choice of an engine.
        """
        device = choose_device(config.device)
        window = tiles[0].window.shape if tiles else (config.tile_size, config.tile_size)
        pixels = window[0] * window[1] * len(tiles) * config.passes
        dropout = config.dropout_samples > 0 and config.engine == "auto"
        engine = "torch" if dropout else choose_engine(config.engine, device, pixels)
        settings = config.model_dump_json(include=_PREDICTOR_SETTINGS)
        key = (model.sha256, str(device), engine, settings)
        if key not in self._kept:
            self._kept.clear()  # one at a time: a GPU's memory is not for what is not used
            self._kept[key] = Predictor(
                model.network,
                device,
                config.tile_size,
                # One by one costs a CPU nothing, and lets the user stop after every tile.
                batch_size=1 if device.type == "cpu" else config.batch_size,
                flips=config.flips,
                engine=engine,
                precision=config.precision,
                quarter_turns=config.quarter_turns,
                dropout_samples=config.dropout_samples,
                class_temperature=model.card.class_temperature,
            )
        return self._kept[key]


class SlideWork:
    """The open slide, model and store of a plan; a context manager.

    Parameters
    ----------
    plan : SlidePlan
    slide : Slide, optional
        Used, and left open, instead of opening the plan's file.
    model : Model, optional
        Used instead of loading the plan's.
    predictors : Predictors, optional
        Those of the slides before.

    Attributes
    ----------
    slide, model, store : Slide, Model, SlideStore
    view : ScaledSlide
        The slide at the network's um/px.
    clock : StageClock
        Where the time goes.

    Raises
    ------
    InvalidInputError
        If the slide is an array and not given, or the model is no longer the plan's.
    """

    def __init__(
        self,
        plan: SlidePlan,
        slide: Slide | None = None,
        model: Model | None = None,
        predictors: Predictors | None = None,
    ) -> None:
        self.plan = plan
        self.clock = StageClock()
        self.model = load_model(plan.model) if model is None else model
        if self.model.sha256 != plan.model_sha256:
            raise InvalidInputError(
                f"The model {plan.model} is not the one that this run was begun with. Give the "
                "same model, or begin anew with --overwrite."
            )
        self.store = SlideStore.open(plan.store, writable=True)
        self._stack = ExitStack()
        self.slide = self._stack.enter_context(_open(plan)) if slide is None else slide
        self.view = ScaledSlide(self.slide, plan.mpp, self.model.card.mpp)
        self.areas = Areas(plan.areas) if plan.areas else None
        self._predictors = Predictors() if predictors is None else predictors

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the slide, if it was opened here."""
        self._stack.close()

    def predictor(self) -> Predictor:
        """The network on its device, made ready when it is first needed."""
        return self._predictors.get(self.model, self.plan.config, self.plan.tiles)

    def tissue(self) -> Callable[[Window], npt.NDArray[np.bool_]] | None:
        """Which px of a window of the network's grid are tissue; None if that was not asked."""
        stored = self.store.tissue()
        if stored is None:
            return None
        mask, scale = TissueMask(*stored), self.view.scale
        return lambda window: mask.window(*window, scale)


def _open(plan: SlidePlan) -> Slide:
    if plan.slide is None:
        raise InvalidInputError(
            "An image in memory can be segmented by the process that holds it alone. Save it as "
            "a file first."
        )
    return open_slide(plan.slide, mpp=plan.mpp)


def predict_tiles(
    work: SlideWork,
    tiles: Sequence[Tile],
    stop: StopToken,
    finished: Callable[[Tile], None] = lambda tile: None,
    provisional: bool = True,
) -> Iterator[Event]:
    """Run the network over tiles and write what it says to the store.

    Parameters
    ----------
    work : SlideWork
    tiles : sequence of Tile
    stop : StopToken
        Looked at before every pass; what was computed is written.
    finished : callable
        Told of every tile that is on disk or cannot be read, before its event comes.
    provisional : bool
        Also write the regions as they are before decoding, for those who watch. Not from
        several processes at once: they would share chunks.

    Yields
    ------
    Event
        `TileDone` once a tile is on disk or has failed, `TileFailed` and `BlockDone` before
        it, and `Notice`.

    Raises
    ------
    OutputNotWritableError
        If the disk is full; what is on it stays.
    """
    if not tiles:
        return
    predictor = work.predictor()
    batch, done, unread = predictor.batch_size, 0, 0
    engine = _EngineNote()
    before = dict(predictor.stage_seconds)
    readers = work.plan.config.readers
    work.view.announce(tile.window for tile in tiles)
    with TileWriter(work, provisional) as writer:
        for result in predictor.stream(work.view, tiles, lambda: stop.stopped, readers):
            if predictor.batch_size < batch:
                batch = predictor.batch_size
                yield Notice(f"The device ran out of memory; going on with {batch} tiles at once.")
            if isinstance(result, Waiting):
                yield _slow_drive(work, result.seconds)
                continue
            if isinstance(result, FailedTile):
                unread += 1
                if unread == _UNREAD_IN_A_ROW:
                    raise _lost_drive(work, str(result.error))
            else:
                unread = 0
                yield from engine.note(work.store, predictor)
            writer.put(result)
            for event, tile in writer.events():
                finished(tile)
                done += 1
                yield event
                yield TileDone(done, len(tiles))
        for event, tile in writer.finish():
            finished(tile)
            done += 1
            yield event
            yield TileDone(done, len(tiles))
    for stage, seconds in predictor.stage_seconds.items():
        work.clock.add(stage, seconds - before.get(stage, 0.0))


class _EngineNote:
    """Writes down what computes the tiles, and says if earlier ones were computed otherwise."""

    def __init__(self) -> None:
        self._noted = False

    def note(self, store: SlideStore, predictor: Predictor) -> Iterator[Notice]:
        """To be called when the predictor has run."""
        if self._noted:
            return
        self._noted = True
        name = f"{predictor.engine} {predictor.precision} {predictor.device.type}"
        earlier = [other for other in store.engines if other != name]
        store.note_engine(name)
        if earlier:
            yield Notice(
                f"Earlier tiles were computed with {' and '.join(earlier)}, these with {name}: "
                "they are equal but for rounding."
            )


def _lost_drive(work: SlideWork, reason: str) -> UnreadableImageError:
    return UnreadableImageError(
        f"{_UNREAD_IN_A_ROW} tiles of {work.slide.name} in a row could not be read; the last one: "
        f"{reason} If the drive or the network is gone, bring it back and resume: what was done "
        "is kept."
    )


def _slow_drive(work: SlideWork, seconds: float) -> Notice:
    return Notice(
        f"Nothing could be read from {work.slide.name} for {seconds:.0f} s. The drive or the "
        "network is slow; the run waits for it."
    )


def ready_rows(tiles: Sequence[Tile], height: int, finished: Iterable[Tile]) -> Iterator[int]:
    """Down to which row everything is predicted, while tiles finish in any order.

    Parameters
    ----------
    tiles : sequence of Tile
        Those that were missing in the beginning.
    height : int
        Of the network's grid; the last value.
    finished : iterable of Tile
        Ends when no more will come, for whatever reason.
    """
    waiting = Counter(tile.core.y0 for tile in tiles)
    rows = sorted(waiting)
    for tile in finished:
        waiting[tile.core.y0] -= 1
        before = len(rows)
        while rows and waiting[rows[0]] == 0:
            rows.pop(0)
        if rows and len(rows) < before:
            yield rows[0]
    yield height


def label_slide(
    work: SlideWork,
    ready: Iterable[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Turn what the network said into regions, glands, table, heat map and summary.

    Parameters
    ----------
    work : SlideWork
    ready : iterable of int, optional
        Growing rows down to which all tiles are stored, while the network runs; without it,
        everything that is stored is labelled. The store is complete if no tile is missing then.
    stopped : callable
        Asked every few seconds; once it says yes, the labels are left as they are.

    Yields
    ------
    Event
        `BlockDone` for every block of labels.

    Raises
    ------
    InvalidInputError
        If another process is labelling the same store.
    OutputNotWritableError
    """
    with work.store.labelling():
        yield from _label_slide(work, ready, stopped)


def _label_slide(
    work: SlideWork, ready: Iterable[int] | None, stopped: Callable[[], bool]
) -> Iterator[Event]:
    store, config = work.store, work.plan.config
    store.start_labels()
    labeller = SlideLabeller(
        store,
        store.layout.hierarchy,
        store.layout.mpp,
        config.decoding,
        store.layout.classes,
        store.layout.stride,
        work.tissue(),
    )
    rows = [work.view.shape[0]] if ready is None else ready
    analysed = 0
    for block in work.clock.each("labels", labeller.blocks(rows, stopped)):
        with work.clock.spent("write labels"):
            store.write_block(block.window, block.regions, block.glands)
            store.write_uncertainty(block.window, block.uncertainty)
            store.append_rows(block.table)
            release_freed_memory()
        # Without the glass of the tiles: the network saw that, too.
        analysed += int(np.count_nonzero(block.regions))
        yield BlockDone(block.window, final=True)
    if stopped():
        return
    with work.clock.spent("heat map"):
        _write_heatmaps(store)
    summary = slide_summary(work, labeller, analysed)
    if work.plan.unsettled(store):
        store.write_summary(summary)
    else:
        before = store.record["settings"].get("keep_probabilities", False)
        # Tiles that could not be read can be tried again, and need what lies around them then.
        keep = config.keep_probabilities or before or bool(store.failed)
        store.finish(summary, keep_work=keep)


def _write_heatmaps(store: SlideStore) -> None:
    """The map of class probability, in squares that overlap by a field."""
    layout = store.layout
    height, width = layout.coarse_shape
    radius = field_radius(layout.mpp, layout.stride)
    for y in range(0, height, HEATMAP_SIDE):
        for x in range(0, width, HEATMAP_SIDE):
            square = Window(y, x, y + HEATMAP_SIDE, x + HEATMAP_SIDE).clipped(height, width)
            around = Window(y - radius, x - radius, square.y1 + radius, square.x1 + radius).clipped(
                height, width
            )
            maps = class_heatmap(store.class_map(around), radius)
            inside = square.relative_to(around.y0, around.x0)
            store.write_heatmap(square, maps[(..., *inside.slices)])
