"""Measures of a network in training, taken as a user would: by segmenting whole images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ..checkpoint import Model, ModelCard
from ..datasets.dataset import Sample
from ..errors import DatasetError
from ..network import GlandNetwork
from ..regions import NOT_ANNOTATED
from ..slides import slide_from_array
from ..training.trainer import SCORE
from .evaluate import prediction_of
from .events import SegmentationDone
from .scoring import Scores
from .segment import segment_image
from .segment_config import SegmentConfig
from .stop import StopToken

SCORED = ("object_dice", "object_f1", "pixel_accuracy", "classification_accuracy")


def validator(
    samples: Iterable[Sample],
    classes: tuple[str, ...],
    card: ModelCard,
    config: SegmentConfig,
    stop: StopToken,
) -> Callable[[GlandNetwork], dict[str, float]]:
    """Make the function that measures a network on validation images.

    Parameters
    ----------
    samples : iterable of Sample
        Read once and kept in memory.
    classes : tuple of str
        Names that the samples' classes point into.
    card : ModelCard
        Tells the network's um/px.
    config : SegmentConfig
    stop : StopToken
        After it the function returns no measures.

    Returns
    -------
    callable
        Takes the network, returns ``object_dice``, ``object_f1`` (means over the images),
        ``pixel_accuracy``, ``classification_accuracy`` where known,
        ``topology_violations_raw``, ``largest_region_share``, and ``score``, the mean of the
        first four, by which the best weights are chosen.

    Raises
    ------
    DatasetError
        If nothing is annotated in any of the images.
    """
    # Where nothing is annotated, nothing can be measured.
    kept = [sample for sample in samples if (sample.regions != NOT_ANNOTATED).any()]
    if not kept:
        raise DatasetError("Nothing is annotated in the images to measure on. Choose others.")

    def measure(network: GlandNetwork) -> dict[str, float]:
        model = Model(network, card, sha256="", path=Path())
        scores = Scores(classes)
        counts = np.zeros(len(network.config.regions) + 1, dtype=np.int64)
        for sample in kept:
            slide = slide_from_array(sample.image, mpp=sample.mpp, name=sample.name)
            for event in segment_image(slide, config, stop, model=model):
                if isinstance(event, SegmentationDone) and event.segmentation.complete:
                    segmentation = event.segmentation
                    scores.add(sample, prediction_of(segmentation))
                    counts += np.bincount(segmentation.regions.ravel(), minlength=len(counts))
            if stop.stopped:
                return {}
        return _summed_up(scores, counts)

    return measure


def _summed_up(
    scores: Scores, counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[str, float]:
    summary = scores.summary()
    values = {
        "object_dice": summary["object_dice"]["mean"],
        "object_f1": summary["object_f1"]["mean"],
        "object_hausdorff_um": summary["object_hausdorff_um"]["mean"],
        "pixel_accuracy": summary["pixel_accuracy"],
        "classification_accuracy": summary["classification_accuracy"],
        "topology_violations_raw": summary["topology_violations_raw"],
        "largest_region_share": counts.max() / max(counts.sum(), 1),
    }
    known = {name: float(value) for name, value in values.items() if value is not None}
    scored = [known[name] for name in SCORED if name in known]
    return known | {SCORE: float(np.mean(scored))}
