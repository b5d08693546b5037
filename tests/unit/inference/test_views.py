"""Views of an image are averaged: flips, quarter turns, and thinned networks where asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.inference.engine import EngineChoice, build_engine
from napari_gland_mtl.inference.predictor import Predictor
from napari_gland_mtl.inference.tiling import pad_mirrored, round_up
from napari_gland_mtl.inference.torch_engine import TorchEngine
from napari_gland_mtl.inference.transfer import ALL_FLIPS, ALL_VIEWS, QUARTER_TURNS, views_of
from napari_gland_mtl.network import NetworkConfig, build_network


def network_of(**settings):
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=(4, 8, 8, 8, 8), **settings))
    torch.nn.init.normal_(network.region_head.weight, std=1.0)
    torch.nn.init.normal_(network.class_head[-1].weight, std=1.0)
    return network.eval()


PLAIN = network_of()
THIN = network_of(dropout=0.4, class_dropout=0.3)


class ArraySource:
    def __init__(self, image):
        self.image, self.shape = image, image.shape[:2]

    def read(self, window):
        return self.image[window.slices]


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stitched(predictor, image):
    source = ArraySource(image)
    padded = [round_up(side, 16) for side in source.shape]
    probabilities = np.full((3, *padded), np.nan, dtype=np.float32)
    class_map = np.full((2, padded[0] // 16, padded[1] // 16), np.nan)
    for result in predictor.predict(source, predictor.plan(source.shape)):
        probabilities[(..., *result.tile.core.slices)] = result.probabilities
        class_map[(..., *result.tile.core.coarsened(16).slices)] = result.class_map
    return probabilities, class_map


def answer(network, image):
    with torch.inference_mode():
        parts = TorchEngine(network)(torch.from_numpy(image.copy())[None])
    return [part[0].numpy() for part in parts]


@pytest.mark.parametrize(
    ("flips", "mirrored"), [(True, (False, True)), (False, (False,))], ids=["eight", "four"]
)
def test_quarter_turns_are_the_mean_over_the_turned_images(flips, mirrored):
    """Not square, so that an exchange of the axes shows."""
    image = pad_mirrored(noise(96, 144), 96, 144)
    expected = [0.0, 0.0]
    for mirror in mirrored:
        for turns in range(4):
            seen = np.rot90(image[:, ::-1] if mirror else image, turns)
            for place, part in enumerate(answer(PLAIN, seen)):
                back = np.rot90(part, -turns, axes=(-2, -1))
                expected[place] = expected[place] + (back[..., ::-1] if mirror else back)
    found = stitched(Predictor(PLAIN, flips=flips, quarter_turns=True), image)
    for part, whole in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, whole / (4 * len(mirrored)), atol=1e-5)


def test_tiled_equals_untiled_with_quarter_turns():
    image = noise(200, 260)
    small = stitched(Predictor(PLAIN, tile_size=96, flips=True, quarter_turns=True), image)
    large = stitched(Predictor(PLAIN, tile_size=512, flips=True, quarter_turns=True), image)
    flips = stitched(Predictor(PLAIN, tile_size=512, flips=True), image)
    np.testing.assert_allclose(small[0], large[0], atol=1e-4)
    np.testing.assert_allclose(small[1], large[1], atol=1e-4)
    assert np.abs(large[0] - flips[0]).max() > 1e-3


def test_the_views_are_as_many_as_are_said():
    assert [len(views_of(*options)) for options in ((0, 0), (1, 0), (0, 1), (1, 1))] == [1, 4, 4, 8]
    assert views_of(True, False) is ALL_FLIPS
    assert len(set(ALL_VIEWS)) == 8
    assert set(QUARTER_TURNS) < set(ALL_VIEWS)


def test_dropout_gives_the_same_twice_and_other_than_without():
    image = noise(96, 128)
    first, second = (stitched(Predictor(THIN, dropout_samples=3), image) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    plain = stitched(Predictor(THIN), image)
    assert np.abs(first[0] - plain[0]).max() > 1e-3
    assert np.abs(first[1] - plain[1]).max() > 1e-3
    np.testing.assert_allclose(first[0].sum(axis=0), 1, atol=1e-5)


def test_each_pass_drops_the_same_in_all_tiles_so_that_there_is_no_seam():
    image = noise(200, 260)
    tiled = stitched(Predictor(THIN, tile_size=96, batch_size=2, dropout_samples=2), image)
    whole = stitched(Predictor(THIN, tile_size=512, dropout_samples=2), image)
    np.testing.assert_allclose(tiled[0], whole[0], atol=1e-4)
    np.testing.assert_allclose(tiled[1], whole[1], atol=1e-4)


def test_passes_are_different_thinned_networks_with_the_right_share():
    engine = TorchEngine(THIN, dropout=True)
    image = torch.from_numpy(noise(32, 32))[None]
    answers = []
    with torch.inference_mode():
        for sample in (0, 1, None):
            engine.thin(sample)
            answers.append(engine(image)[0])
    assert not torch.equal(answers[0], answers[1])
    assert torch.equal(answers[2], TorchEngine(THIN)(image)[0])
    dropout = engine._dropouts[0]
    kept = []
    for sample in range(200):
        dropout.sample = sample
        kept.append((dropout(torch.ones(2, 8, 3, 3)) > 0).float().mean())
    assert float(np.mean(kept)) == pytest.approx(1 - dropout.share, abs=0.03)
    assert float(dropout(torch.ones(1, 8, 1, 1)).max()) == pytest.approx(1 / (1 - dropout.share))


def test_the_network_that_is_given_keeps_its_own_dropout():
    list(stitched(Predictor(THIN, dropout_samples=1), noise(32, 32)))
    assert sum(isinstance(module, torch.nn.Dropout2d) for module in THIN.modules()) == 2


def test_dropout_that_cannot_be_had_is_refused_before_any_work():
    with pytest.raises(InvalidInputError, match="trained without dropout"):
        Predictor(PLAIN, dropout_samples=4)
    with pytest.raises(InvalidInputError, match="openvino"):
        Predictor(THIN, dropout_samples=4, engine="openvino")
    Predictor(PLAIN, dropout_samples=0)


def test_auto_takes_torch_where_dropout_is_sampled(monkeypatch):
    sample = noise(64, 64)
    choice = EngineChoice(dropout=True)
    assert build_engine(THIN, torch.device("cpu"), choice, 2**40, sample).name == "torch"


def test_class_activations_are_divided_by_the_temperature():
    image = noise(64, 96)
    plain = stitched(Predictor(PLAIN), image)
    one = stitched(Predictor(PLAIN, class_temperature=1.0), image)
    warm = stitched(Predictor(PLAIN, class_temperature=2.5), image)
    np.testing.assert_array_equal(plain[1], one[1])
    np.testing.assert_allclose(warm[1], plain[1] / 2.5, rtol=1e-6)
    np.testing.assert_array_equal(warm[0], plain[0])
