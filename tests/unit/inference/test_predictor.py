"""Claims about prediction by tiles: no seam, no dependence on batches, nothing left behind."""

from __future__ import annotations

import itertools
import threading
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError, UnreadableImageError
from napari_gland_mtl.inference import predictor as predictor_module
from napari_gland_mtl.inference.engine import WORTHWHILE_PIXELS
from napari_gland_mtl.inference.openvino_engine import openvino_installed
from napari_gland_mtl.inference.predictor import FailedTile, PredictedTile, Predictor, Waiting
from napari_gland_mtl.inference.tiling import Window, pad_mirrored, round_up
from napari_gland_mtl.network import NetworkConfig, build_network

WIDTHS = (4, 8, 8, 8, 8)


class ArraySource:
    """An image in memory at the network's scale, that remembers what was read of it."""

    def __init__(self, image):
        self.image = image
        self.shape = image.shape[:2]
        self.read_windows = []

    def read(self, window):
        self.read_windows.append(window)
        return self.image[window.slices]


def tiny_network(seed=0, widths=WIDTHS):
    """Random weights with activations large enough that every seam would show."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(widths=widths))
    torch.nn.init.normal_(network.region_head.weight, std=1.0)
    torch.nn.init.normal_(network.class_head[-1].weight, std=1.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


NETWORK = tiny_network()


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stitched(predictor, image, region=None):
    """Probabilities and class map of a whole image, NaN where no tile wrote."""
    source = ArraySource(image)
    tiles = predictor.plan(source.shape, region)
    padded = [round_up(side, predictor.stride) for side in source.shape]
    probabilities = np.full((3, *padded), np.nan, dtype=np.float32)
    class_map = np.full((2, *(side // predictor.stride for side in padded)), np.nan)
    for result in predictor.predict(source, tiles):
        probabilities[(..., *result.tile.core.slices)] = result.probabilities
        coarse = result.tile.core.coarsened(predictor.stride)
        class_map[(..., *coarse.slices)] = result.class_map
    return probabilities, class_map


def untiled(image):
    """One pass over the padded image with softmax over stroma, border, border + lumen."""
    padded = pad_mirrored(image, *(round_up(side, 16) for side in image.shape[:2]))
    with torch.inference_mode():
        output = NETWORK(torch.from_numpy(padded).permute(2, 0, 1)[None])
        stroma, border, lumen = output.region_logits[0]
        probabilities = torch.softmax(torch.stack([stroma, border, border + lumen]), dim=0)
    return probabilities.numpy(), output.class_map[0].numpy()


ENGINES = [
    "torch",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(not openvino_installed(), reason="OpenVINO is not installed"),
    ),
]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    height=st.integers(32, 420),
    width=st.integers(32, 420),
    tile_size=st.sampled_from([64, 80, 112, 512]),
    batch_size=st.integers(1, 3),
)
def test_tiled_equals_untiled(height, width, tile_size, batch_size):
    image = noise(height, width)
    predictor = Predictor(NETWORK, tile_size=tile_size, batch_size=batch_size)
    probabilities, class_map = stitched(predictor, image)
    expected_probabilities, expected_class_map = untiled(image)
    np.testing.assert_allclose(probabilities, expected_probabilities, atol=1e-4)
    np.testing.assert_allclose(class_map, expected_class_map, atol=1e-4)


def test_a_halo_too_narrow_shows_as_a_seam():
    """The control of the claim above: it can fail."""
    image = noise(400, 400)
    predictor = Predictor(NETWORK, tile_size=64)
    predictor.halo = 16
    probabilities, _ = stitched(predictor, image)
    assert np.abs(probabilities - untiled(image)[0]).max() > 1e-3


def test_tiled_equals_untiled_with_flips():
    image = noise(330, 290)
    tiled = stitched(Predictor(NETWORK, tile_size=96, batch_size=2, flips=True), image)
    whole = stitched(Predictor(NETWORK, tile_size=512, flips=True), image)
    plain = stitched(Predictor(NETWORK, tile_size=512), image)
    np.testing.assert_allclose(tiled[0], whole[0], atol=1e-4)
    np.testing.assert_allclose(tiled[1], whole[1], atol=1e-4)
    assert np.abs(whole[0] - plain[0]).max() > 1e-3


def test_flips_are_the_mean_over_the_flipped_images():
    image = noise(64, 96)
    flipped, _ = stitched(Predictor(NETWORK, flips=True), image)
    views = []
    for y, x in itertools.product((1, -1), repeat=2):
        probabilities, _ = untiled(np.ascontiguousarray(image[::y, ::x]))
        views.append(probabilities[:, ::y, ::x])
    np.testing.assert_allclose(flipped, np.mean(views, axis=0), atol=1e-5)


def test_probabilities_sum_to_one_everywhere():
    probabilities, _ = stitched(Predictor(NETWORK, tile_size=64, flips=True), noise(100, 130))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=1e-5)


def test_a_region_equals_that_part_of_the_whole_image():
    image = noise(520, 480)
    region = Window(170, 200, 215, 260)
    whole, _ = stitched(Predictor(NETWORK, tile_size=512), image)
    part, _ = stitched(Predictor(NETWORK, tile_size=32), image, region)
    aligned = region.aligned(16)
    np.testing.assert_allclose(
        part[(..., *aligned.slices)], whole[(..., *aligned.slices)], atol=1e-4
    )
    part[(..., *aligned.slices)] = np.nan
    assert np.isnan(part).all()


def test_no_more_than_tile_and_halo_is_ever_read():
    source = ArraySource(noise(700, 640))
    predictor = Predictor(NETWORK, tile_size=128)
    for _ in predictor.predict(source, predictor.plan(source.shape)):
        pass
    limit = 128 + 2 * predictor.halo
    assert max(max(window.shape) for window in source.read_windows) <= limit < 640


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flips", [False, True])
def test_a_stream_gives_the_same_in_bytes(engine, flips):
    source = ArraySource(noise(230, 300))
    predictor = Predictor(NETWORK, tile_size=96, batch_size=2, flips=flips, engine=engine)
    tiles = predictor.plan(source.shape)
    exact = list(Predictor(NETWORK, tile_size=96, flips=flips).predict(source, tiles))
    results = list(predictor.stream(source, tiles, readers=3))
    assert [result.tile for result in results] == tiles
    for result, known in zip(results, exact, strict=True):
        assert result.probabilities.dtype == np.uint8
        # Half a step of rounding, and the last digits of float32.
        assert np.abs(result.probabilities / 255 - known.probabilities).max() < 0.5 / 255 + 1e-4
        assert result.probabilities.any(axis=0).all()
        np.testing.assert_allclose(result.class_map, known.class_map, atol=1e-3)


@pytest.mark.parametrize(("engine", "steps"), [("torch", 1), ("openvino", 0)])
def test_a_stream_over_tiles_equals_one_over_the_whole(engine, steps):
    """OpenVINO sums in the same order everywhere; PyTorch's last digits may round either way."""
    if engine == "openvino" and not openvino_installed():
        pytest.skip("OpenVINO is not installed")
    source = ArraySource(noise(420, 390))
    stitched_bytes = []
    for tile_size in (128, 512):
        predictor = Predictor(NETWORK, tile_size=tile_size, engine=engine)
        whole = np.zeros((3, 432, 400), dtype=np.int16)
        for result in predictor.stream(source, predictor.plan(source.shape)):
            whole[(..., *result.tile.core.slices)] = result.probabilities
        stitched_bytes.append(whole)
    difference = np.abs(stitched_bytes[0] - stitched_bytes[1])
    assert difference.max() <= steps
    assert (difference > 0).mean() < 1e-4


