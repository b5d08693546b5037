"""Weights and model card in one safetensors file, and where such files are found.

The card travels in the file's metadata as JSON, so a model says what it is, what it was
trained on and how well it did wherever it goes. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import CheckpointError, ModelNotFoundError, OutputNotWritableError

if TYPE_CHECKING:
    import torch

    from .network import GlandNetwork, NetworkConfig

DEFAULT_MODEL = "glas"
SUFFIX = ".safetensors"
CARD_KEY = "napari_gland_mtl"
RUN_FOLDER_WEIGHTS = ("best.safetensors", "last.safetensors")


class ModelCard(BaseModel):
    """What a model is: read by people in the widgets, by programs from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    description: str = ""
    mpp: float = Field(gt=0, description="Micrometres per pixel the network works at.")
    network: dict[str, Any] = Field(description="The NetworkConfig, as JSON.")
    created: str = Field(default="", description="ISO date and time, UTC.")
    package_version: str = ""
    commit: str = ""
    licence: str = Field(default="", description="What the weights may be used for.")
    data: str = Field(default="", description="What it was trained on, with citation.")
    split: str = Field(default="", description="How training and validation were divided.")
    measures: dict[str, Any] = Field(
        default_factory=dict, description="What was measured, on what."
    )
    log_vars: dict[str, float] = Field(
        default_factory=dict, description="Learned log sigma^2 of each loss."
    )
    class_temperature: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="Class activations are divided by it, so that class probabilities mean what "
        "they say.",
    )
    training: dict[str, Any] = Field(default_factory=dict, description="The training settings.")
    annotations: dict[str, str] = Field(
        default_factory=dict,
        description="sha256 of what each image of a fine-tuning was annotated with, by its name.",
    )
    parents: tuple[str, ...] = Field(
        default=(), description="sha256 of the models this one was trained from."
    )

    def network_config(self) -> NetworkConfig:
        """The settings to rebuild the network with."""
        from .network import NetworkConfig

        return NetworkConfig.model_validate(self.network)


@dataclass(frozen=True)
class Model:
    """A network ready to use, with its card.

    Attributes
    ----------
    network : GlandNetwork
        In evaluation mode.
    card : ModelCard
    sha256 : str
        Of the file.
    path : Path
    """

    network: GlandNetwork
    card: ModelCard
    sha256: str
    path: Path


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for by `name`."""

    name: str
    path: Path
    card: ModelCard


def save_model(path: Path | str, network: GlandNetwork, card: ModelCard) -> Path:
    """Write weights and card, beside and renamed into place.

    Parameters
    ----------
    path : path
        Ends in ``.safetensors``; an existing file is replaced at once or not at all.
    network : GlandNetwork
    card : ModelCard

    Raises
    ------
    OutputNotWritableError
        If the folder does not exist or cannot be written to; an older file stays as it was.
    """
    from safetensors.torch import save

    path = Path(path)
    tensors = {name: value.detach().cpu().contiguous() for name, value in _state(network).items()}
    payload = save(tensors, metadata={CARD_KEY: card.model_dump_json()})
    replace_file(path, payload)
    return path


def replace_file(path: Path, payload: bytes) -> None:
    """Write a file beside its place and rename it there: it is the old or the new one, whole.

    Raises
    ------
    OutputNotWritableError
        If it cannot be written; an older file stays as it was and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputNotWritableError(
            f"{path} cannot be written ({error.strerror or error}). Choose a folder that exists, "
            "may be written to and has room."
        ) from error
    finally:
        # Gone already if it was renamed. The folder may not exist, or not be one.
        with contextlib.suppress(OSError):
            temporary.unlink()


def _state(network: GlandNetwork) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def load_model(name: str | Path = DEFAULT_MODEL, device: str = "cpu") -> Model:
    """Load a model by name, file or run folder.

    Parameters
    ----------
    name : str or path
        A bundled or installed model's name, a ``.safetensors`` file, or a run folder of
        ``gland-mtl train`` (its best weights).
    device : str
        Where the network goes.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    CheckpointError
        If the file is damaged, a pickle, or not one of this package's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from .network import build_network

    path = find_model(name)
    card = read_card(path)
    payload = path.read_bytes()
    try:
        network = build_network(card.network_config())
        network.load_state_dict(load(payload))
    except (SafetensorError, RuntimeError, ValidationError, KeyError) as error:
        raise CheckpointError(
            f"The weights in {path} do not fit the network its card describes: {error}"
        ) from error
    network.to(device).eval()
    return Model(network, card, hashlib.sha256(payload).hexdigest(), path)


def read_card(path: Path | str) -> ModelCard:
    """Read the card of a checkpoint without its weights.

    Raises
    ------
    CheckpointError
        If the file is no safetensors file (a pickle, say) or carries no card.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(path.stat().st_size, 100_000_000):
                raise ValueError("no safetensors header")
            header = json.loads(file.read(length))
        text = header["__metadata__"][CARD_KEY]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of this package. Models are .safetensors files written "
            "by 'gland-mtl train'; PyTorch pickles (.pt, .pth) are refused because opening one "
            "can run code."
        ) from error
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(
            f"The model card in {path} cannot be read by this version: {error}"
        ) from error


def model_folders() -> tuple[Path, ...]:
    """Where named models are looked for: the user's own folder, then the bundled ones."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    user = Path(data_home) if data_home else Path.home() / ".local" / "share"
    chosen = os.environ.get("NAPARI_GLAND_MTL_MODELS")
    user = Path(chosen) if chosen else user / "napari-gland-mtl" / "models"
    return user, Path(__file__).parent / "models"


@cache
def _cached_card(path: Path, _changed: float) -> ModelCard:
    return read_card(path)


def list_models() -> list[ModelEntry]:
    """Bundled and installed models, the default first; damaged files are left out."""
    entries: dict[str, ModelEntry] = {}
    for folder in model_folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                card = _cached_card(path, path.stat().st_mtime)
            except CheckpointError:
                continue
            entries.setdefault(path.stem, ModelEntry(path.stem, path, card))
    return sorted(entries.values(), key=lambda entry: (entry.name != DEFAULT_MODEL, entry.name))


def find_model(name: str | Path) -> Path:
    """Find the checkpoint that a name, a file or a run folder stands for.

    The name ``default`` stands for the bundled model that is used when none is asked for.

    Raises
    ------
    ModelNotFoundError
        Names the models there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    for weights in RUN_FOLDER_WEIGHTS:
        if (path / weights).is_file():
            return path / weights
    # Before any complaint about a folder: one of images may well have a model's name.
    for entry in list_models():
        if entry.name == (DEFAULT_MODEL if str(name) == "default" else str(name)):
            return entry.path
    if path.is_dir():
        raise ModelNotFoundError(
            f"{path} holds neither {' nor '.join(RUN_FOLDER_WEIGHTS)}; a run folder of "
            "'gland-mtl train' does."
        )
    known = ", ".join(entry.name for entry in list_models()) or "none"
    raise ModelNotFoundError(
        f"No model, file or run folder {str(name)!r}. Models by name: {known} "
        "('gland-mtl models' describes them)."
    )
