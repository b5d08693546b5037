"""Does the runs of an experiment in a folder that several experiments and processes share.

What is there is not done again; a killed run is gone on with; a run that another process is at is
left to it. A run's folder is that of a training (the dock "Loss weights" can follow it), with
``result.json`` beside the rest once it has been measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _glas import Glas
from _machine import machine
from _measure import measured
from _noise import with_noise
from _run import CLEAN, Run
from _settings import SINCE
from filelock import FileLock, Timeout
from pydantic import ValidationError

from napari_gland_mtl import __version__
from napari_gland_mtl.checkpoint import read_card, replace_file
from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.errors import InvalidInputError, NonFiniteLossError
from napari_gland_mtl.jobs.run_folder import source_commit
from napari_gland_mtl.jobs.train import TrainConfig, resumed_config, train_model
from napari_gland_mtl.storage.run_files import EPOCHS_FILE
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.history import read_history
from napari_gland_mtl.training.progress import EpochFinished, StepFinished, TrainingNotice
from napari_gland_mtl.training.state import STATE_FILE
from napari_gland_mtl.training.trainer import BEST_FILE, LAST_FILE

RESULT_FILE = "result.json"
TIMES_FILE = "times.jsonl"
LOCK_FILE = "experiment.lock"
WAIT_S = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """The folder of the experiments, and where its runs are computed."""

    glas: Glas
    out: Path
    device: str = "auto"

    def folder(self, run: Run) -> Path:
        """The run's own folder."""
        return self.out / "runs" / run.name

    def result(self, run: Run) -> dict[str, Any] | None:
        """What was measured; None where the run is not done."""
        path = self.folder(run) / RESULT_FILE
        if not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Those that are not done."""
        return [run for run in runs if self.result(run) is None]


def do_all(place: Place, runs: Sequence[Run], say: Say = print) -> list[Run]:
    """Do what is not there; returns the runs that this version or machine cannot do."""
    impossible: list[Run] = []
    left = place.missing(runs)
    while left:
        busy = []
        for run in left:
            try:
                done = do(place, run, say)
            except (InvalidInputError, ImportError) as error:
                say(f"{run.name}: left out. {error}")
                impossible.append(run)
                continue
            if not done:
                busy.append(run)
        left = place.missing(busy)
        if len(left) == len(busy) and busy:
            say(f"Waiting for {len(busy)} runs that other processes are at.")
            time.sleep(WAIT_S)
    return impossible


def do(place: Place, run: Run, say: Say = print) -> bool:
    """Train and measure, unless that was done; False where another process is at it.

    Raises
    ------
    InvalidInputError, MissingExtraError
        If the settings are none for this version, or an optional package is missing.
    """
    config = training_config(run, place.device)
    folder = place.folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder) as alone:
        if not alone:
            return False
        if place.result(run) is None:
            _done(place, run, config, say)
    return True


def training_config(run: Run, device: str) -> TrainingConfig:
    """The run's settings as a training takes them.

    Raises
    ------
    InvalidInputError
        If this version knows no such setting.
    """
    since = {name: value for name, value in SINCE.items() if name in TrainingConfig.model_fields}
    given = {**since, **run.settings, "seed": run.seed, "device": device}
    try:
        return TrainingConfig.model_validate(given)
    except ValidationError as error:
        reasons = "; ".join(str(problem["msg"]) for problem in error.errors())
        raise InvalidInputError(f"This version cannot do it: {reasons}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process is at this run, which then stays so."""
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):  # a file system that knows no locks
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def _done(place: Place, run: Run, config: TrainingConfig, say: Say) -> None:
    folder = place.folder(run)
    training, held_out = place.glas.divided(run.part)
    say(f"{run.name}: training on {len(training)} images")
    noisy: tuple[str, ...] = ()
    if run.labels != CLEAN:
        training, noisy = with_noise(training, run.labels, run.seed)
    # Only a process's first run reads them, and its time would stand beside those of others.
    for record in (*training.records, *held_out.records):
        record.read()
    try:
        _trained(folder, training, config, say)
        outcome = _measured(folder, run, held_out, place.device)
    except NonFiniteLossError as error:  # a result as well: the method does not train like this
        outcome = {"failed": str(error), "measures": {}, "weights": {}, "log_vars": {}}
    result = {
        "settings": run.settings,
        "seed": run.seed,
        "part": run.part,
        "labels": run.labels,
        "noisy": list(noisy),
        **outcome,
        **_times(folder),
        "version": __version__,
        "commit": source_commit(),
    }
    replace_file(folder / RESULT_FILE, (json.dumps(result, indent=1) + "\n").encode())
    for name in (STATE_FILE, BEST_FILE):
        (folder / name).unlink(missing_ok=True)
    say(f"{run.name}: {_in_short(result)}")


def _trained(folder: Path, training: Dataset, config: TrainingConfig, say: Say) -> None:
    """Train to the end, from where it was left."""
    resume = (folder / STATE_FILE).is_file()
    if not resume:
        (folder / TIMES_FILE).unlink(missing_ok=True)
    settings = TrainConfig(training=config, validation=0)
    if resume:  # perhaps elsewhere than it began
        settings = resumed_config(folder, config.device)
    steps: list[float] = []
    kind = machine(config.device)
    began = time.perf_counter()
    with closing(train_model(training, folder, settings, resume=resume)) as events:
        for event in events:
            if isinstance(event, StepFinished):
                steps.append(event.seconds)
            elif isinstance(event, TrainingNotice):
                say(f"  {event.text}")
            elif isinstance(event, EpochFinished):
                _note_time(folder, event.epoch, time.perf_counter() - began, steps, kind)
                steps, began = [], time.perf_counter()


def _note_time(folder: Path, epoch: int, seconds: float, steps: list[float], kind: str) -> None:
    """A line per epoch: a run may be done in several goes, on several machines."""
    middle = sorted(steps)[len(steps) // 2] if steps else None
    line = {"epoch": epoch, "seconds": seconds, "step": middle, "machine": kind}
    with (folder / TIMES_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _times(folder: Path) -> dict[str, Any]:
    """Seconds of the training, of a step, and the machines' kinds."""
    path = folder / TIMES_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    epochs = [json.loads(line) for line in lines]
    steps = sorted(epoch["step"] for epoch in epochs if epoch["step"] is not None)
    kinds = dict.fromkeys(epoch["machine"] for epoch in epochs)
    return {
        "training_seconds": sum(epoch["seconds"] for epoch in epochs),
        "step_seconds": steps[len(steps) // 2] if steps else None,
        "machine": "; ".join(kinds),
    }


def _measured(folder: Path, run: Run, held_out: Dataset, device: str) -> dict[str, Any]:
    began = time.perf_counter()
    measures = measured(folder / LAST_FILE, held_out, run, device)
    last = {name: float(column[-1]) for name, column in read_history(folder / EPOCHS_FILE).items()}
    return {
        "measures": measures,
        "weights": _named(last, "weight_"),
        "losses": _named(last, "loss_"),
        "log_vars": dict(read_card(folder / LAST_FILE).log_vars),
        "measuring_seconds": time.perf_counter() - began,
    }


def _named(row: dict[str, float], prefix: str) -> dict[str, float]:
    return {key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}


def _in_short(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"failed. {result['failed']}"
    found = result["measures"]
    shown = ("class_accuracy", "pixel_accuracy", "object_f1", "object_dice")
    words = [f"{name} {found[name]:.3f}" for name in shown if found.get(name) is not None]
    seconds = result["training_seconds"] + result["measuring_seconds"]
    return ", ".join([*words, f"{seconds:.0f} s"])
