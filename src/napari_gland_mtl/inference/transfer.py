"""Bring windows to the engine and its answers back, while the next batch is being prepared.

On a processor that is a call. On a GPU the pixels go there from page-locked memory and the
probabilities come back as bytes, each on a stream of its own, so that both ways and the
network's passes overlap; one batch is under way while the next one is handed over. The views
of test-time augmentation are averaged, and rounded, where the network runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .engine import Engine

RGB = npt.NDArray[np.uint8]


class View(NamedTuple):
    """A way to look at an image.

    Attributes
    ----------
    flip : tuple of int
        Axes of (N, A, H, W) that are turned round.
    transposed : bool
        Whether the last two axes are exchanged before that.
    """

    flip: tuple[int, ...] = ()
    transposed: bool = False


NO_FLIP = (View(),)
ALL_FLIPS = (View(), View((-1,)), View((-2,)), View((-2, -1)))
QUARTER_TURNS = (View(), View((-1,), True), View((-2, -1)), View((-2,), True))
"""By 0, 90, 180 and 270 degrees."""
ALL_VIEWS = (*ALL_FLIPS, *(View(view.flip, True) for view in ALL_FLIPS))


def views_of(flips: bool, quarter_turns: bool) -> tuple[View, ...]:
    """The views that are averaged; with flips and quarter turns all eight there are."""
    if quarter_turns:
        return ALL_VIEWS if flips else QUARTER_TURNS
    return ALL_FLIPS if flips else NO_FLIP


class Answer(NamedTuple):
    """What the network says of a batch, in the memory of the processor.

    Attributes
    ----------
    probabilities : ndarray, (N, A, H, W)
        float32, or uint8 (round(255 p)). Valid until the next batch is handed over.
    class_map : ndarray of float32, (N, K, H / stride, W / stride)
    """

    probabilities: npt.NDArray[np.float32] | npt.NDArray[np.uint8]
    class_map: npt.NDArray[np.float32]


class Underway(Protocol):
    """Tensors on their way to the processor."""

    def wait(self) -> list[npt.NDArray[np.generic]]:
        """The tensors, once they are there."""


class Batch:
    """A batch that was handed over."""

    def __init__(self, work: Underway, again: Callable[[], Underway] | None) -> None:
        self._work, self._again = work, again

    def wait(self) -> Answer:
        """The answer, computed again in float32 if it did not fit into float16."""
        probabilities, class_map, *finite = self._work.wait()
        if finite and self._again is not None and not finite[0].all():
            probabilities, class_map, *_ = self._again().wait()
        return Answer(probabilities, class_map)  # type: ignore[arg-type]


class Conveyor:
    """Hands batches of windows to an engine.

    Parameters
    ----------
    engine : Engine
    views : sequence of View
        `NO_FLIP`, or those of `views_of` to average over.
    rounded : bool
        Give probabilities as uint8, else as float32.
    samples : int
        Passes of each view with dropout on, which are averaged too; 0 for one without.

    Attributes
    ----------
    in_flight : int
        How many batches may be under way when the next is handed over.
    """

    def __init__(
        self, engine: Engine, views: Sequence[View], rounded: bool, samples: int = 0
    ) -> None:
        self._engine = engine
        self._passes = [view for view in views for _ in range(max(samples, 1))]
        self._dropout = samples > 0
        self._rounded = rounded
        cuda = engine.device.type == "cuda"
        self._transfer = CudaTransfer(engine.device) if cuda else PlainTransfer(engine.device)
        self.in_flight = self._transfer.in_flight

    @torch.inference_mode()
    def submit(
        self, windows: Sequence[RGB], stopped: Callable[[], bool] = lambda: False
    ) -> Batch | None:
        """Hand over windows of one size, each (H, W, 3).

        Returns
        -------
        Batch or None
            None if it was stopped between two passes.

        Raises
        ------
        torch.OutOfMemoryError
            If the device has too little memory for so many windows.
        """
        images = self._transfer.upload(windows)
        answer = self._average(images, stopped)
        if answer is None:
            return None
        may_overflow = self._engine.precision == "float16"
        return Batch(
            self._transfer.download(answer),
            (lambda: self._again(images)) if may_overflow else None,
        )

    @torch.inference_mode()
    def _again(self, images: Tensor) -> Underway:
        """The same in float32, which everything that follows is computed in, too."""
        self._engine.precision = "float32"
        answer = self._average(images, lambda: False)
        return self._transfer.download(answer or [])

    def _average(self, images: Tensor, stopped: Callable[[], bool]) -> list[Tensor] | None:
        """Probabilities, class map and, in float16, whether all of them are finite."""
        probabilities, class_map = self._pass(images, 0)
        if len(self._passes) > 1:
            # The engine may write its next answer into the same memory.
            probabilities, class_map = probabilities.clone(), class_map.clone()
            for number in range(1, len(self._passes)):
                if stopped():
                    return None
                more_probabilities, more_class_map = self._pass(images, number)
                probabilities += more_probabilities
                class_map += more_class_map
            probabilities /= len(self._passes)
            class_map /= len(self._passes)
        checks = []
        if self._engine.precision == "float16":
            checks = [probabilities.isfinite().all() & class_map.isfinite().all()]
        if self._rounded:
            probabilities = probabilities.mul_(255).round_().to(torch.uint8)
        return [probabilities, class_map, *checks]

    def _pass(self, images: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """The engine's answer to images (N, H, W, 3) that are turned round, turned back."""
        view = self._passes[number]
        if self._dropout:
            self._engine.thin(number)
        # The pixels' axes stand one further to the left than those of the answer.
        seen = images.transpose(-3, -2) if view.transposed else images
        if view.flip:
            seen = seen.flip([axis - 1 for axis in view.flip])
        answer = self._engine(seen.contiguous() if view.transposed else seen)
        probabilities, class_map = (part.flip(view.flip) if view.flip else part for part in answer)
        if view.transposed:
            probabilities, class_map = (
                part.transpose(-2, -1).contiguous() for part in (probabilities, class_map)
            )
        return probabilities, class_map


