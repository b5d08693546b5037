"""A training small enough for a test: 64-pixel images of coloured disks, a tiny network."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_gland_mtl.checkpoint import ModelCard
from napari_gland_mtl.datasets.dataset import Sample
from napari_gland_mtl.datasets.patches import PatchSource
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training import StepFinished, Trainer, TrainingConfig

MPP = 1.24
WIDTHS = (4, 8, 8, 8, 8)
# Not annotated, stroma, epithelium, lumen; a malignant image is darker.
COLOURS = np.array([(0, 0, 0), (225, 150, 190), (110, 60, 150), (245, 245, 245)])


def make_sample(number, size=64):
    """Two disks with a lumen; odd numbers are malignant."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:size, :size]
    regions = np.ones((size, size), dtype=np.uint8)
    instances = np.zeros((size, size), dtype=np.int32)
    for gland, left in enumerate((16, 46), 1):
        centre_y = rng.integers(16, size - 16)
        distance = np.hypot(y - centre_y, x - left)
        regions[distance < 12] = 2
        regions[distance < 5] = 3
        instances[distance < 12] = gland
    regions[:3] = 0
    image = COLOURS[regions] * (0.7 if number % 2 else 1.0) + rng.normal(0, 3, (size, size, 1))
    return Sample(
        name=f"field {number}",
        image=image.clip(0, 255).astype(np.uint8),
        regions=regions,
        instances=instances,
        class_index=number % 2,
        patient=None,
        mpp=MPP,
    )


SAMPLES = [make_sample(number) for number in range(4)]


def measure(network):
    """Mean recall of the regions, and the share of the one predicted most, over all samples."""
    images = torch.from_numpy(np.stack([sample.image for sample in SAMPLES])).permute(0, 3, 1, 2)
    truth = torch.from_numpy(np.stack([sample.regions for sample in SAMPLES])).long()
    with torch.inference_mode():
        stroma, border, lumen = network(images).region_logits.unbind(dim=1)
    predicted = torch.stack([stroma, border, border + lumen], dim=1).argmax(dim=1) + 1
    recall = [(predicted == code)[truth == code].float().mean().item() for code in (1, 2, 3)]
    return {
        "score": sum(recall) / 3,
        "largest_region_share": predicted.flatten().bincount().max().item() / predicted.numel(),
    }


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """Tensors this small gain nothing from threads, and lose much to each other's on a busy CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def samples():
    return SAMPLES


@pytest.fixture(scope="session")
def source():
    return PatchSource(SAMPLES, MPP)


@pytest.fixture(scope="session")
def validate():
    """Measures of a network on the synthetic samples."""
    return measure


@pytest.fixture(scope="session")
def settings():
    """Makes a `TrainingConfig`: three epochs of four steps of four patches, unless told."""

    def make(**changed):
        values = {
            "mpp": MPP,
            "widths": WIDTHS,
            "patch_size": 32,
            "batch_size": 4,
            "patches_per_epoch": 16,
            "epochs": 3,
            "weighting": "uncertainty",
            "log_var_warmup_steps": 3,
            # As plain as can be: what a test is about it asks for.
            "dropout": 0.0,
            "optimiser": "sgd",
            "learning_rate": 1e-2,
            "weight_decay": 0.0,
            "schedule": "constant",
            "schedule_warmup_steps": 0,
            "clip_norm": 0.0,
            "average_decay": 0.0,
            "precision": "float32",
            "device": "cpu",
        }
        return TrainingConfig(**{**values, **changed})

    return make


@pytest.fixture
def trainer_in(source):
    """Makes a trainer of a freshly built network, always the same one, in a folder."""

    def make(folder, config, validate=None, network_seed=0):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(network_seed)
        network = build_network(
            NetworkConfig(widths=config.widths, class_dropout=config.class_dropout)
        )
        card = ModelCard(name="tiny", mpp=MPP, network=network.config.model_dump(mode="json"))
        return Trainer(config, network, source, card, folder, validate)

    return make


@pytest.fixture(scope="session")
def play():
    """Runs a trainer, stopping it in the usual way once `stop_after` steps are done."""

    def run(trainer, stop_after=None):
        stop, events = SimpleNamespace(stopped=False), []
        if stop_after == trainer.progress.step:
            stop.stopped = True
        for event in trainer.run(stop):
            events.append(event)
            if isinstance(event, StepFinished) and event.step == stop_after:
                stop.stopped = True
        return events

    return run


@pytest.fixture(scope="session")
def only():
    """The events of one kind."""

    def pick(events, kind):
        return [event for event in events if isinstance(event, kind)]

    return pick
