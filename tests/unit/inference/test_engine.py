"""Claims about engines: the same answers, the network untouched, and a choice that is sound."""

from __future__ import annotations

import copy
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_gland_mtl.errors import InvalidInputError, MissingExtraError
from napari_gland_mtl.inference import engine as engine_module
from napari_gland_mtl.inference import openvino_engine
from napari_gland_mtl.inference.engine import (
    WORTHWHILE_PIXELS,
    EngineChoice,
    build_engine,
    check_choice,
    choose_engine,
    default_precision,
)
from napari_gland_mtl.inference.openvino_engine import OpenVINOEngine, openvino_installed
from napari_gland_mtl.inference.torch_engine import TorchEngine
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.regions import GLAND_REGIONS, Region, RegionHierarchy

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
DEEP = RegionHierarchy(
    regions=(
        Region(name="debris", parent="lumen"),
        Region(name="epithelium"),
        Region(name="lumen", parent="epithelium"),
        Region(name="stroma"),
        Region(name="nucleus", parent="epithelium"),
    )
)
NEEDS_OPENVINO = pytest.mark.skipif(not openvino_installed(), reason="OpenVINO is not installed")


def network_of(regions=GLAND_REGIONS, widths=(4, 8, 8, 8, 8), seed=0):
    """Random weights with activations that spread over several units."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(regions=regions, widths=widths))
    torch.nn.init.normal_(network.region_head.weight, std=1.0)
    torch.nn.init.normal_(network.class_head[-1].weight, std=1.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return network


def pixels(height, width, count=1, seed=0):
    shape = (count, height, width, 3)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def reference(network, images):
    """The eager network, its layout untouched, and the definition of the probabilities."""
    with torch.inference_mode():
        output = copy.deepcopy(network).eval()(images.permute(0, 3, 1, 2).contiguous())
        member = torch.from_numpy(network.config.regions.assignments.astype(np.float32))
        sums = torch.einsum("ar,nrhw->nahw", member, output.region_logits)
        return torch.softmax(sums, dim=1), output.class_map


def answers(engine, images):
    with torch.inference_mode():
        return [part.clone() for part in engine(images)]


@pytest.mark.parametrize("regions", [GLAND_REGIONS, DEEP], ids=["glands", "five deep"])
@pytest.mark.parametrize(
    "make", [TorchEngine, pytest.param(OpenVINOEngine, marks=NEEDS_OPENVINO)], ids=["torch", "ov"]
)
def test_an_engine_says_what_the_network_says(make, regions):
    network = network_of(regions)
    engine = make(network)
    for images in (pixels(176, 240), pixels(32, 400), pixels(96, 96, count=3)):
        probabilities, class_map = answers(engine, images)
        expected, expected_map = reference(network, images)
        assert probabilities.dtype == class_map.dtype == torch.float32
        torch.testing.assert_close(class_map, expected_map, atol=1e-3, rtol=0)
        # Logits to 1e-3; each probability comes with a logit of its own.
        torch.testing.assert_close(probabilities.log(), expected.log(), atol=1e-3, rtol=0)
        differs = probabilities.argmax(1) != expected.argmax(1)
        best, second = expected.topk(2, dim=1).values.unbind(1)
        assert ((best - second)[differs] < 1e-4).all()


def test_the_claim_above_can_fail():
    probabilities, _ = answers(TorchEngine(network_of(), precision="bfloat16"), pixels(96, 96))
    expected, _ = reference(network_of(), pixels(96, 96))
    assert (probabilities.log() - expected.log()).abs().max() > 1e-3


@pytest.mark.parametrize(
    "make", [TorchEngine, pytest.param(OpenVINOEngine, marks=NEEDS_OPENVINO)], ids=["torch", "ov"]
)
def test_a_network_in_training_is_left_as_it_is(make):
    network = network_of().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    engine = make(network)
    first = answers(engine, pixels(64, 64))
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.is_contiguous()
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        network.region_head.weight.zero_()
    second = answers(engine, pixels(64, 64))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@NEEDS_OPENVINO
def test_openvino_is_exactly_the_same_with_any_number_of_threads_and_wherever_a_window_lies():
    image = pixels(400, 320)
    one, two = (OpenVINOEngine(network_of(), threads=count) for count in (1, 2))
    whole, whole_map = answers(one, image)
    again, _ = answers(two, image)
    assert torch.equal(whole, again)
    part, part_map = answers(two, image[:, 160:, 96:])
    # The receptive field reaches 77 px; 80 is what the tiling leaves.
    assert torch.equal(part[..., 80:, 80:], whole[..., 240:, 176:])
    assert torch.equal(part_map[..., 5:, 5:], whole_map[..., 15:, 11:])
    assert not torch.equal(part[..., :16, :16], whole[..., 160:176, 96:112])


@NEEDS_OPENVINO
def test_openvino_takes_as_many_threads_as_the_caller_may(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    engine = OpenVINOEngine(network_of())
    answers(engine, pixels(32, 32))
    compiled = next(iter(engine._requests.values())).get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert not compiled.get_property("ENABLE_CPU_PINNING")


@NEEDS_OPENVINO
def test_nobody_is_told_that_a_network_runs(monkeypatch):
    openvino_telemetry = pytest.importorskip("openvino_telemetry")

    def refuse(*_, **__):
        raise AssertionError("something would leave the machine")

    monkeypatch.setattr(openvino_telemetry.Telemetry, "send_event", refuse)
    monkeypatch.setattr(openvino_telemetry.Telemetry, "start_session", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    answers(OpenVINOEngine(network_of()), pixels(32, 32))


def test_a_missing_openvino_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setattr(openvino_engine, "openvino_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r'pip install "napari-gland-mtl\[openvino\]"'):
        check_choice(EngineChoice("openvino"), CPU)
    with pytest.raises(MissingExtraError):
        OpenVINOEngine(network_of())


@pytest.mark.parametrize(
    ("choice", "device", "words"),
    [
        (EngineChoice("onnx"), CPU, "auto, torch, openvino"),
        (EngineChoice("openvino"), CUDA, "processor"),
        (EngineChoice(precision="float16"), CPU, "auto, float32, bfloat16"),
        (EngineChoice(precision="bfloat16"), MPS, "auto, float32"),
        (EngineChoice(precision="int8"), CUDA, "float16"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_way_out(monkeypatch, choice, device, words):
    monkeypatch.setattr(openvino_engine, "openvino_installed", lambda: True)
    with pytest.raises(InvalidInputError, match=words):
        check_choice(choice, device)


@pytest.mark.parametrize(
    ("engine", "device", "amount", "installed", "expected"),
    [
        ("auto", "cpu", WORTHWHILE_PIXELS, True, "openvino"),
        ("auto", "cpu", WORTHWHILE_PIXELS - 1, True, "torch"),
        ("auto", "cpu", WORTHWHILE_PIXELS, False, "torch"),
        ("auto", "cuda:1", WORTHWHILE_PIXELS, True, "torch"),
        ("torch", "cpu", WORTHWHILE_PIXELS, True, "torch"),
        ("openvino", "cpu", 1, True, "openvino"),
    ],
)
def test_auto_is_openvino_where_it_is_worth_its_start(
    monkeypatch, engine, device, amount, installed, expected
):
    monkeypatch.setattr(engine_module, "openvino_installed", lambda: installed)
    assert choose_engine(engine, device, amount) == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "float16"), ((7, 0), "float16"), ((6, 1), "float32")]
)
def test_half_precision_is_the_default_on_gpus_made_for_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert default_precision(CUDA) == expected
    assert default_precision(MPS) == "float32"


class Fake:
    """An engine that adds something to what PyTorch says."""

    name, device = "openvino", CPU

    def __init__(self, network, precision="float32", added=0.0):
        self.inner, self.precision, self.added = TorchEngine(network), precision, added

    def __call__(self, images):
        probabilities, class_map = self.inner(images)
        return probabilities, class_map + self.added


SAMPLE = pixels(96, 80)[0].numpy()


@pytest.mark.parametrize(
    ("added", "expected"), [(0.0, "openvino"), (0.1, "torch"), (float("nan"), "torch")]
)
def test_auto_does_not_take_an_engine_that_says_something_else(monkeypatch, added, expected):
    monkeypatch.setattr(engine_module, "openvino_installed", lambda: True)
    monkeypatch.setattr(
        engine_module, "OpenVINOEngine", lambda network, *_: Fake(network, added=added)
    )
    engine = build_engine(network_of(), CPU, EngineChoice(), WORTHWHILE_PIXELS, SAMPLE)
    assert engine.name == expected
    if expected == "torch":
        with pytest.raises(InvalidInputError, match="Choose the engine torch"):
            build_engine(network_of(), CPU, EngineChoice("openvino"), 1, SAMPLE)


def test_auto_goes_on_without_an_openvino_that_cannot_start(monkeypatch):
    def refuse(*_):
        raise InvalidInputError("OpenVINO cannot run this network on this machine.")

    monkeypatch.setattr(engine_module, "openvino_installed", lambda: True)
    monkeypatch.setattr(engine_module, "OpenVINOEngine", refuse)
    engine = build_engine(network_of(), CPU, EngineChoice(), WORTHWHILE_PIXELS, SAMPLE)
    assert engine.name == "torch"


@NEEDS_OPENVINO
def test_what_openvino_raises_is_said_in_plain_words(monkeypatch):
    def broken(*_):
        raise RuntimeError("Check 'false' failed")

    monkeypatch.setattr(openvino_engine, "_traced", broken)
    with pytest.raises(InvalidInputError, match=r"cannot run this network.*Choose"):
        OpenVINOEngine(network_of())


@pytest.mark.parametrize(
    ("faster", "alike", "expected"),
    [(True, False, "bfloat16"), (False, False, "float32"), (True, True, "float32")],
)
def test_bfloat16_is_used_after_a_probe_of_speed_and_labels(monkeypatch, faster, alike, expected):
    monkeypatch.setattr(engine_module, "pays", lambda candidate, plain: faster)
    network = network_of()
    if alike:
        # Epithelium is ahead of stroma by less than bfloat16 can tell, and lumen is nowhere.
        weight, bias = network.region_head.weight, network.region_head.bias
        with torch.no_grad():
            weight[1] = weight[0]
            bias[1], bias[2] = bias[0] + 1e-4, -1e3
    choice = EngineChoice("torch", "bfloat16")
    assert build_engine(network, CPU, choice, 1, SAMPLE).precision == expected


def test_bfloat16_is_never_tried_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(engine_module, "pays", lambda *_: pytest.fail("a probe"))
    for precision in ("auto", "float32"):
        choice = EngineChoice("torch", precision)
        assert build_engine(network_of(), CPU, choice, 1, SAMPLE).precision == "float32"


def test_a_gpu_gets_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(
        engine_module,
        "TorchEngine",
        lambda network, device, precision, compiled, dropout: SimpleNamespace(
            device=device, precision=precision, compiled=compiled
        ),
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    choice = EngineChoice(compiled=True)
    engine = build_engine(network_of(), CUDA, choice, WORTHWHILE_PIXELS, SAMPLE)
    assert (engine.device, engine.precision, engine.compiled) == (CUDA, "float16", True)
    choice = EngineChoice(precision="bfloat16")
    engine = build_engine(network_of(), CUDA, choice, WORTHWHILE_PIXELS, SAMPLE)
    assert (engine.precision, engine.compiled) == ("bfloat16", False)