class Here:
    """Tensors that have arrived."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors

    def wait(self) -> list[npt.NDArray[np.generic]]:
        """The tensors as arrays."""
        return [tensor.cpu().numpy() for tensor in self._tensors]


class PlainTransfer:
    """To the processor itself, through one buffer that is used again for every batch."""

    in_flight = 0

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stage = torch.empty(0, dtype=torch.uint8)

    def upload(self, windows: Sequence[RGB]) -> Tensor:
        """The windows as one tensor (N, H, W, 3) on the device."""
        shape = (len(windows), *windows[0].shape)
        if self._stage.shape != shape:
            self._stage = torch.empty(shape, dtype=torch.uint8)
        _fill(self._stage, windows)
        return self._stage.to(self._device)

    def download(self, tensors: Sequence[Tensor]) -> Underway:
        """The way back."""
        return Here(tensors)


class CudaTransfer:
    """To a GPU and back beside its computing.

    PyTorch keeps page-locked memory that was given up, and hands it out again once the copies
    from and to it are done, so that no more than two batches of it are ever in use.
    """

    in_flight = 1

    def __init__(self, device: torch.device) -> None:
        self._device = device
        stream: Callable[[torch.device], torch.cuda.Stream] = torch.cuda.Stream
        self._up, self._down = stream(device), stream(device)

    def upload(self, windows: Sequence[RGB]) -> Tensor:
        """The windows as one tensor (N, H, W, 3); what is computed next waits for them."""
        stage = page_locked((len(windows), *windows[0].shape), torch.uint8)
        _fill(stage, windows)
        compute = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._up):
            images = stage.to(self._device, non_blocking=True)
        compute.wait_stream(self._up)
        # The memory belongs to the stream it was made on; it is in use on the other.
        images.record_stream(compute)
        return images

    def download(self, tensors: Sequence[Tensor]) -> Underway:
        """The way back, begun when the tensors are computed."""
        self._down.wait_stream(torch.cuda.current_stream(self._device))
        # Blocking: the thread that waits sleeps, and leaves its core to those that read.
        arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._down):
            copies = [page_locked(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
            for copy, tensor in zip(copies, tensors, strict=True):
                copy.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._down)
            arrived.record(self._down)
        return Arriving(copies, arrived)


class Arriving:
    """Tensors that are there when an event has happened."""

    def __init__(self, tensors: Sequence[Tensor], arrived: torch.cuda.Event) -> None:
        self._tensors, self._arrived = tensors, arrived

    def wait(self) -> list[npt.NDArray[np.generic]]:
        """The tensors as arrays; the thread sleeps until then."""
        self._arrived.synchronize()
        return [tensor.numpy() for tensor in self._tensors]


def page_locked(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Memory of the processor that a GPU can reach by itself."""
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def _fill(stage: Tensor, windows: Sequence[RGB]) -> None:
    """Copy the windows in; they may be read-only, which PyTorch does not take."""
    for slot, window in zip(stage.numpy(), windows, strict=True):
        slot[...] = window
