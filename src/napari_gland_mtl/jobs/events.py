"""What a running job tells whoever watches it.

Every job is a generator of these frozen, picklable values: a progress bar, a dock widget and a
log file all draw the same events, in whatever thread or process the job runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..segmentation import Segmentation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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
    probabilities : ndarray of float32, (A, Y, X), or None
        Of the valid assignments, 0 where nothing was analysed; only where they were asked for.
    """

    segmentation: Segmentation
    offset: tuple[int, int] = (0, 0)
    probabilities: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class StoreReady(Event):
    """The store that a slide's labels are written to is there and can be shown.

    Attributes
    ----------
    path : Path
        An OME-Zarr that grows until `SlideDone`.
    shape : tuple of int
        Height and width of its labels.
    resumed : bool
        Whether it holds tiles of an earlier run.
    """

    path: Path
    shape: tuple[int, int]
    resumed: bool = False


@dataclass(frozen=True)
class BlockDone(Event):
    """Labels of a part of a slide were written.

    Attributes
    ----------
    window : tuple of int
        (y0, x0, y1, x1) in px of the labels.
    final : bool
        False for the regions as the network gave them, which glands and the repair may still
        change.
    """

    window: tuple[int, int, int, int]
    final: bool


@dataclass(frozen=True)
class TileFailed(Event):
    """A part of a slide could not be read; it stays unannotated and the job goes on.

    Attributes
    ----------
    window : tuple of int
        (y0, x0, y1, x1) in px of the labels.
    reason : str
    """

    window: tuple[int, int, int, int]
    reason: str


@dataclass(frozen=True)
class SlideDone(Event):
    """The last event of the segmentation of a slide.

    Attributes
    ----------
    path : Path
        The OME-Zarr with the labels.
    summary : dict
        What was found, JSON-able: ``statement``, ``glands``, ``class_probabilities`` ...
    complete : bool
        False if tiles are missing because the job was stopped; what was done is labelled, and
        the rest can be done later. Tiles that could not be read (``tiles_failed`` in the
        summary) leave it True, and are tried again when the slide is gone on with.
    """

    path: Path
    summary: dict[str, Any]
    complete: bool = True


@dataclass(frozen=True)
class SlideStarted(Event):
    """One slide of several has its turn; what follows is about it until it is done or failed.

    On a cluster several slides are worked on at once: there, `TileDone` counts the tiles of all
    slides that were begun.

    Attributes
    ----------
    index, total : int
        This one, counted from 1, of how many.
    name : str
    """

    index: int
    total: int
    name: str


@dataclass(frozen=True)
class SlideFailed(Event):
    """One slide of several could not be segmented; the others go on.

    Attributes
    ----------
    path : Path
        The slide.
    reason : str
        Names the slide or not; meant for the user.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class BatchDone(Event):
    """The last event of the segmentation of several slides.

    Attributes
    ----------
    folder : Path
        Holds the results.
    summary_csv : Path
        One row per slide.
    report_html : Path
        A page with a picture of each slide.
    done, failed, skipped : int
        Slides that are complete now, that could not be segmented, and that were complete
        before. The rest was stopped.
    """

    folder: Path
    summary_csv: Path
    report_html: Path
    done: int
    failed: int
    skipped: int


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
class StartMeasured(Event):
    """The start model was measured on the validation images, before anything was learned.

    Attributes
    ----------
    measures : dict of str to float
        As after each epoch: ``object_dice``, ``object_f1`` ... ``score``.
    """

    measures: dict[str, float]


@dataclass(frozen=True)
class PreviewReady(Event):
    """What the model of this epoch makes of the place that is being looked at.

    Attributes
    ----------
    epoch : int
    segmentation : Segmentation
    offset : tuple of int
        (y, x) of its first pixel in the image, in px of the full resolution.
    """

    epoch: int
    segmentation: Segmentation
    offset: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ModelInstalled(Event):
    """A model was put where every list of models finds it.

    Attributes
    ----------
    name : str
        What it is asked for by.
    path : Path
    """

    name: str
    path: Path


@dataclass(frozen=True)
class JobFailed(Event):
    """The last event of a job that raised.

    Attributes
    ----------
    error : BaseException
        What was raised; its message is meant to be shown if it is a ``GlandMTLError``.
    """

    error: BaseException
