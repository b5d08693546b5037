"""Trains small networks as one of several processes: python in_processes.py RANK SIZE FOLDER.

test_parallel.py starts it, once for each process, and loads it to train the same alone. Patches
are annotated unevenly, some of them hardly at all, and of every other image the class is unknown:
what is a mean over them cannot be averaged.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from napari_gland_mtl.checkpoint import ModelCard
from napari_gland_mtl.datasets.dataset import Sample
from napari_gland_mtl.datasets.patches import PatchSource
from napari_gland_mtl.errors import NonFiniteLossError
from napari_gland_mtl.network import NetworkConfig, build_network
from napari_gland_mtl.training import StepFinished, Trainer, TrainingConfig, parallel
from napari_gland_mtl.training.parallel import Alone, Replicas, end_process, share_of
from napari_gland_mtl.training.whole_batch import WholeBatchDropout2d, WholeBatchNorm2d

MPP = 1.24
COLOURS = np.array([(0, 0, 0), (225, 150, 190), (110, 60, 150), (245, 245, 245)])
PIXEL_LOSSES = ("segmentation", "topology", "geometry")

WAYS = {
    "learned weights": {},
    "adamw, average, cosine": {
        "optimiser": "adamw",
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
        "average_decay": 0.9,
        "schedule": "cosine",
        "clip_norm": 0.5,
        "channels_last": False,
    },
    "alternating": {"weighting": "alternating", "losses": PIXEL_LOSSES},
    "trained share": {"weighting": "convex_trained", "losses": ("topology", "classification")},
    "guarded": {"keep": 0.3, "freeze_encoder": True, "average_decay": 0.5},
    "statistics kept": {"keep": 0.3, "freeze_statistics": True},
    "classification alone": {"losses": ("classification",), "weight_decay": 0.05},
}
NOT_FINITE = {
    "weighting": "fixed",
    "losses": ("segmentation",),
    "loss_weights": {"segmentation": 3e38},
}


def one_of_each(_labels, _classes, names):
    """As if every process had as much to take means over as the others."""
    return dict.fromkeys(names, torch.ones(()))


# What is needed for equality, each left out in turn.
WITHOUT = {
    "shared statistics": lambda: mock.patch.object(
        WholeBatchNorm2d, "forward", nn.BatchNorm2d.forward
    ),
    "a shared mask": lambda: mock.patch.object(
        WholeBatchDropout2d, "forward", nn.Dropout2d.forward
    ),
    "counts": lambda: mock.patch.object(parallel, "loss_counts", one_of_each),
    "joined losses": lambda: mock.patch.object(Replicas, "joined", Alone.joined),
}  # fmt: skip


def make_sample(number, size=64):
    """A disk with a lumen; annotated in a corner that grows with the number."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y - rng.integers(16, size - 16), x - 32)
    regions = np.ones((size, size), dtype=np.uint8)
    regions[distance < 16] = 2
    regions[distance < 7] = 3
    image = COLOURS[regions] + rng.normal(0, 12, (size, size, 3))
    corner = 16 * (number + 1)
    regions[corner:] = regions[:, corner:] = 0
    kind = number // 2 if number % 2 else -1
    return Sample(
        f"field {number}", image.clip(0, 255).astype(np.uint8), regions, None, kind, None, MPP
    )


def trainer_in(folder, replicas, single=False, **changed):
    """A trainer of 2 epochs of 3 steps of 5 patches, in double precision; the folder is made."""
    values = {
        "mpp": MPP,
        "widths": (4, 8),
        "patch_size": 32,
        "batch_size": 5,
        "patches_per_epoch": 15,
        "epochs": 2,
        "log_var_warmup_steps": 2,
        "class_dropout": 0.3,
        "precision": "float32",
        "device": "cpu",
    }
    config = TrainingConfig(**{**values, **changed})
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=config.widths, class_dropout=config.class_dropout))
    card = ModelCard(name="tiny", mpp=MPP, network=network.config.model_dump(mode="json"))
    source = PatchSource([make_sample(number) for number in range(4)], MPP)
    if single:
        return Trainer(config, network, source, card, folder, replicas=replicas)
    trainer = Trainer(config, network.double(), source, card, folder, replicas=replicas)
    trainer.weighting.double()
    return trainer


def train(trainer, stop_after=None):
    """Train, alone or together; the number of steps done."""
    if not trainer.replicas.leads:
        trainer.follow()
        return trainer.progress.step
    stop = SimpleNamespace(stopped=False)
    for event in trainer.run(stop):
        stop.stopped = isinstance(event, StepFinished) and event.step == stop_after
    return trainer.progress.step


def normalise(images, rows, layer):
    """Output, gradients and running statistics of a batch normalisation of some of the images."""
    mine = images[rows].clone().requires_grad_()
    result = layer(mine)
    # Not symmetrical, or the gradients would vanish.
    (result * images[rows].cos()).sum().backward()
    return {
        "result": result.detach(),
        "images": mine.grad,
        "weight": layer.weight.grad,
        "bias": layer.bias.grad,
        "mean": layer.running_mean,
        "var": layer.running_var,
    }


def pictures():
    """Five images whose statistics differ."""
    images = torch.randn(5, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    return images * torch.arange(1.0, 6.0).view(5, 1, 1, 1) + 3


def main(rank, size, folder):
    """All that is asked of several processes, one after the other."""
    torch.set_num_threads(1)
    replicas, told = Replicas(rank, size), {}
    for way, changed in WAYS.items():
        train(trainer_in(folder / way, replicas, **changed))
    train(trainer_in(folder / "single", replicas, single=True))
    for name, left_out in WITHOUT.items():
        with left_out():
            train(trainer_in(folder / f"without {name}", replicas, epochs=1))
    told["stopped after"] = train(trainer_in(folder / "part", replicas), stop_after=4)
    resumed = trainer_in(folder / "begun alone", replicas)
    resumed.resume()
    train(resumed)
    try:
        train(trainer_in(folder / "not finite", replicas, single=True, **NOT_FINITE))
    except NonFiniteLossError as error:
        told["not finite"] = str(error)
    layer = WholeBatchNorm2d.like(nn.BatchNorm2d(3, momentum=0.3))
    done = normalise(pictures(), share_of(5, rank, size), layer)
    save_file({n: t.contiguous() for n, t in done.items()}, folder / f"norm{rank}.safetensors")
    (folder / f"told{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    replicas.leave()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    end_process(0)
