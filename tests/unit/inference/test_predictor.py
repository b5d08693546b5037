"""Claims about prediction by tiles: no seam, no dependence on batches, and it can be stopped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.predictor import Predictor
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


def tiny_network(seed=0):
    """Random weights with activations large enough that every seam would show."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(widths=WIDTHS))
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


def test_stopping_keeps_the_tiles_before_and_ends():
    source = ArraySource(noise(200, 200))
    predictor = Predictor(NETWORK, tile_size=64, flips=True)
    finished = []
    for result in predictor.predict(
        source, predictor.plan(source.shape), stopped=lambda: len(finished) == 3
    ):
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


def test_out_of_memory_with_a_single_window_says_what_to_do():
    with pytest.raises(InvalidInputError, match="smaller tile size"):
        stitched(Predictor(SmallMemory(0), batch_size=4), noise(64, 64))


def test_too_small_an_image_is_refused():
    predictor = Predictor(NETWORK)
    assert predictor.plan((32, 32))
    with pytest.raises(InvalidInputError, match="too small: 31 x 100"):
        predictor.plan((31, 100))
