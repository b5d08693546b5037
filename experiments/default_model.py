"""Train the bundled model, from choosing its settings to the checkpoint with its card.

Stages, each a command that may be killed and given again:

    python experiments/default_model.py choose-first GLAS RUNS      70 images, 15 to validate on
    python experiments/default_model.py choose-second GLAS RUNS     wider seams between glands
    python experiments/default_model.py choose GLAS RUNS            coarser, for more context
    python experiments/default_model.py patients-first GLAS RUNS    the same, less long, without
    python experiments/default_model.py patients-second GLAS RUNS   the images of six patients
    python experiments/default_model.py patients GLAS RUNS
    python experiments/default_model.py ship GLAS RUNS              all 85, going on from `choose`
    python experiments/default_model.py bundle GLAS RUNS            measure, write card, install

GLAS is a folder with the 85 training images of GlaS; RUNS receives a run folder per stage.
Settings are chosen on `choose` (the paper's split), `patients` is reported as the harder figure,
and the shipped weights have seen all 85 images, so they are measured on none of them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import napari_gland_mtl as gm
from napari_gland_mtl.checkpoint import load_model, save_model
from napari_gland_mtl.datasets import Dataset, open_dataset
from napari_gland_mtl.jobs.run_folder import part_of_run, source_commit
from napari_gland_mtl.jobs.train import TrainConfig, train_model
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.progress import EpochFinished, TrainingNotice
from napari_gland_mtl.training.state import STATE_FILE

HELD_OUT_PATIENTS = ("3", "5", "8", "11", "13", "16")
FIRST = TrainingConfig(
    mpp=1.2401,
    widths=(16, 32, 64, 128, 256),
    class_dropout=0.3,
    patch_size=192,
    batch_size=8,
    patches_per_epoch=800,
    epochs=38,
    validate_every=10,
    seam_um=0.0,
    optimiser="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    schedule="cosine",
    schedule_warmup_steps=200,
    clip_norm=5.0,
    average_decay=0.998,
    precision="bfloat16",  # what the bundled weights were trained in, on two CPU cores
)
SECOND: dict[str, Any] = {
    "learning_rate": 1e-3,
    "schedule_warmup_steps": 100,
    "seam_um": 5.0,
    "seed": 1,
}
THIRD = {**SECOND, "mpp": 1.6, "seed": 2}
SHIP = {**THIRD, "epochs": 8, "learning_rate": 5e-4, "seed": 3}
EPOCHS = {"choose-second": 20, "choose": 14, "patients-second": 12, "patients": 10}
BEFORE = {
    "choose-second": "choose-first",
    "choose": "choose-second",
    "patients-second": "patients-first",
    "patients": "patients-second",
    "ship": "choose",
}
STAGES = ("choose-first", "patients-first", *BEFORE, "bundle")
MEASURES = (
    "images",
    "classification_accuracy",
    "pixel_accuracy",
    "object_f1",
    "object_dice",
    "object_hausdorff_px",
    "object_hausdorff_um",
    "topology_violations_raw",
    "topology_violations",
)
DESCRIPTION = (
    "Glands, lumen, epithelium and stroma in H&E images of colon tissue, benign or malignant. "
    "All four losses, weights learned from their uncertainty."
)


def stage_config(stage: str, runs: Path) -> TrainConfig:
    """Settings of a training stage."""
    start = str(runs / BEFORE[stage]) if stage in BEFORE else None
    if stage == "ship":
        return TrainConfig(
            training=_changed(SHIP),
            validation=0,
            start=start,
            name="glas",
            description=DESCRIPTION,
        )
    changes: dict[str, Any] = {}
    if stage in EPOCHS:
        changes = {**(SECOND if stage.endswith("second") else THIRD), "epochs": EPOCHS[stage]}
    choosing = stage.startswith("choose")
    return TrainConfig(
        training=_changed(changes),
        start=start,
        validation=15 if choosing else HELD_OUT_PATIENTS,
        split_by="image" if choosing else "patient",
    )


def _changed(changes: dict[str, Any]) -> TrainingConfig:
    return TrainingConfig.model_validate({**FIRST.model_dump(), **changes})


def train(stage: str, dataset: Dataset, runs: Path) -> None:
    """Train one stage, or go on with it."""
    folder = runs / stage
    resume = (folder / STATE_FILE).exists()
    config = None if resume else stage_config(stage, runs)
    for event in train_model(dataset, folder, config, resume=resume):
        if isinstance(event, EpochFinished):
            numbers = {**event.losses, **event.measures}
            text = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            print(f"epoch {event.epoch}/{event.epochs}  {text}", flush=True)
        elif isinstance(event, TrainingNotice):
            print(event.text, flush=True)


def measure(stage: str, dataset: Dataset, runs: Path) -> dict[str, Any]:
    """Measures of a stage's best weights on its validation images, flips averaged."""
    held_out = part_of_run(dataset, runs / stage, "validation")
    measures = gm.evaluate(held_out, model=runs / stage)
    return {name: measures[name] for name in MEASURES}


def bundle(dataset: Dataset, runs: Path) -> Path:
    """Write the shipped weights with their card into the package."""
    shipped = load_model(runs / "ship")
    card = shipped.card.model_copy(
        update={
            "package_version": gm.__version__,
            "commit": source_commit(),
            "measures": {
                "note": (
                    "Measured before these weights were trained further on all 85 images: "
                    "'paper split' with the weights they started from, 'patient-disjoint' with "
                    "weights trained alike, less long, without six patients. Stages, weights "
                    "and the separation of glands were chosen by the paper split's 15 images. "
                    "No test image was used."
                ),
                "paper split (70 / 15 images)": measure("choose", dataset, runs),
                "patient-disjoint (65 / 20 images)": measure("patients", dataset, runs),
            },
            "split": (
                "Settings chosen on 70 / 15 of the 85 GlaS training images (by image, seed 0); "
                "shipped weights trained on all 85."
            ),
        }
    )
    target = Path(gm.__file__).parent / "models" / "glas.safetensors"
    target.parent.mkdir(exist_ok=True)
    return save_model(target, shipped.network, card)


def main() -> int:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("glas", type=Path, help="folder of the 85 GlaS training images")
    parser.add_argument("runs", type=Path, help="folder for the run folders")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.glas, split="train")
    if arguments.stage == "bundle":
        print(bundle(dataset, arguments.runs))
    else:
        train(arguments.stage, dataset, arguments.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
