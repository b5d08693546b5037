"""Run a network over an image of any size, tile by tile, as if it saw the whole at once.

Each tile comes back as probabilities of the valid region assignments and as the class
activations on the network's coarsest grid. Memory depends on the tile and the batch; what to
keep of the results is left to the caller. Views of the window (test-time augmentation) are
averaged as probabilities, so that what is averaged is a distribution over valid assignments.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from ..errors import InvalidInputError
from ..network import GlandNetwork
from .batches import Float32Array, PredictedTile, UInt8Array, cut_cores, first_windows, windows_in
from .dropout import check_dropout
from .engine import Engine, EngineChoice, EngineName, PrecisionName, build_engine, check_choice
from .reading import STALL_S, FailedTile, PixelSource, ReadAhead, ReadTile, Waiting, read_window
from .tiling import Tile, Window, plan_tiles, round_up
from .transfer import Batch, Conveyor, views_of

__all__ = [
    "MIN_SIDE",
    "FailedTile",
    "Float32Array",
    "PixelSource",
    "PredictedTile",
    "Predictor",
    "UInt8Array",
    "Waiting",
]

_Item = TypeVar("_Item")

MIN_SIDE = 32
"""Smallest image side in px at the network's scale; below, there is no tissue to speak of."""


class Predictor:
    """Applies a network to windows of an image.

    Parameters
    ----------
    network : GlandNetwork
        Copied at the first tile, and left as it is: it may be in training.
    device : torch.device or str
    tile_size : int
        Side of a tile in network px, a multiple of the network's stride. The network sees the
        tile and a halo of its receptive radius around it.
    batch_size : int
        Windows per pass. Halved for good whenever the device runs out of memory.
    flips : bool
        Average over the four flips of each window; four times the work.
    quarter_turns : bool
        Average over quarter turns too: eight views with flips, four without.
    dropout_samples : int
        Passes of each view with dropout on, for networks trained with it; 0 for one without.
        Each is the network with the same channels dropped in all windows.
    class_temperature : float
        The class activations are divided by it; `ModelCard.class_temperature`.
    engine : str
        ``torch``, ``openvino`` (CPU; an extra), or ``auto``: OpenVINO on a CPU if it is
        installed and the work is long enough.
    precision : str
        ``float32``, ``float16`` (CUDA), ``bfloat16`` (on a CPU used only if it is faster there
        and gives the same labels), or ``auto``: float16 on CUDA, else float32.
    compiled : bool
        Fuse the network with ``torch.compile``; needs a compiler and about a minute.
    expected_tiles : int, optional
        How many tiles the whole work has, by which ``auto`` chooses the engine. By default
        those of the first call.

    Attributes
    ----------
    stride, halo : int
        In network px.
    stage_seconds : dict of float
        Seconds by the clock so far: ``read`` (waiting for pixels), ``network``, ``other``
        (starting the engine, cutting tiles out). What the caller does with a tile counts for
        none of them.

    Raises
    ------
    MissingExtraError
        If OpenVINO is asked for and not installed.
    InvalidInputError
        If the engine or the precision does not exist, or not on that device, or there is no
        dropout to sample.
    """

    def __init__(
        self,
        network: GlandNetwork,
        device: torch.device | str = "cpu",
        tile_size: int = 512,
        batch_size: int = 1,
        flips: bool = False,
        engine: EngineName = "auto",
        precision: PrecisionName = "auto",
        compiled: bool = False,
        expected_tiles: int | None = None,
        quarter_turns: bool = False,
        dropout_samples: int = 0,
        class_temperature: float = 1.0,
    ) -> None:
        self.device = torch.device(device)
        self._choice = EngineChoice(engine, precision, compiled, dropout_samples > 0)
        check_choice(self._choice, self.device)
        check_dropout(network, dropout_samples, engine)
        self._network = network
        self._built: Engine | None = None
        self._conveyors: dict[bool, Conveyor] = {}
        self._expected_tiles = expected_tiles
        self.tile_size = tile_size
        self.batch_size = batch_size
        self.flips = views_of(flips, quarter_turns)
        self._samples = dropout_samples
        self._temperature = class_temperature
        self.stride = network.stride
        self.halo = round_up(network.receptive_radius, self.stride)
        self.stage_seconds = {"read": 0.0, "network": 0.0, "other": 0.0}

    @property
    def engine(self) -> str:
        """As asked for; from the first tile on, the engine that runs."""
        return self._choice.engine if self._built is None else self._built.name

    @property
    def precision(self) -> str:
        """As asked for; from the first tile on, what is computed with."""
        return self._choice.precision if self._built is None else self._built.precision

    @property
    def built_engine(self) -> Engine | None:
        """What runs the network; None before the first tile."""
        return self._built

    def plan(self, shape: tuple[int, int], region: Window | None = None) -> list[Tile]:
        """Tiles for an image, or for the aligned surroundings of a region of it.

        Parameters
        ----------
        shape : tuple of int
            Height and width of the image in network px.
        region : Window, optional
            In network px, inside the image.

        Raises
        ------
        InvalidInputError
            If the image is too small to say anything about it, or the tile size is no multiple
            of the stride.
        """
        if min(shape) < MIN_SIDE:
            raise InvalidInputError(
                f"The image is too small: {shape[0]} x {shape[1]} px at the scale of the network, "
                f"which needs at least {MIN_SIDE} x {MIN_SIDE}. Check the pixel size, or take a "
                f"larger field."
            )
        padded = (round_up(shape[0], self.stride), round_up(shape[1], self.stride))
        aligned = region.aligned(self.stride) if region else None
        return plan_tiles(padded, self.tile_size, self.halo, self.stride, aligned)

    def predict(
        self,
        source: PixelSource,
        tiles: Sequence[Tile],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[PredictedTile]:
        """Predict tiles in order, a batch at a time; the probabilities are float32.

        Parameters
        ----------
        source : PixelSource
            The image at the network's um/px.
        tiles : sequence of Tile
            From :meth:`plan`, with the shape of `source`.
        stopped : callable
            Asked before every pass; after it says yes nothing new is begun.

        Raises
        ------
        InvalidInputError
            If the device has too little memory for a single window.
        UnreadableImageError
            If a window cannot be read.
        """
        run = _Run(self, len(tiles), stopped, rounded=False)
        for result in run.results(_read_each(source, tiles, stopped)):
            if isinstance(result, PredictedTile):
                yield result

    def stream(
        self,
        source: PixelSource,
        tiles: Sequence[Tile],
        stopped: Callable[[], bool] = lambda: False,
        readers: int = 2,
        stall_s: float = STALL_S,
    ) -> Iterator[PredictedTile | FailedTile | Waiting]:
        """Predict tiles in order while the next ones are read; the probabilities are uint8.

        Parameters
        ----------
        source : PixelSource
            The image at the network's um/px; read from several threads.
        tiles : sequence of Tile
            From :meth:`plan`, with the shape of `source`.
        stopped : callable
            Asked before every pass and while waiting for pixels; after it says yes nothing new
            is begun.
        readers : int
            Threads that read.
        stall_s : float
            After so many seconds without pixels `Waiting` is given, and again after as many.

        Yields
        ------
        PredictedTile, FailedTile or Waiting
            A tile that cannot be read is given as `FailedTile`, in its place.

        Raises
        ------
        InvalidInputError
            If the device has too little memory for a single window.
        """
        ahead = readers + 2 * self.batch_size
        run = _Run(self, len(tiles), stopped, rounded=True)
        with ReadAhead(source, tiles, readers, ahead, stall_s, stopped) as reading:
            yield from run.results(reading)

    def _conveyor(self, rounded: bool, count: int, sample: UInt8Array) -> Conveyor:
        """The way to the engine, which is made ready when the first pixels are at hand."""
        if self._built is None:
            pixels = sample.shape[0] * sample.shape[1] * len(self.flips) * max(self._samples, 1)
            pixels *= self._expected_tiles or count
            self._built = build_engine(self._network, self.device, self._choice, pixels, sample)
        if rounded not in self._conveyors:
            self._conveyors[rounded] = Conveyor(self._built, self.flips, rounded, self._samples)
        return self._conveyors[rounded]

    def _halve_batch(self) -> None:
        if self.batch_size == 1:
            side = self.tile_size + 2 * self.halo
            raise InvalidInputError(
                f"The memory of the device {self.device} does not hold one window of {side} x "
                f"{side} px. Choose a smaller tile size or the device cpu."
            ) from None
        self.batch_size //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _spent(self, stage: str) -> Iterator[None]:
        """Count the seconds of the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[stage] += time.perf_counter() - began

    def _each(self, stage: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items; the seconds that it takes to get them are counted."""
        iterator, end = iter(items), object()
        while True:
            with self._spent(stage):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]


