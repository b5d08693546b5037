"""A training as it goes: what its events add up to, and the words for it.

The dock passes on each event; nothing here knows a widget.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..jobs.events import Event, ModelInstalled, Notice, StartMeasured
from ..jobs.runner import JobState, JobStatus
from ._result_text import duration_text


@dataclass
class TrainingSeen:
    """What was heard of a training so far.

    Attributes
    ----------
    name : str
        Of the new model.
    folder : Path
        The run folder.
    epoch, epochs, step, steps : int
        How far it is; 0 while that is not known.
    losses : dict of str to float
        Of the last step.
    start, measures, best : dict of str to float
        Validation measures of the start model, after the last epoch, and of the best one.
    best_epoch : int
    notices : list of str
        What the user should know.
    installed : str
        Name of the model that came of it; empty while there is none.
    """

    name: str
    folder: Path
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    notices: list[str] = field(default_factory=list)
    installed: str = ""

    def take(self, event: Any) -> None:
        """Add what an event says."""
        if isinstance(event, StartMeasured):
            self.start = dict(event.measures)
        elif isinstance(event, Notice):
            self.notice(event.text)
        elif isinstance(event, ModelInstalled):
            self.installed = event.name
        elif not isinstance(event, Event):
            self._take_training(event)

    def notice(self, text: str) -> None:
        """Remember something to know, once."""
        if text not in self.notices:
            self.notices.append(text)

    def _take_training(self, event: Any) -> None:
        # Loaded with the event; importing it earlier would make the window wait for torch.
        from ..training.progress import (
            EpochFinished,
            StepFinished,
            TrainingFinished,
            TrainingNotice,
        )

        if isinstance(event, StepFinished):
            self.epoch, self.step, self.steps = event.epoch, event.step, event.total_steps
            self.losses = event.losses
        elif isinstance(event, EpochFinished):
            self._take_epoch(event)
        elif isinstance(event, TrainingNotice):
            self.notice(event.text)
        elif isinstance(event, TrainingFinished):
            self.best_epoch, self.best = event.best_epoch, dict(event.measures)

    def _take_epoch(self, event: Any) -> None:
        self.epoch, self.epochs = event.epoch, event.epochs
        if event.measures:
            self.measures = dict(event.measures)
        if event.best:
            self.best_epoch = event.epoch
            self.best = dict(event.measures)


def closing_words(seen: TrainingSeen, status: JobStatus) -> str:
    """One sentence for the line below the buttons."""
    took = duration_text(status.elapsed)
    if status.state is JobState.FAILED:
        return ""
    if not seen.installed:
        return "Stopped before the first epoch was done: no model was made."
    if status.state is JobState.STOPPED:
        return f"Stopped after {took}. The best model so far was kept (epoch {seen.best_epoch})."
    kept = f" The best epoch, {seen.best_epoch}, was kept." if seen.best_epoch else ""
    return f"Done after {took}.{kept}"
