"""The end of a fine-tuning: its best weights become a model in the list, with what it is worth.

The card says what was measured before and after. A training that is gone on with replaces the
model that it left there itself, and nobody else's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..checkpoint import SUFFIX, load_model, replace_file, save_model
from ..errors import InvalidInputError, OutputExistsError, OutputNotWritableError
from ..training.progress import TrainingFinished
from ..training.trainer import BEST_FILE, SCORE
from .events import Event, ModelInstalled, Notice, Stage
from .models import free_name, install_model, model_path
from .run_folder import read_start_measures

MODEL_FILE = f"model{SUFFIX}"
INSTALLED_FILE = "installed.json"
_DIGITS = 3  # of a score, as it is shown


def installed(folder: Path, name: str, end: TrainingFinished) -> Iterator[Event]:
    """Put the best weights of a run into the list of models.

    Raises
    ------
    OutputNotWritableError
        They are in the run folder still.
    """
    if not (folder / BEST_FILE).is_file():
        yield Notice(
            "Stopped before the first epoch was done: there is no new model yet. What was learned "
            "is kept, and the training can be gone on with."
        )
        return
    yield Stage("Keeping the new model")
    earlier = _earlier(folder)
    name = earlier or name
    before, after = read_start_measures(folder), _write_model(folder, name)
    lost = round(before.get(SCORE, 0.0) - after.get(SCORE, 0.0), _DIGITS) if after else 0.0
    if lost > 0:
        yield Notice(
            f"On what was kept apart, the new model is worse than the one it started from (score "
            f"{after[SCORE]:.3f}, before {before[SCORE]:.3f}): rather stay with that one. More "
            "annotations, or a lower learning rate, may help."
        )
    try:
        entry = _put_into_the_list(folder, name, overwrite=earlier is not None)
    except OutputNotWritableError as error:
        raise OutputNotWritableError(
            f"{error} The new model is kept: {folder / MODEL_FILE}. Go on with the training once "
            "there is room, or install that file."
        ) from error
    if entry.name != name:
        yield Notice(f"Another model was named {name!r} meanwhile; this one is now {entry.name!r}.")
    yield entry


def _write_model(folder: Path, name: str) -> dict[str, float]:
    """The best weights with their final card, in the run folder; returns what they measured."""
    best, before = load_model(folder / BEST_FILE), read_start_measures(folder)
    after = {key: value for key, value in best.card.measures.items() if _is_number(value)}
    groups = {"before": before, "after": after}
    measures = {group: values for group, values in groups.items() if values}
    card = best.card.model_copy(update={"name": name, "measures": measures})
    save_model(folder / MODEL_FILE, best.network, card)
    return after


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _put_into_the_list(folder: Path, name: str, overwrite: bool) -> ModelInstalled:
    source = folder / MODEL_FILE
    try:
        entry = install_model(source, name, overwrite=overwrite)
    except (OutputExistsError, InvalidInputError):  # taken meanwhile
        name = free_name(name)
        _write_model(folder, name)
        entry = install_model(source, name)
    record = {"name": entry.name, "sha256": _sha256(entry.path)}
    replace_file(folder / INSTALLED_FILE, (json.dumps(record) + "\n").encode())
    return ModelInstalled(entry.name, entry.path)


def _earlier(folder: Path) -> str | None:
    """The name of the model that this run has put into the list before, if it is still that."""
    try:
        record = json.loads((folder / INSTALLED_FILE).read_text(encoding="utf-8"))
        name = str(record["name"])
        return name if _sha256(model_path(name)) == record["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
