"""Claims about the network of Fig. 1: sizes, order of layers, inputs, and how far it sees."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.network import NetworkConfig, add_uncertainty, build_network
from napari_gland_mtl.regions import Region, RegionHierarchy

WIDTHS = (4, 8, 8, 8, 8)


def tiny(seed=0, **settings):
    """A network whose activations are large and whose batch statistics are not trivial."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(**{"widths": WIDTHS, **settings}))
    nn.init.normal_(network.region_head.weight, std=1.0)
    nn.init.normal_(network.class_head[-1].weight, std=1.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Tensors this small gain nothing from threads, and lose much to each other's on a busy CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network():
    return tiny()


def images_of(height, width, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def test_pooling_rounds_up_as_in_the_figure(network):
    with torch.inference_mode():
        features = network.encoder(network.normalise(images_of(250, 250)))
    assert [level.shape[-1] for level in features] == [250, 125, 63, 32, 16]
    assert [level.shape[1] for level in features] == list(WIDTHS)


@pytest.mark.parametrize(
    "size", [(250, 250), (64, 48), (33, 97), (17, 16), (5, 3), (1, 40), (1, 1)]
)
def test_any_size_works_and_comes_back(network, size):
    with torch.inference_mode():
        output = network(images_of(*size, count=2))
    coarse = [math.ceil(side / 16) for side in size]
    assert output.region_logits.shape == (2, 3, *size)
    assert output.class_map.shape == (2, 2, *coarse)
    assert output.class_logits.shape == (2, 2)
    assert all(torch.isfinite(tensor).all() for tensor in output[:3])


@pytest.mark.parametrize("training", [False, True])
def test_class_activations_are_the_mean_of_the_class_map(training):
    network = tiny(class_dropout=0.3).train(training)
    output = network(images_of(80, 50, count=3))
    torch.testing.assert_close(output.class_logits, output.class_map.mean(dim=(2, 3)))
    assert output.class_map.std() > 0


def test_bytes_and_fractions_are_the_same_image(network):
    images = images_of(40, 40)
    with torch.inference_mode():
        expected = network(images)
        for floating in (images.float() / 255, images.double() / 255):
            output = network(floating)
            torch.testing.assert_close(output.region_logits, expected.region_logits)
            torch.testing.assert_close(output.class_logits, expected.class_logits)
        wrong = network(images.float())  # control: 0..255 as floats is another image
    assert not torch.allclose(wrong.region_logits, expected.region_logits)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(3, 40, 40),
        torch.zeros(1, 4, 40, 40),
        torch.zeros(1, 40, 40, 3),
        torch.zeros(1, 3, 40, 40, dtype=torch.int64),
    ],
)
def test_what_is_no_batch_of_rgb_images_is_refused(network, images):
    with pytest.raises(InvalidInputError, match="The network takes"):
        network(images)


def test_normalisation_is_inside_and_follows_the_settings():
    network = tiny(image_mean=(0.5, 0.4, 0.3), image_std=(0.1, 0.2, 0.4))
    pixel = network.normalise(torch.tensor([0.6, 0.6, 0.6]).view(1, 3, 1, 1))
    torch.testing.assert_close(pixel.flatten(), torch.tensor([1.0, 1.0, 0.75]))


@pytest.mark.parametrize(("encoder", "decoder"), [(1, 1), (2, 1), (3, 2)])
def test_blocks_are_convolution_then_relu_then_normalisation(encoder, decoder):
    network = tiny(encoder_blocks=encoder, decoder_blocks=decoder)
    parts = [(level, encoder) for level in network.encoder.levels]
    parts += [(level.blocks, decoder) for level in network.decoder]
    for blocks, count in parts:
        layers = [layer for block in blocks for layer in block]
        assert [type(layer) for layer in layers] == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * count
        assert all(layer.kernel_size == (3, 3) for layer in layers[::3])
    assert all(level.narrow.kernel_size == (1, 1) for level in network.decoder)


def test_activations_come_from_the_last_layers_of_encoder_and_decoder(network):
    """The decoder cannot change the class, and without it there are no regions."""
    images = images_of(48, 48)
    with torch.inference_mode():
        before = network(images)
        changed = tiny()
        for parameter in changed.decoder.parameters():
            parameter.zero_()
        after = changed(images)
    torch.testing.assert_close(after.class_map, before.class_map)
    assert not torch.allclose(after.region_logits, before.region_logits)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder_blocks": 1},
        {"decoder_blocks": 2},
        {"widths": (4, 4)},
        {"widths": (4, 8, 8), "encoder_blocks": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("corner", [0, 1, 9, 15])
def test_nothing_beyond_the_receptive_radius_matters(settings, corner):
    """Every pixel outside the square is replaced; inside not one bit changes."""
    network = tiny(**settings)
    radius = network.receptive_radius
    size = 2 * radius + 33
    y = x = radius + corner
    images = images_of(size, size)
    others = images_of(size, size, seed=1)
    square = (..., slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1))
    others[square] = images[square]
    with torch.inference_mode():
        here, there = network(images).region_logits, network(others).region_logits
    assert torch.equal(here[..., y, x], there[..., y, x])
    # Control: the rest of the output did change.
    assert not torch.equal(here[..., -1, -1], there[..., -1, -1])


