"""The job behind “Start” and “Resume”: open the annotations, learn, say what was reached.

What can fail or take long happens in the thread: reading areas, loading the model, checking the
settings. Everything is checked before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..jobs.events import Event, Stage
from ..jobs.runner import Job
from ..jobs.stop import StopToken
from ..jobs.torch_libraries import load_torch_libraries
from ._finetune_table import Key
from ._segment_job import spare_the_window

if TYPE_CHECKING:
    from ..jobs.preview import Preview


@dataclass(frozen=True)
class FinetuneRequest:
    """What “Start” asks for.

    Attributes
    ----------
    folder : Path
        The run folder.
    training, validation : tuple of (Path, str)
        Project and key of the areas on either side.
    settings : dict
        Arguments of `FinetuneConfig`, checked in the thread.
    """

    folder: Path
    training: tuple[Key, ...]
    validation: tuple[Key, ...]
    settings: dict[str, Any] = field(default_factory=dict)


def finetune_job(request: FinetuneRequest, preview: Preview | None) -> Job:
    """A job that fine-tunes a model on annotated areas."""

    def job(stop: StopToken) -> Iterator[Event | Any]:
        yield Stage("Loading the network")
        load_torch_libraries()
        from ..jobs.finetune import finetune_model
        from ..jobs.finetune_config import FinetuneConfig

        spare_the_window()
        config = FinetuneConfig(
            **request.settings,
            validation="auto" if request.validation else "none",
            training_data=references(request.training),
            validation_data=references(request.validation),
        )
        yield from finetune_model(None, request.folder, config, stop, preview=preview)

    return job


def resume_job(folder: Path, preview: Preview | None) -> Job:
    """A job that goes on with a training that was stopped or cut off."""

    def job(stop: StopToken) -> Iterator[Event | Any]:
        yield Stage("Loading the network")
        load_torch_libraries()
        from ..jobs.finetune import finetune_model

        spare_the_window()
        yield from finetune_model(None, folder, None, stop, resume=True, preview=preview)

    return job


def references(keys: Sequence[Key]) -> tuple[str, ...]:
    """Areas as the configuration names them."""
    return tuple(f"{project}::{key}" for project, key in keys)
