"""What a running job tells whoever watches it.

Every job is a generator of these frozen, picklable values: a progress bar, a dock widget and a
log file all draw the same events, in whatever thread or process the job runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..segmentation import Segmentation


@dataclass(frozen=True)
class Event:
    """Base of everything that a job yields."""


@dataclass(frozen=True)
class Started(Event):
    """The job knows how much there is to do.

    Attributes
    ----------
    total : int
        Number of steps (tiles, images).
    """

    total: int


@dataclass(frozen=True)
class TileDone(Event):
    """One more tile has its result.

    Attributes
    ----------
    done, total : int
        Tiles finished so far, of how many.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Stage(Event):
    """A part of the work begins whose length is not known.

    Attributes
    ----------
    text : str
        What is being done, for a status line: ``"Separating glands"``.
    """

    text: str


@dataclass(frozen=True)
class Notice(Event):
    """Something the user should know; the job goes on.

    Attributes
    ----------
    text : str
        One or two sentences.
    """

    text: str


@dataclass(frozen=True)
class SegmentationDone(Event):
    """The last event of a segmentation.

    Attributes
    ----------
    segmentation : Segmentation
        With ``complete=False`` if the job was stopped before its last tile.
    offset : tuple of int
        (y, x) of the first pixel of the result in the image, in px of the full resolution.
    """

    segmentation: Segmentation
    offset: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ImageEvaluated(Event):
    """One image of a data set was compared with its truth.

    Attributes
    ----------
    name : str
        The image.
    done, total : int
        Images finished so far, of how many.
    measures : dict of str to float
        The image's own values, by the names of the columns in the report.
    """

    name: str
    done: int
    total: int
    measures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationDone(Event):
    """The last event of an evaluation.

    Attributes
    ----------
    measures : dict
        Measures over all images evaluated; JSON-able.
    complete : bool
        False if the job was stopped before the last image.
    """

    measures: dict[str, Any]
    complete: bool = True


@dataclass(frozen=True)
class JobFailed(Event):
    """The last event of a job that raised.

    Attributes
    ----------
    error : BaseException
        What was raised; its message is meant to be shown if it is a ``GlandMTLError``.
    """

    error: BaseException
