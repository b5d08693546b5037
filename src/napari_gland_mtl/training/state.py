"""Everything a killed training needs to go on exactly where it was, in one safetensors file.

Random numbers need no saving: patches and their variation depend on the seed and the number of
the step alone. What remains is the network, its running average, the weighting and the
optimisers' own tensors.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from ..checkpoint import replace_file
from ..errors import CheckpointError

STATE_FILE = "state.safetensors"


@dataclass
class Progress:
    """Where a training stands.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    best_score : float
    best_epoch : int
        Of the best weights so far; 0 before any.
    config : str
        The settings, as JSON.
    loss_sums : dict of str to float
        Sums over the steps of the unfinished epoch.
    loss_gaps : dict of str to int
        Steps of it in which a batch had nothing to show to a loss.
    measures : dict of str to float
        After the last finished epoch.
    bfloat16 : bool or None
        What the probe of the first start decided, so that a resumed run calculates alike.
    at_once : int
        Patches of a step that memory holds at once; 0 for all of them.
    unmeasured : dict of str to float
        Weights of the losses in the last step of an epoch of which the measuring was stopped;
        it is taken up again. Else empty.
    images : dict of str to list of float
        What was seen of each training image in the unfinished epoch; see `image_table`.
    said : list of str
        What the collapse watch has said, so that a resumed run does not repeat it.
    """

    step: int = 0
    best_score: float = float("-inf")
    best_epoch: int = 0
    config: str = ""
    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_gaps: dict[str, int] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    bfloat16: bool | None = None
    at_once: int = 0
    unmeasured: dict[str, float] = field(default_factory=dict)
    images: dict[str, list[float]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def _optimizer_tensors(number: int, optimizer: Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{parameter}.{name}": value
        for parameter, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def save_state(
    path: Path, modules: dict[str, nn.Module], optimizers: list[Optimizer], progress: Progress
) -> None:
    """Write the state beside and rename it into place."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in modules.items():
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        tensors |= _optimizer_tensors(number, optimizer)
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    payload = save(copies, metadata={"progress": json.dumps(asdict(progress))})
    replace_file(path, payload)


def read_progress(path: Path) -> Progress:
    """Read where a saved training stands, without its tensors.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _unusable(path, error) from error


def load_state(path: Path, modules: dict[str, nn.Module], optimizers: list[Optimizer]) -> Progress:
    """Put a saved state into modules and optimisers built from the same settings.

    Raises
    ------
    CheckpointError
        If the file is damaged or belongs to other settings.
    """
    progress = read_progress(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for prefix, module in modules.items():
            own = {
                name.removeprefix(f"{prefix}."): value
                for name, value in tensors.items()
                if name.startswith(f"{prefix}.")
            }
            module.load_state_dict(own)
        for number, optimizer in enumerate(optimizers):
            _load_optimizer(number, optimizer, tensors)
    except (SafetensorError, OSError, KeyError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error
    return progress


def _unusable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be resumed from: {error}. It is damaged or belongs to a training with "
        "other settings; start a new run folder."
    )


def _load_optimizer(number: int, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    prefix = f"optimizer.{number}."
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            parameter, name = key.removeprefix(prefix).split(".", 1)
            state.setdefault(int(parameter), {})[name] = value
    full = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": full["param_groups"]})


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average of weights and batch statistics towards the network."""
    with torch.no_grad():
        for kept, new in zip(
            average.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)