class _Run:
    """One pass over a list of tiles: batches are formed, handed over and collected in order."""

    def __init__(
        self, predictor: Predictor, count: int, stopped: Callable[[], bool], rounded: bool
    ) -> None:
        self._predictor = predictor
        self._count, self._stopped, self._rounded = count, stopped, rounded
        self._todo: deque[ReadTile | FailedTile] = deque()
        self._under_way: deque[tuple[list[ReadTile | FailedTile], Batch | None]] = deque()
        self._in_flight = 0

    def results(
        self, feed: Iterable[ReadTile | FailedTile | Waiting | None]
    ) -> Iterator[PredictedTile | FailedTile | Waiting]:
        """What becomes of each tile of the feed, in its order."""
        for item in self._predictor._each("read", feed):
            if isinstance(item, (ReadTile, FailedTile)):
                self._todo.append(item)
                yield from self._hand_over(at_least=self._predictor.batch_size)
            else:
                # Nothing to hand over for the moment: time to see what has become of the rest.
                yield from self._collect(0)
                if item is not None:
                    yield item
        yield from self._hand_over(at_least=0)
        yield from self._collect(0)

    def _hand_over(self, at_least: int) -> Iterator[PredictedTile | FailedTile]:
        """Hand over batches as long as there are that many windows."""
        while self._todo and windows_in(self._todo) >= at_least and not self._stopped():
            group, batch = self._submitted()
            if batch is None and windows_in(group):
                return  # it was stopped between two flips
            self._under_way.append((group, batch))
            yield from self._collect(self._in_flight)
            at_least = min(at_least, self._predictor.batch_size)

    def _submitted(self) -> tuple[list[ReadTile | FailedTile], Batch | None]:
        """The next tiles with as many windows as fit, and their batch."""
        predictor = self._predictor
        while True:
            group = first_windows(self._todo, predictor.batch_size)
            windows = [item.pixels for item in group if isinstance(item, ReadTile)]
            batch = None
            try:
                if windows:
                    with predictor._spent("other"):
                        conveyor = predictor._conveyor(self._rounded, self._count, windows[0])
                    self._in_flight = conveyor.in_flight
                    with predictor._spent("network"):
                        batch = conveyor.submit(windows, self._stopped)
            except torch.OutOfMemoryError:
                pass
            else:
                for _ in group:
                    self._todo.popleft()
                return group, batch
            # Not while the error is being handled: it keeps alive what filled the memory.
            predictor._halve_batch()

    def _collect(self, left: int) -> Iterator[PredictedTile | FailedTile]:
        """Results of what is under way, until so many batches are left."""
        while len(self._under_way) > left:
            group, batch = self._under_way.popleft()
            with self._predictor._spent("network"):
                answer = None if batch is None else batch.wait()
            with self._predictor._spent("other"):
                results = list(
                    cut_cores(group, answer, self._predictor.stride, self._predictor._temperature)
                )
            del batch, answer
            yield from results


def _read_each(
    source: PixelSource, tiles: Sequence[Tile], stopped: Callable[[], bool]
) -> Iterator[ReadTile]:
    """Tile after tile with its pixels, each when it is needed."""
    for tile in tiles:
        if stopped():
            return
        yield ReadTile(tile, read_window(source, tile.window))
