"""The files of a run folder other than those of the trainer: settings, images, machine.

``config.json`` has the settings, ``data.json`` the names of the images on either side,
``environment.json`` the machine and the versions. Each is written beside and renamed into
place, the settings last: a folder with settings is complete.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from ..checkpoint import replace_file
from ..datasets.dataset import Dataset
from ..errors import DatasetError, InvalidInputError, OutputExistsError, OutputNotWritableError
from ..training.state import STATE_FILE

CONFIG_FILE = "config.json"
DATA_FILE = "data.json"
ENVIRONMENT_FILE = "environment.json"

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
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputNotWritableError(
            f"The run folder {folder} cannot be written to: {error.strerror}. Choose another."
        ) from error


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
    folder: Path, settings: dict[str, Any], training: Dataset, validation: Dataset
) -> None:
    """Write what the training is made of; the settings last, as the mark of a run folder."""
    data = {
        "description": training.description,
        "training": list(training.names),
        "validation": list(validation.names),
    }
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
