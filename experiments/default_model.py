"""Train the bundled model, from an empty network to the checkpoint with its card.

Stages, each a command that may be killed and given again:

    python experiments/default_model.py patients GLAS EBHI RUNS    without six patients
    python experiments/default_model.py ship GLAS EBHI RUNS        all 85, going on from there
    python experiments/default_model.py bundle GLAS EBHI RUNS      measure, write the card, install
    python experiments/default_model.py learned GLAS EBHI RUNS     as patients, to compare: weights
                                                                   learned instead of hand-tuned

GLAS is a folder with the 85 training images of GlaS, EBHI one of EBHI-Seg, from which every
seventh patch comes: other stains and scanners, without classes. RUNS receives a run folder per
stage. Settings and the best epoch are chosen by the 20 images of the six patients. The shipped
weights have learned from them, too, so what is reported is measured with `patients`. Of EBHI-Seg
half of the cases are learned from; the other half is only measured on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _ebhi import EBHI_MPP, halves, linked, open_ebhi
from _glas import HELD_OUT_PATIENTS

import napari_gland_mtl as gm
from napari_gland_mtl.checkpoint import load_model, save_model
from napari_gland_mtl.datasets import Dataset, open_dataset
from napari_gland_mtl.errors import GlandMTLError
from napari_gland_mtl.jobs.run_folder import part_of_run, source_commit
from napari_gland_mtl.jobs.train import TrainConfig, train_model
from napari_gland_mtl.metrics.calibration import fit_temperature
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.progress import EpochFinished, TrainingNotice
from napari_gland_mtl.training.state import STATE_FILE

PATIENTS: dict[str, Any] = {
    "mpp": 1.6,
    "widths": (16, 32, 64, 128, 256),
    "class_dropout": 0.5,
    "dropout": 0.1,
    "patch_size": 192,
    "batch_size": 8,
    "patches_per_epoch": 800,
    "epochs": 45,
    "validate_every": 5,
    "seam_um": 5.0,
    "weighting": "fixed",
    "optimiser": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "schedule_warmup_steps": 200,
    "clip_norm": 5.0,
    "average_decay": 0.998,
    "augmentation": {"stain": 0.4, "brightness": 0.15},
    "precision": "bfloat16",  # what the bundled weights were trained in, on one CPU core
}
SHIP = {**PATIENTS, "epochs": 16, "learning_rate": 1e-3, "schedule_warmup_steps": 100, "seed": 1}
LEARNED = {**PATIENTS, "weighting": "uncertainty"}
SETTINGS = {"patients": PATIENTS, "ship": SHIP, "learned": LEARNED}
LINKS = "ebhi"
STAGES = (*SETTINGS, "bundle")
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
    "All four losses, with the weights that the paper's authors tuned by hand."
)
LICENCE = (
    "Research use only, no commercial use: trained on GlaS (Warwick-QU), whose terms these are. "
    "Cite K. Sirinukunwattana et al., Medical Image Analysis 35, 2017, and K. Sirinukunwattana et "
    "al., IEEE Transactions on Medical Imaging 34, 2015. Trained on EBHI-Seg, too (MIaMIA Group "
    "2022, doi 10.6084/m9.figshare.21540159, CC BY 4.0)."
)


def stage_config(stage: str, given: argparse.Namespace) -> TrainConfig:
    """Settings of a training stage."""
    learned, _ = halves(open_ebhi(given.ebhi))
    shipping = stage == "ship"
    return TrainConfig(
        training=TrainingConfig.model_validate(SETTINGS[stage]),
        start=str(given.runs / "patients") if shipping else None,
        name="glas" if shipping else None,
        description=DESCRIPTION,
        licence=LICENCE,
        validation=0 if shipping else HELD_OUT_PATIENTS,
        split_by="patient",
        replay=str(linked(learned, given.ebhi, given.runs / LINKS)),
        replay_mpp=EBHI_MPP,
        replay_share=0.15,
    )


def train(stage: str, dataset: Dataset, given: argparse.Namespace) -> None:
    """Train one stage, or go on with it."""
    folder = given.runs / stage
    resume = (folder / STATE_FILE).exists()
    config = None if resume else stage_config(stage, given)
    for event in train_model(dataset, folder, config, resume=resume):
        if isinstance(event, EpochFinished):
            numbers = {**event.losses, **event.measures}
            text = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            print(f"epoch {event.epoch}/{event.epochs}  {text}", flush=True)
        elif isinstance(event, TrainingNotice):
            print(event.text, flush=True)


def measure(images: Dataset, run: Path) -> dict[str, Any]:
    """Measures of a stage's weights, flips averaged; no class where the images have none."""
    measures = gm.evaluate(images, model=run)
    return {name: measures[name] for name in MEASURES if measures[name] is not None}


def temperature(held_out: Dataset, run: Path) -> float:
    """The temperature of the classes that explains those of images never seen best; at least 1.

    Below 1 it would say that a network should be surer of itself than it is. With so few images
    nearly all of them right, that is luck.
    """
    logits, classes = [], []
    for sample in held_out:
        found = gm.segment(sample.image, run, mpp=sample.mpp).class_probabilities
        # Of a softmax the logarithm gives the logits back, but for a constant.
        logits.append([np.log(max(found[name], 1e-12)) for name in held_out.classes])
        classes.append(sample.class_index)
    return max(1.0, fit_temperature(np.array(logits), np.array(classes)))


def bundle(dataset: Dataset, given: argparse.Namespace) -> Path:
    """Write the shipped weights with their card into the package."""
    shipped = load_model(given.runs / "ship")
    patients = given.runs / "patients"
    held_out = part_of_run(dataset, patients, "validation")
    _, other = halves(open_ebhi(given.ebhi))
    shown = len(list((given.runs / LINKS / "image").iterdir()))
    card = shipped.card.model_copy(
        update={
            "package_version": gm.__version__,
            "commit": source_commit(),
            "class_temperature": round(temperature(held_out, patients), 2),
            "data": (
                f"{dataset.description}; {shown} images of EBHI-Seg at about {EBHI_MPP} "
                "um/px, glands only, lumen derived from the stain"
            ),
            "measures": {
                "note": (
                    "'patient-disjoint' was measured with the weights that these went on from, "
                    "which had never learned from those six patients; the settings and the epoch "
                    "were chosen by them. 'EBHI-Seg' was measured with the shipped weights, on "
                    "cases that nothing was learned from; it has no classes. No test image of "
                    "GlaS was used."
                ),
                "patient-disjoint (65 / 20 images)": measure(held_out, patients),
                f"EBHI-Seg ({len(other)} images)": measure(other, given.runs / "ship"),
            },
            "split": (
                "Settings chosen on the 20 GlaS training images of patients "
                f"{', '.join(HELD_OUT_PATIENTS)}; shipped weights trained on all 85."
            ),
        }
    )
    target = Path(gm.__file__).parent / "models" / "glas.safetensors"
    target.parent.mkdir(exist_ok=True)
    return save_model(target, shipped.network, card)


def main() -> int:
    """Run one stage; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("glas", type=Path, help="folder of the 85 GlaS training images")
    parser.add_argument("ebhi", type=Path, help="folder of EBHI-Seg")
    parser.add_argument("runs", type=Path, help="folder for the run folders")
    given = parser.parse_args()
    try:
        dataset = open_dataset(given.glas, split="train")
        if given.stage == "bundle":
            print(bundle(dataset, given))
        else:
            train(given.stage, dataset, given)
    except GlandMTLError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
