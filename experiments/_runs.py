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

from _changes import reasons
from _glas import Glas
from _locks import alone
from _machine import machine
from _measure import measured
from _noise import with_noise
from _run import CLEAN, Run
from _settings import since
from _times import forget_times, note_time, times_of
from pydantic import ValidationError

from napari_gland_mtl import __version__
from napari_gland_mtl.checkpoint import read_card, replace_file
from napari_gland_mtl.datasets import Dataset
from napari_gland_mtl.errors import (
    CheckpointError,
    GlandMTLError,
    InvalidInputError,
    NonFiniteLossError,
    OutputExistsError,
)
from napari_gland_mtl.jobs.run_folder import source_commit
from napari_gland_mtl.jobs.train import TrainConfig, resumed_config, train_model
from napari_gland_mtl.storage.run_files import EPOCHS_FILE
from napari_gland_mtl.training.config import TrainingConfig
from napari_gland_mtl.training.history import read_history
from napari_gland_mtl.training.micro_batches import is_out_of_memory
from napari_gland_mtl.training.progress import EpochFinished, StepFinished, TrainingNotice
from napari_gland_mtl.training.state import STATE_FILE
from napari_gland_mtl.training.trainer import BEST_FILE, LAST_FILE

RESULT_FILE = "result.json"
LOCK_FILE = "experiment.lock"
WAIT_S = 5.0

# What is wrong with one run, and need not be with the next.
CANNOT = (InvalidInputError, ImportError, CheckpointError, OutputExistsError)

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


def do_all(place: Place, runs: Sequence[Run], say: Say = print) -> dict[str, str]:
    """Do what is not there; returns the runs that cannot be done here: name -> why."""
    left_out: dict[str, str] = {}
    left, told = place.missing(runs), 0
    while left:
        busy = []
        for run in left:
            try:
                done = do(place, run, say)
            except CANNOT as error:
                left_out[run.name] = str(error)
                say(f"{run.name}: left out. {error}")
                continue
            if not done:
                busy.append(run)
        left = place.missing(busy)
        if left and len(left) == len(busy):
            if len(left) != told:  # once, not every few seconds for hours
                say(f"Waiting for {len(left)} runs that other processes are at.")
            told = len(left)
            time.sleep(WAIT_S)
    return left_out


def do(place: Place, run: Run, say: Say = print) -> bool:
    """Train and measure, unless that was done; False where another process is at it.

    Raises
    ------
    InvalidInputError, MissingExtraError
        If the settings are none for this version, memory runs out, or an optional package is
        missing.
    OutputNotWritableError
        If the disk is full or gone.
    """
    config = training_config(run, place.device)
    folder = place.folder(run)
    with alone(folder / LOCK_FILE) as free:
        if free and place.result(run) is None:
            with memory_in_words():
                _done(place, run, config, say)
    return free


def training_config(run: Run, device: str) -> TrainingConfig:
    """The run's settings as a training takes them.

    Raises
    ------
    InvalidInputError
        If this version knows no such setting.
    """
    given = {**since(), **run.settings, "seed": run.seed, "device": device}
    try:
        return TrainingConfig.model_validate(given)
    except ValidationError as error:
        raise InvalidInputError(f"This version cannot do it. {reasons(error)}.") from error


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Turn errors of memory that ran out into words.

    A training does so itself once it is under way, but not while it is being prepared.

    Raises
    ------
    InvalidInputError
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, GlandMTLError) or not is_out_of_memory(error):
            raise
        first = str(error).partition("\n")[0]
        raise InvalidInputError(
            f"Memory ran out ({first or 'no more is said'}). Close other programs, or do fewer "
            "runs at once on this device."
        ) from error


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
        **times_of(folder),
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
        forget_times(folder)
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
                note_time(folder, event.epoch, time.perf_counter() - began, steps, kind)
                steps, began = [], time.perf_counter()


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
