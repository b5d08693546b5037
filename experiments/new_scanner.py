"""What fine-tuning on a few images of another scanner gains there, and loses at home.

    python experiments/new_scanner.py EBHI GLAS OUT --start RUN

EBHI is a folder of EBHI-Seg: colon glands of another laboratory, stain and scale (roughly
1.2 um/px). Half of its cases are only measured on; of the others 10, 20 and 40 images are taken as
newly annotated and go through the job behind the dock "Fine-tune" with its default settings. GLAS
are the training images of GlaS; what was known before is measured on the 20 images of six patients.
Start from a run that has seen neither these nor EBHI-Seg, as `gland-mtl train GLAS -o RUN
--validation-split 3,5,8,11,13,16` makes: the bundled model, and the stages of
`experiments/default_model.py` that it came from, have learned from the very images that the new
ones are drawn from here, and the bundled one from all of GlaS, too.

Measured before and after with the default settings of `gland-mtl evaluate`. OUT receives a run
folder and a JSON per training; whatever is there is not done again, so that another start model or
setting wants another OUT. The last lines are the table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _changes import reasons
from _command_line import positive
from _ebhi import halves, open_ebhi
from _glas import HELD_OUT_PATIENTS
from pydantic import ValidationError

import napari_gland_mtl as gm
from napari_gland_mtl.checkpoint import load_model, replace_file
from napari_gland_mtl.datasets import Dataset, open_dataset, split_dataset
from napari_gland_mtl.errors import GlandMTLError, InvalidInputError
from napari_gland_mtl.jobs.finetune import finetune_model
from napari_gland_mtl.jobs.finetune_config import FinetuneConfig
from napari_gland_mtl.jobs.stop import StopToken
from napari_gland_mtl.training.progress import EpochFinished
from napari_gland_mtl.training.state import STATE_FILE
from napari_gland_mtl.training.trainer import BEST_FILE

BEFORE_FILE, ASKED_FILE = "before.json", "asked.json"
RESULTS = "[0-9]*-*.json"
MEASURES = ("object_dice", "object_f1", "pixel_accuracy", "classification_accuracy")

Measuring = Callable[[], dict[str, Any]]


def annotated(pool: Dataset, count: int, seed: int) -> Dataset:
    """The first `count` of the images in a random order: 10 are among the 20, these in the 40."""
    return pool.subset(np.random.default_rng(seed).permutation(len(pool))[:count].tolist())


def replay_folder(glas: Path, images: Dataset, folder: Path) -> Path:
    """A folder with these images of GlaS alone."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{name}{ending}" for name in images.names for ending in (".bmp", "_anno.bmp")]
    for name in ("Grade.csv", *names):
        if not (folder / name).exists():
            (folder / name).symlink_to((glas / name).resolve())
    return folder


def measured(model: Path, domains: dict[str, Dataset]) -> dict[str, dict[str, float | None]]:
    """Means over the images of each domain."""
    found = {}
    for name, dataset in domains.items():
        report = gm.evaluate(dataset, model)
        found[name] = {
            measure: report[measure]["mean"] if isinstance(report[measure], dict) else value
            for measure, value in ((m, report[m]) for m in MEASURES)
        }
    return found


def fine_tuned(training: Dataset, folder: Path, start: Path, settings: dict[str, Any]) -> float:
    """Train in `folder`, or go on there; returns seconds."""
    began = time.perf_counter()
    resume = (folder / STATE_FILE).is_file()
    name = f"{folder.parent.name} {folder.name}"
    config = None if resume else FinetuneConfig(start=str(start), name=name, **settings)
    for event in finetune_model(training, folder, config, StopToken(), resume=resume):
        if isinstance(event, EpochFinished):
            print(f"  epoch {event.epoch}: {event.measures}", flush=True)
    return time.perf_counter() - began