class Damaged(ArraySource):
    """The windows of some tiles cannot be read."""

    def __init__(self, image, tiles):
        super().__init__(image)
        self.bad = {tile.window.clipped(*self.shape) for tile in tiles}

    def fails(self, tile):
        return tile.window.clipped(*self.shape) in self.bad

    def read(self, window):
        if window in self.bad:
            raise UnreadableImageError(f"damaged at {window.y0}, {window.x0}")
        return super().read(window)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_window_that_cannot_be_read_fails_in_its_place_and_alone(batch_size):
    image = noise(400, 290)
    predictor = Predictor(NETWORK, tile_size=64, batch_size=batch_size)
    tiles = predictor.plan(image.shape[:2])
    source = Damaged(image, [tiles[0], tiles[12], tiles[13], tiles[-1]])
    sound = list(predictor.stream(ArraySource(image), tiles))
    results = list(predictor.stream(source, tiles))
    assert [result.tile for result in results] == tiles
    assert 4 <= sum(map(source.fails, tiles)) < len(tiles) / 2
    for result, expected in zip(results, sound, strict=True):
        if source.fails(result.tile):
            assert isinstance(result, FailedTile)
            assert result.error.startswith("damaged at")
        else:
            difference = result.probabilities.astype(int) - expected.probabilities
            assert np.abs(difference).max() <= 1
    with pytest.raises(UnreadableImageError):
        list(predictor.predict(source, tiles))


