"""Claims about the way to the engine and back: rounding, flips, overlap, overflow."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from napari_gland_mtl.inference import transfer
from napari_gland_mtl.inference.transfer import ALL_FLIPS, NO_FLIP, Conveyor

CPU = torch.device("cpu")


class Colours:
    """An engine that says what the pixels' own colours are: red, green and blue shares."""

    name, precision = "fake", "float32"

    def __init__(self, device=CPU):
        self.device, self.seen = device, []

    def __call__(self, images):
        self.seen.append(images.data_ptr())
        values = images.permute(0, 3, 1, 2).float() + 1.0
        if self.precision == "float16":
            values = (values * 400).half().float()  # 65504 is the most it holds
        shares = values / values.sum(dim=1, keepdim=True)
        return shares, values[:, :2, ::16, ::16].clone()


def windows(count=1, side=32, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


def shares_of(window):
    values = window.astype(np.float32).transpose(2, 0, 1) + 1.0
    return values / values.sum(axis=0)


def test_bytes_are_the_rounded_probabilities():
    given = windows(2)
    exact = Conveyor(Colours(), NO_FLIP, rounded=False).submit(given).wait()
    rounded = Conveyor(Colours(), NO_FLIP, rounded=True).submit(given).wait()
    assert exact.probabilities.dtype == np.float32
    assert rounded.probabilities.dtype == np.uint8
    np.testing.assert_allclose(exact.probabilities, np.stack([*map(shares_of, given)]), atol=1e-6)
    np.testing.assert_array_equal(rounded.probabilities, np.rint(255 * exact.probabilities))
    np.testing.assert_array_equal(rounded.class_map, exact.class_map)


def test_what_is_sure_and_what_is_even_is_never_all_zero():
    """All zero means "not analysed"; with 255 regions an even share is one 255th."""

    class Even(Colours):
        def __call__(self, images):
            count, height, width, _ = images.shape
            return torch.full((count, 255, height, width), 1 / 255), torch.zeros(count, 2, 2, 2)

    answer = Conveyor(Even(), NO_FLIP, rounded=True).submit(windows()).wait()
    assert (answer.probabilities == 1).all()


def test_flips_of_an_engine_that_sees_single_pixels_change_nothing():
    """Every axis is turned back as it was turned."""
    given = windows(2, side=48)
    plain = Conveyor(Colours(), NO_FLIP, rounded=False).submit(given).wait()
    flipped = Conveyor(Colours(), ALL_FLIPS, rounded=False).submit(given).wait()
    np.testing.assert_allclose(flipped.probabilities, plain.probabilities, atol=1e-6)


def test_flips_are_four_different_views():
    class Corner(Colours):
        """Says of the whole window what its first pixel is."""

        def __call__(self, images):
            shares, class_map = super().__call__(images)
            return shares[..., :1, :1].expand_as(shares).contiguous(), class_map

    (given,) = windows()
    answer = Conveyor(Corner(), ALL_FLIPS, rounded=False).submit([given]).wait()
    corners = shares_of(given)[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=1)
    np.testing.assert_allclose(answer.probabilities[0, :, 5, 7], corners, atol=1e-6)


def test_stopping_between_flips_gives_no_answer():
    engine = Colours()
    answer = Conveyor(engine, ALL_FLIPS, rounded=True).submit(windows(), lambda: True)
    assert answer is None
    assert len(engine.seen) == 1


def test_one_buffer_serves_all_batches():
    engine = Colours()
    conveyor = Conveyor(engine, NO_FLIP, rounded=True)
    for seed in range(5):
        conveyor.submit(windows(2, seed=seed)).wait()
    assert len(set(engine.seen)) == 1


def test_read_only_windows_are_taken():
    (given,) = windows()
    given.setflags(write=False)
    Conveyor(Colours(), NO_FLIP, rounded=True).submit([given]).wait()


def test_what_does_not_fit_into_half_precision_is_computed_again():
    engine = Colours()
    engine.precision = "float16"
    bright, dark = np.full((32, 32, 3), 255, np.uint8), np.full((32, 32, 3), 10, np.uint8)
    conveyor = Conveyor(engine, NO_FLIP, rounded=True)
    conveyor.submit([dark]).wait()
    assert engine.precision == "float16"
    answer = conveyor.submit([bright]).wait()
    assert engine.precision == "float32"
    assert (answer.probabilities == 85).all()
    np.testing.assert_array_equal(answer.class_map, 256.0)
    assert len(engine.seen) == 3


class FakeGPU:
    """Keeps a log of what would be asked of CUDA; copies happen at once, on the processor."""

    def __init__(self, monkeypatch):
        self.log, self.streams = [], []
        monkeypatch.setattr(torch.cuda, "Stream", self.stream)
        monkeypatch.setattr(torch.cuda, "Event", self.event)
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        compute = self.stream(None)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: compute)
        monkeypatch.setattr(
            transfer, "page_locked", lambda shape, dtype: torch.full(shape, 0, dtype=dtype)
        )
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)

    def stream(self, device):
        names = ("compute", "up", "down")
        fake = FakeStream(names[len(self.streams)], self.log)
        self.streams.append(fake)
        return fake

    def event(self, blocking):
        assert blocking
        return FakeEvent(self.log)

    @contextlib.contextmanager
    def on(self, stream):
        self.log.append(f"on {stream.name}")
        yield