@pytest.mark.parametrize("settings", [{}, {"widths": (4, 8, 8), "encoder_blocks": 1}], ids=str)
def test_the_receptive_radius_is_not_much_too_large(settings):
    """Gradients reach nearly as far as it says, from the pixel that looks furthest."""
    network = tiny(**settings, image_mean=(0.0, 0.0, 0.0)).double()
    for module in network.modules():  # positive throughout: no ReLU hides anything
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(-0.1)
    radius = network.receptive_radius
    size = 2 * radius + 33
    reached = 0
    for centre in (radius, radius + network.stride - 1, radius + network.stride):
        images = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
        network(images).region_logits[0, 0, centre, centre].backward()
        rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        reach = (rows - centre).abs().max().item()
        assert reach <= radius
        reached = max(reached, reach)
    # Max pooling passes gradients to one of two pixels, hence the slack of one stride.
    assert reached >= radius - network.stride


def test_regions_and_classes_are_settings():
    regions = RegionHierarchy(
        regions=(
            Region(name="stroma"),
            Region(name="epithelium"),
            Region(name="lumen", parent="epithelium"),
            Region(name="mucin", parent="lumen"),
            Region(name="muscle"),
        )
    )
    config = NetworkConfig(regions=regions, classes=("a", "b", "c"), widths=(4, 8, 8))
    network = build_network(config).eval()
    with torch.inference_mode():
        output = network(images_of(10, 10))
    assert network.stride == 4
    assert output.region_logits.shape == (1, 5, 10, 10)
    assert output.class_map.shape == (1, 3, 3, 3)


def test_a_fresh_network_is_undecided():
    """Heads start near zero: no loss begins far above a coin toss."""
    torch.manual_seed(0)
    output = build_network(NetworkConfig(widths=WIDTHS))(images_of(64, 64, count=2))
    assert output.region_logits.abs().max() < 1
    assert output.class_logits.abs().max() < 1


@pytest.mark.parametrize(
    "settings",
    [{"widths": (4,)}, {"widths": (4, 0)}, {"classes": ("one",)}, {"encoder_blocks": 0}, {"x": 1}],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        NetworkConfig(**settings)


def test_settings_survive_json():
    config = NetworkConfig(widths=WIDTHS, class_dropout=0.2)
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


HEADS = ("classification", "geometry")


def test_heads_for_uncertainty_start_at_zero_and_leave_all_else_as_it_is():
    plain, headed = tiny(), tiny(uncertainty=HEADS, pixel_uncertainty=True)
    images = images_of(40, 33, count=2)
    before, after = plain.train()(images), headed.train()(images)
    assert before.log_vars is None
    assert before.log_var_map is None
    assert after.log_vars.tolist() == [[0, 0], [0, 0]]
    assert after.log_var_map.shape == (2, 1, 40, 33)
    assert not after.log_var_map.any()
    assert torch.equal(before.region_logits, after.region_logits)
    new = headed.state_dict().keys() - plain.state_dict().keys()
    assert new == {"uncertainty_head.weight", "pixel_uncertainty_head.weight"}


def test_what_the_heads_say_differs_from_image_to_image_and_costs_nothing_afterwards():
    network = tiny(uncertainty=HEADS, pixel_uncertainty=True).train()
    nn.init.normal_(network.uncertainty_head.weight)
    nn.init.normal_(network.pixel_uncertainty_head.weight)
    output = network(images_of(40, 33, count=2))
    assert output.log_vars.shape == (2, 2)
    assert (output.log_vars[0] - output.log_vars[1]).abs().min() > 1e-3
    assert output.log_var_map.std() > 1e-3
    said = network.eval()(images_of(40, 33, count=2))
    assert said.log_vars is None
    assert said.log_var_map is None


def test_more_heads_keep_what_the_others_have_learned():
    network = tiny(uncertainty=HEADS).train().double()
    nn.init.normal_(network.uncertainty_head.weight)
    before = network.uncertainty_head.weight.detach().clone()
    images = images_of(40, 33, count=2)
    first = network(images).log_vars
    add_uncertainty(network, ("geometry", "topology"), pixels=True)
    assert network.config.uncertainty == ("classification", "geometry", "topology")
    assert network.config.pixel_uncertainty
    assert torch.equal(network.uncertainty_head.weight[:2], before)
    output = network(images)
    torch.testing.assert_close(output.log_vars[:, :2], first)
    assert not output.log_vars[:, 2].any()
    assert output.log_var_map.dtype == torch.float64
    same = network.uncertainty_head
    add_uncertainty(network, HEADS)
    assert network.uncertainty_head is same
    assert network.config.pixel_uncertainty


def test_dropout_of_the_deepest_features_reaches_the_decoder_and_not_the_class():
    network = tiny(dropout=0.5).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    images = images_of(64, 64)
    first, second = network(images), network(images)
    assert not torch.equal(first.region_logits, second.region_logits)
    assert torch.equal(first.class_map, second.class_map)
    assert torch.equal(network.eval()(images).region_logits, tiny()(images).region_logits)
    assert tiny(dropout=0.5).state_dict().keys() == tiny().state_dict().keys()