def test_a_slide_of_which_nothing_can_be_read_is_nothing_but_failures():
    predictor = Predictor(NETWORK, tile_size=64, batch_size=2)
    tiles = predictor.plan((130, 130))
    source = Damaged(noise(130, 130), tiles)
    results = list(predictor.stream(source, tiles))
    assert [result.tile for result in results] == tiles
    assert all(isinstance(result, FailedTile) for result in results)


def test_a_stalled_drive_is_waited_for_and_what_is_done_is_given_first():
    drive = threading.Event()

    class Stalling(ArraySource):
        def read(self, window):
            if len(self.read_windows) == 2:
                drive.wait(20)
            return super().read(window)

    source = Stalling(noise(200, 200))
    predictor = Predictor(NETWORK, tile_size=64)
    tiles = predictor.plan(source.shape)
    results = []
    for result in predictor.stream(source, tiles, readers=1, stall_s=0.2):
        results.append(result)
        if isinstance(result, Waiting):
            drive.set()
    kinds = [type(result) for result in results]
    assert kinds[:3] == [PredictedTile, PredictedTile, Waiting]
    assert kinds.count(PredictedTile) == len(tiles)


def test_a_stalled_drive_does_not_keep_anybody_from_stopping():
    drive, stop = threading.Event(), threading.Event()

    class Stalled(ArraySource):
        def read(self, window):
            drive.wait(20)
            return super().read(window)

    source = Stalled(noise(200, 200))
    predictor = Predictor(NETWORK, tile_size=64)
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert list(predictor.stream(source, predictor.plan(source.shape), stop.is_set)) == []
    assert time.monotonic() - began < 1.2
    drive.set()


def reader_threads():
    return [thread for thread in threading.enumerate() if "gland-mtl reader" in thread.name]


def test_a_stream_that_is_given_up_leaves_no_thread():
    before = set(reader_threads())
    source = ArraySource(noise(400, 400))
    predictor = Predictor(NETWORK, tile_size=64)
    results = predictor.stream(source, predictor.plan(source.shape), readers=3)
    next(results)
    own = set(reader_threads()) - before
    assert len(own) == 3
    results.close()
    assert not own & set(reader_threads())


def growth_after_warming_up(predictor, source, tiles, keep):
    """Bytes of Python's and NumPy's memory by which a stream grows once it is under way."""
    kept, before = [], 0
    tracemalloc.start()
    for number, result in enumerate(predictor.stream(source, tiles)):
        if keep:
            kept.append(result)
        del result
        if number == 40:
            before = tracemalloc.get_traced_memory()[0]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def test_memory_does_not_grow_with_the_tiles():
    source = ArraySource(noise(448, 448))
    predictor = Predictor(tiny_network(widths=(4, 8)), tile_size=32)
    tiles = predictor.plan(source.shape)
    assert len(tiles) == 196
    one_tile = 3 * 32 * 32
    source.read_windows = Forgetful()
    assert growth_after_warming_up(predictor, source, tiles, keep=False) < 20 * one_tile
    # The control: results that are kept show.
    assert growth_after_warming_up(predictor, source, tiles, keep=True) > 150 * one_tile


class Forgetful(list):
    """A list that stays empty."""

    def append(self, item):
        pass


