"""The user's own models: put into the list, taken out of it, handed on as one file.

A model is one safetensors file with its card; in the list is what lies in the models folder.
Bundled models cannot be replaced or removed, and a name is never taken away from another model
unless that is asked for.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..checkpoint import (
    DEFAULT_MODEL,
    SUFFIX,
    ModelCard,
    ModelEntry,
    find_model,
    list_models,
    model_folders,
    read_card,
)
from ..errors import (
    InvalidInputError,
    ModelNotFoundError,
    OutputExistsError,
    OutputNotWritableError,
)
from ..storage.atomic import new_file
from ..storage.disk_errors import see_that_writable, writing

RESERVED = frozenset({"default"})
# Of a file on every system, and of an argument on the command line.
_NAME = re.compile(r"[\w][\w .,+()=-]*", re.UNICODE)
_FORBIDDEN = re.compile(r"[^\w .,+()=-]", re.UNICODE)
_LONGEST = 80


def install_model(file: Path | str, name: str | None = None, overwrite: bool = False) -> ModelEntry:
    """Put a model file into the list of models.

    Parameters
    ----------
    file : path
        A ``.safetensors`` file of this package, or a run folder (its best weights).
    name : str, optional
        What it is to be asked for by; the name on its card unless given.
    overwrite : bool
        Whether an installed model of that name may be replaced.

    Raises
    ------
    ModelNotFoundError, CheckpointError
        If there is no such file, or it is none of this package's.
    InvalidInputError
        If the name cannot be a file's, or is that of a bundled model.
    OutputExistsError
        If the name is taken.
    OutputNotWritableError
    """
    source = find_model(file)
    card = _sound_card(source)
    name = card.name if name is None else name
    path = model_path(name)
    _check_free(name, overwrite)
    if not (path.exists() and path.samefile(source)):
        with new_file(path, overwrite=overwrite) as partial:
            shutil.copyfile(source, partial)
    return ModelEntry(name, path, card)


def export_model(name: str | Path, path: Path | str, overwrite: bool = False) -> Path:
    """Copy a model to a file that can be handed on.

    Parameters
    ----------
    name : str or path
        As `load_model` takes it.
    path : path
        A file, ending in ``.safetensors``, or a folder to put it into.

    Raises
    ------
    ModelNotFoundError, OutputExistsError, OutputNotWritableError
    """
    source, path = find_model(name), Path(path)
    if path.is_dir():
        named = isinstance(name, str) and _NAME.fullmatch(name)
        path = path / f"{name if named else read_card(source).name}{SUFFIX}"
    elif path.suffix != SUFFIX:
        path = path.with_name(f"{path.name}{SUFFIX}")
    with new_file(path, overwrite=overwrite) as partial:
        shutil.copyfile(source, partial)
    return path


def remove_model(name: str) -> None:
    """Take a model of the user's own out of the list, for good.

    Raises
    ------
    ModelNotFoundError
        If there is none of that name.
    InvalidInputError
        If it is a bundled one.
    OutputNotWritableError
    """
    if name in RESERVED or is_bundled(name):
        raise InvalidInputError(
            f"The model {name!r} belongs to the program and cannot be removed. Models of your own "
            "can."
        )
    path = model_path(name)
    if not path.is_file():
        known = ", ".join(entry.name for entry in own_models()) or "none"
        raise ModelNotFoundError(f"There is no model {name!r} of your own. There are: {known}.")
    with writing(path):
        path.unlink()


def free_name(name: str) -> str:
    """The name itself if no model has it, else with the next free number behind it.

    What cannot stand in a name becomes a hyphen.

    Examples
    --------
    >>> free_name("a model that nobody has")
    'a model that nobody has'
    >>> free_name("runs/3: best")
    'runs-3- best'
    """
    name = _FORBIDDEN.sub("-", name).lstrip("-., ()+=")[: _LONGEST - 5].rstrip(" .") or "model"
    taken = {entry.name.casefold() for entry in list_models()} | RESERVED
    chosen, number = name, 2
    while chosen.casefold() in taken or (model_folders()[0] / f"{chosen}{SUFFIX}").exists():
        chosen, number = f"{name} {number}", number + 1
    return chosen


def check_new_name(name: str) -> None:
    """See that a new model may have this name.

    Raises
    ------
    InvalidInputError
        If it cannot be a file's name, or is that of a bundled model.
    OutputExistsError
        If it is taken.
    """
    model_path(name)
    _check_free(name, overwrite=False)


def check_models_folder() -> None:
    """See that a model could be put into the list.

    Raises
    ------
    OutputNotWritableError
    """
    folder = model_folders()[0]
    try:
        see_that_writable(folder)
    except OSError as error:
        raise OutputNotWritableError(
            f"New models go to {folder}, and nothing can be written there "
            f"({error.strerror or error}). Allow it, or name another folder by the environment "
            "variable NAPARI_GLAND_MTL_MODELS."
        ) from error


def model_path(name: str) -> Path:
    """Where a model of that name lies, or would.

    Raises
    ------
    InvalidInputError
        If it cannot be a file's name.
    """
    if len(name) > _LONGEST or not _NAME.fullmatch(name) or name != name.strip(" ."):
        raise InvalidInputError(
            f"{name!r} cannot be the name of a model. Use up to {_LONGEST} letters, digits, "
            "spaces, '-', '_' or '.', with a letter or digit at the beginning."
        )
    return model_folders()[0] / f"{name}{SUFFIX}"


def own_models() -> list[ModelEntry]:
    """The models that were installed by the user."""
    folder = model_folders()[0]
    return [entry for entry in list_models() if entry.path.parent == folder]


def is_bundled(name: str) -> bool:
    """Whether the program brings a model of that name."""
    bundled = {path.stem.casefold() for path in model_folders()[-1].glob(f"*{SUFFIX}")}
    return name.casefold() in bundled | {DEFAULT_MODEL}


def _check_free(name: str, overwrite: bool) -> None:
    if name.casefold() in RESERVED or is_bundled(name):
        raise InvalidInputError(
            f"The name {name!r} belongs to a model of the program, which stays as it is. Choose "
            f"another, e.g. {free_name(name)!r}."
        )
    same = [path for path in model_folders()[0].glob(f"*{SUFFIX}") if _same(path.stem, name)]
    if same and not (overwrite and same == [model_path(name)]):
        raise OutputExistsError(
            f"There is a model {same[0].stem!r} already. Choose another name, e.g. "
            f"{free_name(name)!r}, or remove that one first."
        )


def _same(one: str, other: str) -> bool:
    """Names that differ in small and capital letters alone are one file on some systems."""
    return one.casefold() == other.casefold()


def _sound_card(source: Path) -> ModelCard:
    """The card of a file whose weights fit it.

    Raises
    ------
    CheckpointError
    """
    from ..checkpoint import load_model

    card = read_card(source)
    load_model(source)  # a file that was cut off has a card, too
    return card
