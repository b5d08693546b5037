"""Run folders as a training leaves them, with numbers that the tests know."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from napari_gland_mtl.plots import RunHistory
from napari_gland_mtl.training.history import HistoryWriter

NAMES = ("classification", "segmentation", "topology", "geometry")
PER_EPOCH = 5


def step_row(step, names=NAMES, learned=True):
    """Losses 1/step, 2/step ..., log sigma^2 that drift apart."""
    losses = {name: (place + 1) / step for place, name in enumerate(names)}
    log_vars = {name: 0.02 * step * (place - 1) for place, name in enumerate(names)}
    weights = {name: float(np.exp(-log_vars[name])) if learned else 0.25 for name in names}
    total = sum(weights[name] * losses[name] for name in names)
    row = {"step": step, "epoch": (step - 1) // PER_EPOCH + 1}
    row["total"] = total + (sum(log_vars.values()) if learned else 0.0)
    row |= {f"loss_{name}": losses[name] for name in names}
    row |= {f"weight_{name}": weights[name] for name in names}
    return row | ({f"log_var_{name}": log_vars[name] for name in names} if learned else {})


def epoch_row(epoch, names=NAMES, learned=True, **measures):
    rows = [step_row(PER_EPOCH * (epoch - 1) + i, names, learned) for i in range(1, PER_EPOCH + 1)]
    row = {"epoch": epoch, "best": int(epoch == 1)}
    row |= {f"loss_{n}": float(np.mean([r[f"loss_{n}"] for r in rows])) for n in names}
    row |= {key: value for key, value in rows[-1].items() if key.startswith(("weight_", "log_"))}
    return row | {"object_dice": 0.5 + 0.01 * epoch, "score": 0.6 + 0.01 * epoch, **measures}


class RunWriter:
    """Writes a run folder, and more into it."""

    def __init__(self, folder: Path, names=NAMES, learned=True, **settings) -> None:
        folder.mkdir()
        self.folder, self.names, self.learned = folder, names, learned
        self.done = 0
        settings = {"weighting": "uncertainty" if learned else "fixed", **settings}
        (folder / "config.json").write_text(json.dumps({"training": settings, "name": "model"}))

    def train(self, steps: int) -> RunWriter:
        first = self.done
        with (
            HistoryWriter(self.folder / "steps.csv", "step", first) as rows,
            HistoryWriter(self.folder / "epochs.csv", "epoch", first // PER_EPOCH) as epochs,
        ):
            for step in range(first + 1, first + steps + 1):
                rows.write(step_row(step, self.names, self.learned))
                if step % PER_EPOCH == 0:
                    epochs.write(epoch_row(step // PER_EPOCH, self.names, self.learned))
        self.done += steps
        return self

    def history(self) -> RunHistory:
        return RunHistory(self.folder).read()


@pytest.fixture
def new_run(tmp_path):
    """Makes run folders."""

    def make(name="run", **options):
        return RunWriter(tmp_path / name, **options)

    return make


@pytest.fixture
def run(new_run):
    """Twenty steps in four epochs."""
    return new_run().train(20).history()


def write_images(folder: Path, rows, losses=NAMES, learned=True) -> None:
    """Append to ``images.csv``: rows of epoch, image, losses and, where learned, log sigma^2.

    `rows` yields (epoch, name, {loss: value}, {loss: log sigma^2}); what is left out is empty.
    """
    columns = ["epoch", "image", "patches", *losses]
    columns += [f"log_var_{name}" for name in losses] if learned else []
    path = folder / "images.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        for epoch, name, values, log_vars in rows:
            row = {"epoch": epoch, "image": name, "patches": 3, **values}
            row |= {f"log_var_{loss}": value for loss, value in log_vars.items()}
            writer.writerow({key: value for key, value in row.items() if key in columns})


def image_rows(epochs, count=21, outliers=None, uncertain=None):
    """`count` images whose log sigma^2 is `i` hundredths, and whose loss is sigma^2.

    But for `outliers` by name and loss, of larger loss, and for `uncertain` ones.
    """
    for epoch in epochs:
        for i in range(count):
            name = f"image {i}"
            more, unsure = ((part or {}).get(name, {}) for part in (outliers, uncertain))
            losses = {loss: float(np.exp(0.01 * i + more.get(loss, 0.0))) for loss in NAMES}
            yield epoch, name, losses, {k: 0.01 * i + unsure.get(k, 0.0) for k in NAMES}


@pytest.fixture
def image_run(new_run):
    """Twenty steps in four epochs, with 21 images of which two have a large loss.

    The model is uncertain of one of them and of a third one.
    """

    def make(name="run", learned=True, outliers=None, uncertain=None):
        writer = new_run(name, learned=learned, weighting="instance" if learned else "equal")
        writer.train(20)
        found = {"image 3": {"topology": 1.5}, "image 7": {"classification": 2.5}}
        unsure = {"image 3": {"topology": 1.5}, "image 9": {"segmentation": 2.5}}
        rows = image_rows(
            range(1, 5),
            outliers=found if outliers is None else outliers,
            uncertain=unsure if uncertain is None else uncertain,
        )
        write_images(writer.folder, rows, learned=learned)
        return writer

    return make


@pytest.fixture
def add_images():
    """`write_images`, and the rows of images of which none stands out."""
    return write_images, image_rows
