"""Training: settings, steps, state that can be resumed, histories and warnings."""

from .config import TrainingConfig, build_weighting
from .history import read_history
from .progress import EpochFinished, StepFinished, TrainingFinished, TrainingNotice
from .trainer import Trainer, TrainingEvent

__all__ = [
    "EpochFinished",
    "StepFinished",
    "Trainer",
    "TrainingConfig",
    "TrainingEvent",
    "TrainingFinished",
    "TrainingNotice",
    "build_weighting",
    "read_history",
]