def kept(path: Path, make: Measuring) -> dict[str, Any]:
    """What a JSON file says; made if it is not there yet."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(make(), indent=1).encode())
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def row(label: str, result: dict[str, Any], before: dict[str, Any]) -> str:
    """One line of the table; changes in brackets."""
    cells = [label]
    for domain in ("new", "old"):
        for measure in MEASURES:
            value, first = result[domain][measure], before[domain][measure]
            if measure == "classification_accuracy" and domain == "new":
                continue
            change = "" if result is before else f" ({value - first:+.3f})"
            cells.append(f"{value:.3f}{change}")
    seconds = f"{result['seconds']:.0f} s" if "seconds" in result else ""
    return f"| {' | '.join([*cells, seconds])} |"


def changes(texts: list[str]) -> dict[str, Any]:
    """Settings of a fine-tuning from NAME=VALUE, refused here if it would refuse them."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name in ("start", "name", "replay"):
            raise InvalidInputError(f"--set {text}: {name} is not set here.")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
        try:
            FinetuneConfig(**found)
        except ValidationError as error:
            raise InvalidInputError(f"--set {text} is refused. {reasons(error)}.") from error
    return found


def asked_for(start: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What all results of a table have in common, as JSON gives it back."""
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    asked: dict[str, Any] = json.loads(json.dumps({"start": digest, "settings": settings}))
    return asked


def refuse_others(out: Path, asked: dict[str, Any]) -> None:
    """Keep results of other start models and settings out of the table."""
    if not (out / BEFORE_FILE).is_file() and not any(out.glob(RESULTS)):
        return
    path = out / ASKED_FILE
    if not path.is_file():
        raise InvalidInputError(
            f"Results in {out} do not say of which start model and settings they are (there is "
            f"no {ASKED_FILE}). Name another folder."
        )
    if json.loads(path.read_text(encoding="utf-8")) != asked:
        raise InvalidInputError(
            f"Results in {out} are of another start model or other settings ({ASKED_FILE} says "
            "which). Name another folder."
        )


def measured_before(out: Path, asked: dict[str, Any], make: Measuring) -> dict[str, Any]:
    """What the start model comes to: the first result, which says what all others are of."""

    def first() -> dict[str, Any]:
        found = make()
        # Only now: a mistyped command that was stopped leaves the folder to the right one.
        replace_file(out / ASKED_FILE, json.dumps(asked, indent=1).encode())
        return found

    return kept(out / BEFORE_FILE, first)


def parsed() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ebhi", type=Path)
    parser.add_argument("glas", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", required=True, help="a model that knows neither of them")
    parser.add_argument("--images", type=positive, nargs="+", default=[10, 20, 40])
    parser.add_argument("--seed", type=int, default=0, help="which images are annotated")
    parser.add_argument("--replay", action="store_true", help="mix the other GlaS images in")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="settings")
    return parser.parse_args()


def compare(given: argparse.Namespace) -> None:
    """Fine-tune on so many images each, and print the table."""
    settings = changes(given.settings)
    # The new models are for the table alone.
    os.environ["NAPARI_GLAND_MTL_MODELS"] = str(given.out / "models")
    known, held_out = split_dataset(open_dataset(given.glas), HELD_OUT_PATIENTS, by="patient")
    pool, test = halves(open_ebhi(given.ebhi))
    domains = {"new": test, "old": held_out}
    start = load_model(given.start).path
    asked = asked_for(start, {**settings, "replay": given.replay})
    refuse_others(given.out, asked)
    if given.replay:
        settings["replay"] = str(replay_folder(given.glas, known, given.out / "replay"))
    print(f"{len(pool)} images to annotate, {len(test)} of other cases to measure on", flush=True)
    before = measured_before(given.out, asked, lambda: measured(start, domains))

    rows = [row("start model", before, before)]
    for count in given.images:
        folder = given.out / f"{count}-{given.seed}"
        training = annotated(pool, count, given.seed)

        def run(folder: Path = folder, training: Dataset = training) -> dict[str, Any]:
            seconds = fine_tuned(training, folder, start, settings)
            return {**measured(folder / BEST_FILE, domains), "seconds": seconds}

        rows.append(row(f"{count} images", kept(folder.with_suffix(".json"), run), before))
    print("| | new: Dice | F1 | pixels | old: Dice | F1 | pixels | class | training |")
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def main() -> int:
    """Returns the exit code."""
    try:
        compare(parsed())
    except GlandMTLError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