class FakeStream:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


class FakeEvent:
    def __init__(self, log):
        self.log = log

    def record(self, stream):
        self.log.append(f"event on {stream.name}")

    def synchronize(self):
        self.log.append("wait for the event")


class FakeCudaEngine(Colours):
    """Pretends to be on a GPU, for which the pixels are already where they are."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __call__(self, images):
        self.log.append("compute")
        return super().__call__(images)


@pytest.fixture
def gpu(monkeypatch):
    return FakeGPU(monkeypatch)


def cuda_conveyor(gpu, rounded=True):
    conveyor = Conveyor(FakeCudaEngine(gpu.log), NO_FLIP, rounded)
    conveyor._transfer = transfer.CudaTransfer(CPU)
    conveyor.in_flight = conveyor._transfer.in_flight
    return conveyor


def test_on_a_gpu_every_step_waits_for_the_one_before_and_for_nothing_else(gpu):
    batch = cuda_conveyor(gpu).submit(windows())
    assert gpu.log == [
        "on up",
        "compute waits for up",
        "compute",
        "down waits for compute",
        "on down",
        "event on down",
    ]
    batch.wait()
    assert gpu.log[-1] == "wait for the event"


def test_a_batch_under_way_is_not_touched_by_the_next(gpu):
    conveyor = cuda_conveyor(gpu, rounded=False)
    assert conveyor.in_flight == 1
    (first,), (second,) = windows(seed=1), windows(seed=2)
    under_way = conveyor.submit([first])
    next_one = conveyor.submit([second])
    np.testing.assert_allclose(under_way.wait().probabilities[0], shares_of(first), atol=1e-6)
    np.testing.assert_allclose(next_one.wait().probabilities[0], shares_of(second), atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_real_gpu_gives_what_the_processor_gives():
    given = [windows(2, side=256, seed=seed) for seed in range(4)]
    conveyor = Conveyor(Colours(torch.device("cuda")), ALL_FLIPS, rounded=True)
    plain = Conveyor(Colours(), ALL_FLIPS, rounded=True)
    batches = [conveyor.submit(batch) for batch in given]
    for batch, expected in zip(batches, given, strict=True):
        answer, known = batch.wait(), plain.submit(expected).wait()
        difference = answer.probabilities.astype(int) - known.probabilities
        assert np.abs(difference).max() <= 1
        np.testing.assert_allclose(answer.class_map, known.class_map, rtol=1e-3)
