"""Compare a model, or predictions already on disk, with the truth of a data set.

Image by image, so that the memory of one image is enough and the run can be watched and
stopped; the sums over images are made at the end. What is measured and what an image without
glands counts for stands in `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..checkpoint import Model, load_model
from ..datasets.dataset import Dataset, Sample
from ..datasets.masks import instances_of, read_mask
from ..errors import DatasetError
from ..segmentation import Segmentation
from ..slides import slide_from_array
from .calibration import Calibration
from .events import EvaluationDone, Event, ImageEvaluated, Notice, SegmentationDone, Stage, Started
from .scoring import Prediction, Scores
from .segment import segment_image
from .segment_config import SegmentConfig
from .stop import StopToken

LABEL_IMAGE_ENDINGS = (".tif", ".tiff", ".png")


def evaluate_model(
    dataset: Dataset,
    config: SegmentConfig | None = None,
    stop: StopToken | None = None,
    model: Model | None = None,
) -> Iterator[Event]:
    """Segment every image of a data set and compare it with the truth.

    Parameters
    ----------
    dataset : Dataset
    config : SegmentConfig, optional
        Its ``mpp`` is not used: every sample brings its own.
    stop : StopToken, optional
        After it, the images finished so far are summed up and ``complete`` is False.
    model : Model, optional
        Used instead of loading ``config.model``.

    Yields
    ------
    Event
        `Started`, `ImageEvaluated` for every image, and `EvaluationDone` at the end.

    Raises
    ------
    DatasetError
        If the data set is empty, or a label image has another size than its image.
    ModelNotFoundError, CheckpointError, DeviceNotAvailableError
    """
    config = (config or SegmentConfig()).model_copy(update={"mpp": None})
    stop = stop or StopToken()
    if model is None:
        yield Stage("Loading the model")
        model = load_model(config.model)

    calibration = Calibration(dataset.classes)

    def predict(sample: Sample) -> Prediction | None:
        slide = slide_from_array(sample.image, mpp=sample.mpp, name=sample.name)
        for event in segment_image(slide, config, stop, model=model, keep_probabilities=True):
            if isinstance(event, SegmentationDone) and event.segmentation.complete:
                if event.probabilities is not None:
                    calibration.add(sample, event.segmentation, event.probabilities)
                return prediction_of(event.segmentation)
        return None

    origin = {"model": model.card.name, "model_sha256": model.sha256}
    for event in _evaluate(dataset, predict, stop, origin):
        if isinstance(event, EvaluationDone):
            measures = {**event.measures, "calibration": calibration.summary()}
            event = EvaluationDone(measures, event.complete)
        yield event


def evaluate_predictions(
    dataset: Dataset, folder: Path | str, stop: StopToken | None = None
) -> Iterator[Event]:
    """Compare predictions on disk with the truth of a data set.

    Parameters
    ----------
    dataset : Dataset
    folder : path
        Holds, for every image, ``<name>.ome.zarr`` as the command ``segment`` writes it, or a
        label image ``<name>.tif`` or ``.png`` of gland instances. A label image with a single
        value is split into its 8-connected components. Label images say nothing of regions
        and classes, so those measures are None.
    stop : StopToken, optional

    Yields
    ------
    Event
        As :func:`evaluate_model`.

    Raises
    ------
    DatasetError
        If an image has no prediction, or one of another size.
    """
    paths = {name: _prediction_path(Path(folder), name) for name in dataset.names}

    def predict(sample: Sample) -> Prediction:
        path = paths[sample.name]
        if path.suffix == ".zarr":
            from ..export.ome_zarr import read_segmentation

            return prediction_of(read_segmentation(path))
        return Prediction(glands=instances_of(read_mask(path)))

    yield from _evaluate(dataset, predict, stop or StopToken(), {"predictions": str(folder)})


def _prediction_path(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of predictions.")
    for ending in (".ome.zarr", *LABEL_IMAGE_ENDINGS):
        path = folder / f"{name}{ending}"
        if path.exists():
            return path
    endings = ", ".join(f"{name}{ending}" for ending in (".ome.zarr", *LABEL_IMAGE_ENDINGS))
    raise DatasetError(f"{folder} has no prediction for {name!r}; expected one of {endings}.")


def prediction_of(segmentation: Segmentation) -> Prediction:
    """What is compared with the truth, from a finished segmentation."""
    return Prediction(
        glands=segmentation.glands,
        regions=segmentation.regions,
        class_probabilities=segmentation.class_probabilities,
        violations_raw=segmentation.violations_raw.total,
        hierarchy=segmentation.hierarchy,
    )


def _evaluate(
    dataset: Dataset,
    predict: Callable[[Sample], Prediction | None],
    stop: StopToken,
    origin: dict[str, Any],
) -> Iterator[Event]:
    """Predict, compare and sum up; a prediction of None means that it was stopped."""
    if not len(dataset):
        raise DatasetError("The data set holds no image to evaluate.")
    scores = Scores(dataset.classes)
    yield Started(total=len(dataset))
    complete = True
    for done, sample in enumerate(dataset, 1):
        prediction = None if stop.stopped else predict(sample)
        if prediction is None:
            complete = False
            break
        if scores.names_differ(prediction):
            yield Notice(
                f"The classes of the data set ({', '.join(dataset.classes)}) are not those of the "
                f"prediction; the class of {sample.name} is not measured."
            )
        yield ImageEvaluated(sample.name, done, len(dataset), scores.add(sample, prediction))
    yield EvaluationDone({**scores.summary(), **origin}, complete)
