"""What a training tells whoever runs it: frozen, picklable events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StepFinished:
    """One optimiser step.

    Attributes
    ----------
    step, total_steps, epoch : int
        Counted from 1.
    losses, weights : dict of str to float
        Unweighted losses and their present factors.
    log_vars : dict of str to float
        Learned log sigma^2; empty for other weightings.
    total : float
        The weighted sum; it may be negative with learned weights.
    learning_rate, gradient_norm, seconds : float
    """

    step: int
    total_steps: int
    epoch: int
    losses: dict[str, float]
    weights: dict[str, float]
    log_vars: dict[str, float]
    total: float
    learning_rate: float
    gradient_norm: float
    seconds: float

    def row(self) -> dict[str, float | int | str]:
        """The step as a row of ``steps.csv``."""
        row: dict[str, float | int | str] = {
            "step": self.step,
            "epoch": self.epoch,
            "total": self.total,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
        }
        row |= {f"loss_{name}": value for name, value in self.losses.items()}
        row |= {f"weight_{name}": value for name, value in self.weights.items()}
        row |= {f"log_var_{name}": value for name, value in self.log_vars.items()}
        return row


@dataclass(frozen=True)
class EpochFinished:
    """One epoch, with the validation measures taken after it."""

    epoch: int
    epochs: int
    losses: dict[str, float]
    weights: dict[str, float]
    log_vars: dict[str, float]
    measures: dict[str, float] = field(default_factory=dict)
    best: bool = False

    def row(self) -> dict[str, float | int | str]:
        """The epoch as a row of ``epochs.csv``."""
        row: dict[str, float | int | str] = {"epoch": self.epoch, "best": int(self.best)}
        row |= {f"loss_{name}": value for name, value in self.losses.items()}
        row |= {f"weight_{name}": value for name, value in self.weights.items()}
        row |= {f"log_var_{name}": value for name, value in self.log_vars.items()}
        return row | self.measures


@dataclass(frozen=True)
class TrainingNotice:
    """Something the user should read, in words."""

    text: str


@dataclass(frozen=True)
class TrainingFinished:
    """The last event: where the run lies and how it ended."""

    folder: Path
    best_epoch: int
    measures: dict[str, float]
    stopped: bool
