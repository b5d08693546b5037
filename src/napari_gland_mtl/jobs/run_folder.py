"""The files of a run folder other than those of the trainer: settings, images, machine.

``config.json`` has the settings, ``data.json`` the names of the images on either side and where
they were opened, ``environment.json`` the machine and the versions. Each is written beside and
renamed into place, the settings last: a folder with settings is complete.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..checkpoint import replace_file
from ..errors import DatasetError, InvalidInputError, OutputExistsError, OutputNotWritableError
from ..storage.disk_errors import see_that_writable
from .runs import (
    CONFIG_FILE,
    LOCK_FILE,
    STATUS_FILE,
    RunEntry,
    is_running,
    list_runs,
    new_run_folder,
    run_entry,
    runs_folder,
)

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset

__all__ = [
    "RunEntry",
    "annotations_of",
    "environment",
    "gone_unless_begun",
    "image_names",
    "list_runs",
    "new_run_folder",
    "part_of_run",
    "prepare_folder",
    "read_settings",
    "read_start_measures",
    "run_entry",
    "runs_folder",
    "source_commit",
    "write_records",
    "write_start_measures",
]

STATE_FILE = "state.safetensors"
DATA_FILE = "data.json"
START_FILE = "start.safetensors"
FINETUNE_FILE = "finetune.json"
START_MEASURES_FILE = "start_measures.json"
ENVIRONMENT_FILE = "environment.json"
_BEFORE_A_START = (LOCK_FILE, STATUS_FILE, FINETUNE_FILE, START_FILE, DATA_FILE, ENVIRONMENT_FILE)

Part = Literal["training", "validation"]


def prepare_folder(folder: Path) -> None:
    """Make the run folder and see that it can be written to.

    Raises
    ------
    OutputExistsError
        If a training has saved its state there.
    OutputNotWritableError
    """
    if (folder / STATE_FILE).exists():
        raise OutputExistsError(
            f"{folder} holds a training already. Go on with it by --resume, or name another folder."
        )
    try:
        see_that_writable(folder)
    except OSError as error:
        raise OutputNotWritableError(
            f"The run folder {folder} cannot be written to: {error.strerror}. Choose another."
        ) from error


@contextmanager
def gone_unless_begun(folder: Path) -> Iterator[None]:
    """Leave no run folder behind where a training is refused before it has begun.

    A folder without settings is in no list of runs: nobody would find it and clear it away. What
    was there before stays.
    """
    new, before = not folder.exists(), {path for path in _early(folder) if path.exists()}
    try:
        yield
    except BaseException:
        if not (folder / CONFIG_FILE).exists() and not is_running(folder):
            # What went wrong is to be told, and not what could not be cleared away after it.
            with suppress(OSError):
                for path in _early(folder) - before:
                    path.unlink(missing_ok=True)
                if new:
                    folder.rmdir()
        raise


def _early(folder: Path) -> set[Path]:
    """Files that are written before the settings are."""
    return {folder / name for name in _BEFORE_A_START}


def read_settings(folder: Path) -> str:
    """The settings of a run that can be resumed, as JSON.

    Raises
    ------
    InvalidInputError
        If there is nothing to resume.
    """
    path = folder / CONFIG_FILE
    if not path.is_file() or not (folder / STATE_FILE).is_file():
        raise InvalidInputError(
            f"{folder} holds no training to resume ({CONFIG_FILE} and {STATE_FILE} are needed). "
            "Start one without --resume."
        )
    return path.read_text(encoding="utf-8")


def write_records(
    folder: Path,
    settings: dict[str, Any],
    training: Dataset,
    validation: Dataset,
    annotations: dict[str, str] | None = None,
) -> None:
    """Write what the training is made of; the settings last, as the mark of a run folder.

    `annotations` are the fingerprints of what was annotated, where they are to be kept.
    """
    data: dict[str, Any] = {
        "description": training.description,
        "training": list(training.names),
        "validation": list(validation.names),
    }
    if training.origin is not None:
        data["origin"] = asdict(training.origin)
    if annotations:
        data["annotations"] = annotations
    _write_json(folder / DATA_FILE, data)
    _write_json(folder / ENVIRONMENT_FILE, environment())
    _write_json(folder / CONFIG_FILE, settings)


def image_names(folder: Path | str, part: Part) -> tuple[str, ...]:
    """Names of the images that a run trained or validated on; its weights name it, too.

    Raises
    ------
    InvalidInputError
        If `folder` is no run folder.
    """
    run = Path(folder).parent if Path(folder).is_file() else Path(folder)
    path = run / DATA_FILE
    if not path.is_file():
        raise InvalidInputError(
            f"{folder} is no run folder of 'gland-mtl train': it has no {DATA_FILE}. The parts "
            "'training' and 'validation' are those of a run; give it by --model RUN."
        )
    return tuple(json.loads(path.read_text(encoding="utf-8"))[part])


def annotations_of(folder: Path) -> dict[str, str]:
    """Fingerprints of what a run learned from when it began; empty where none were kept."""
    try:
        data = json.loads((folder / DATA_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(data.get("annotations", {}))


def write_start_measures(folder: Path, measures: dict[str, float]) -> None:
    """Note down what the model measured that the run starts from."""
    _write_json(folder / START_MEASURES_FILE, measures)


def read_start_measures(folder: Path) -> dict[str, float]:
    """What the model measured that a run started from; empty where it was not measured."""
    try:
        content = json.loads((folder / START_MEASURES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: float(value) for name, value in content.items()}


def part_of_run(dataset: Dataset, folder: Path | str, part: Part) -> Dataset:
    """The images of a data set that a run trained or validated on.

    Raises
    ------
    InvalidInputError
        If `folder` is no run folder.
    DatasetError
        If one of its images is not in the data set, or the part is empty.
    """
    names = image_names(folder, part)
    places = {name: index for index, name in enumerate(dataset.names)}
    missing = [name for name in names if name not in places]
    if missing or not names:
        what = f"misses {missing[0]!r} ({len(missing)} in all)" if missing else "has none to offer"
        raise DatasetError(f"Of the {part} images of {folder} the data set {what}.")
    return dataset.subset([places[name] for name in names])


def environment() -> dict[str, Any]:
    """The machine and the versions that a training ran on; JSON-able."""
    import torch

    from .. import __version__

    packages = ("torch", "numpy", "scipy", "scikit-image", "tifffile", "pydantic")
    return {
        "napari-gland-mtl": __version__,
        "commit": source_commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in packages},
    }


def source_commit() -> str:
    """The commit that the source stands at where it is a git checkout, or nothing."""
    head = Path(__file__).parents[3] / ".git" / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text(encoding="utf-8").strip()
    if not text.startswith("ref: "):
        return text
    reference = head.parent / text.removeprefix("ref: ")
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else ""


def _write_json(path: Path, content: dict[str, Any]) -> None:
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())
