"""What plain functions need of jobs: their last event, and data sets named or opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ..errors import InvalidInputError
from .events import Event

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset

Last = TypeVar("Last", bound=Event)


def last_of(events: Iterator[object], kind: type[Last]) -> Last:
    """Run a job to its end; returns its last event.

    Raises
    ------
    InvalidInputError
        If that is of another kind.
    """
    with closing(cast("Generator[object]", events)):  # as all jobs are
        (last,) = deque(events, maxlen=1) or (None,)
    if not isinstance(last, kind):
        raise InvalidInputError("The job ended without a result.")
    return last


def opened_dataset(dataset: str | Path | Dataset, mpp: float | None, split: str | None) -> Dataset:
    """The data set itself, or the one at a path."""
    if not isinstance(dataset, str | Path):
        return dataset
    from ..datasets import open_dataset

    return open_dataset(dataset, mpp=mpp, split=split)
