"""What a step of each weighting costs relative to equal weights, measured side by side.

Runs are done one after the other, and beside other work: their times tell more of what else the
machine was at than of the weighting. Here all of them train in one process, a few steps each in
turn, and what counts of each is its fastest: others can only slow it down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from _locks import in_turn
from _machine import machine
from _run import Run
from _runs import Place, memory_in_words, training_config

from napari_gland_mtl.checkpoint import replace_file
from napari_gland_mtl.errors import DeviceNotAvailableError, GlandMTLError
from napari_gland_mtl.jobs.train import TrainConfig, train_model
from napari_gland_mtl.training.progress import StepFinished

BLOCK = 4  # steps in turn; of one optimiser per loss, one of each
ROUNDS = 9
EQUAL = "equal"


def step_costs(place: Place, runs: Mapping[str, Run], measure: bool = True) -> dict[str, float]:
    """Time of a step relative to that of equal weights, where it is known.

    Parameters
    ----------
    place : Place
        What was measured is kept in its folder, and not measured again.
    runs : mapping of str to Run
        What to measure; the one named "equal" is compared with.
    measure : bool
        Whether to measure what is not known.
    """
    try:
        path = place.out / f"step_costs-{_key(place, runs[EQUAL])}.json"
    except DeviceNotAvailableError:  # whoever only draws the tables may do so elsewhere
        return {}
    with in_turn(path.with_suffix(".lock")):
        text = path.read_text(encoding="utf-8") if path.is_file() else "{}"
        known: dict[str, float] = json.loads(text)
        missing = {name: run for name, run in runs.items() if name not in known}
        if measure and missing:
            known |= _measured(place, {EQUAL: runs[EQUAL], **missing})
            replace_file(path, (json.dumps(known, indent=1) + "\n").encode())
    return known


def _key(place: Place, run: Run) -> str:
    """Of the settings that all runs share, and the kind of machine."""
    text = json.dumps([run.settings, machine(place.device)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _measured(place: Place, runs: Mapping[str, Run]) -> dict[str, float]:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        steps = {
            name: stack.enter_context(closing(_steps(place, run, Path(folder) / name)))
            for name, run in runs.items()
        }
        blocks = _blocks(steps)
    seconds = {name: _undisturbed(each) for name, each in blocks.items()}
    if EQUAL not in seconds:
        return {}
    return {name: value / seconds[EQUAL] for name, value in seconds.items()}


def _blocks(steps: Mapping[str, Iterator[float]]) -> dict[str, list[list[float]]]:
    """Seconds of the steps of each block, of all that get to the end."""
    blocks: dict[str, list[list[float]]] = {name: [] for name in steps}
    for count in (1, *[BLOCK] * ROUNDS):  # the first step prepares
        for name in list(blocks):
            try:
                blocks[name].append([next(steps[name]) for _ in range(count)])
            except (GlandMTLError, ImportError):  # told where the run itself was to be done
                del blocks[name]
    return {name: each[1:] for name, each in blocks.items()}


def _undisturbed(blocks: list[list[float]]) -> float:
    """Seconds of a block whose every step is the fastest at its place in any of them."""
    return sum(min(block[place] for block in blocks) for place in range(BLOCK))


def _steps(place: Place, run: Run, folder: Path) -> Generator[float]:
    """Seconds of each step of a training that has as many as are needed, without warm-up."""
    count = run.settings["batch_size"] * (1 + BLOCK * ROUNDS)
    short = {"epochs": 1, "patches_per_epoch": count, "log_var_warmup_steps": 0}
    config = training_config(Run({**run.settings, **short}, 0, "", {}), place.device)
    training, _ = place.glas.divided(run.part)
    settings = TrainConfig(training=config, validation=0)
    with memory_in_words(), closing(train_model(training, folder, settings)) as events:
        for event in events:
            if isinstance(event, StepFinished):
                yield event.seconds