def test_a_network_in_training_is_left_as_it_is():
    network = tiny_network().train()
    predictor = Predictor(network, tile_size=64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stitched(predictor, noise(100, 100))
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.is_contiguous()
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_engine_is_chosen_by_the_whole_work_not_by_what_is_left_of_it(monkeypatch):
    amounts = []

    def build(network, device, choice, pixels, sample):
        amounts.append(pixels)
        return build_engine(network, device, choice, 1, sample)

    build_engine = predictor_module.build_engine
    monkeypatch.setattr(predictor_module, "build_engine", build)
    source = ArraySource(noise(200, 200))
    for expected, flips in ((None, False), (1000, True)):
        predictor = Predictor(NETWORK, tile_size=64, flips=flips, expected_tiles=expected)
        assert (predictor.engine, predictor.precision) == ("auto", "auto")
        tiles = predictor.plan(source.shape)
        list(predictor.predict(source, tiles[:3]))
        list(predictor.stream(source, tiles[3:4]))  # the same engine goes on
        assert (predictor.engine, predictor.precision) == ("torch", "float32")
    window = tiles[0].window.shape[0] ** 2
    assert amounts == [3 * window, 1000 * window * 4]
    assert 1000 * window * 4 > WORTHWHILE_PIXELS


def test_what_cannot_be_had_is_refused_before_any_work():
    with pytest.raises(InvalidInputError, match="auto, float32, bfloat16"):
        Predictor(NETWORK, precision="float16")


def test_the_seconds_of_the_stages_are_those_that_passed():
    class Slow(ArraySource):
        def read(self, window):
            time.sleep(0.03)
            return super().read(window)

    source = Slow(noise(200, 200))
    predictor = Predictor(NETWORK, tile_size=64)
    tiles = predictor.plan(source.shape)
    began = time.perf_counter()
    for _ in predictor.stream(source, tiles, readers=1):
        time.sleep(0.01)  # the caller's own time counts for none
    passed = time.perf_counter() - began - 0.01 * len(tiles)
    stages = predictor.stage_seconds
    assert all(seconds > 0 for seconds in stages.values())
    assert 0.5 * passed < sum(stages.values()) < passed + 0.05


@pytest.mark.parametrize("method", ["predict", "stream"])
def test_stopping_keeps_the_tiles_before_and_ends(method):
    source = ArraySource(noise(200, 200))
    predictor = Predictor(NETWORK, tile_size=64, flips=True)
    finished = []
    run = getattr(predictor, method)
    for result in run(source, predictor.plan(source.shape), stopped=lambda: len(finished) == 3):
        finished.append(result)
    assert len(finished) == 3 < len(predictor.plan(source.shape))


class SmallMemory(torch.nn.Module):
    """A network on a device that holds only `capacity` windows."""

    def __init__(self, capacity):
        super().__init__()
        self.inner, self.capacity = NETWORK, capacity
        self.config, self.stride = NETWORK.config, NETWORK.stride
        self.receptive_radius = NETWORK.receptive_radius

    def forward(self, images):
        if len(images) > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.inner(images)


def test_out_of_memory_halves_the_batch_and_goes_on():
    image = noise(200, 200)
    predictor = Predictor(SmallMemory(2), tile_size=64, batch_size=8)
    probabilities, _ = stitched(predictor, image)
    assert predictor.batch_size == 2
    np.testing.assert_allclose(probabilities, untiled(image)[0], atol=1e-4)


def test_out_of_memory_in_a_stream_loses_nothing():
    image = noise(400, 200)
    predictor = Predictor(SmallMemory(3), tile_size=64, batch_size=8)
    tiles = predictor.plan(image.shape[:2])
    source = Damaged(image, [tiles[10]])
    results = list(predictor.stream(source, tiles))
    assert predictor.batch_size == 2
    assert [result.tile for result in results] == tiles
    whole, _ = untiled(image)
    for result in results:
        if source.fails(result.tile):
            assert isinstance(result, FailedTile)
        else:
            known = whole[(..., *result.tile.core.slices)]
            assert np.abs(result.probabilities / 255 - known).max() < 0.5 / 255 + 1e-4


def test_out_of_memory_with_a_single_window_says_what_to_do():
    with pytest.raises(InvalidInputError, match="smaller tile size"):
        stitched(Predictor(SmallMemory(0), batch_size=4), noise(64, 64))


def test_too_small_an_image_is_refused():
    predictor = Predictor(NETWORK)
    assert predictor.plan((32, 32))
    with pytest.raises(InvalidInputError, match="too small: 31 x 100"):
        predictor.plan((31, 100))
