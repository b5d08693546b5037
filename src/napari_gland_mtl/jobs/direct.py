"""The jobs as plain functions that run to their end and return the result.

For scripts and notebooks; whoever wants progress or wants to stop takes the generators of
`jobs.segment`, `jobs.evaluate` and `jobs.train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..segmentation import Segmentation
from .direct_training import finetune, train, train_config
from .events import EvaluationDone, SegmentationDone, SlideDone, SlideFailed
from .last_event import last_of, opened_dataset

__all__ = [
    "evaluate",
    "finetune",
    "open_result",
    "segment",
    "segment_slide",
    "segment_slides",
    "train",
    "train_config",
]

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..checkpoint import Model
    from ..datasets.dataset import Dataset
    from ..export.slide_store import SlideStore
    from ..slides import Slide
    from ..slides.areas import Areas


def segment(
    image: Any,
    model: str | Path | Model = "glas",
    mpp: float | None = None,
    region: tuple[int, int, int, int] | None = None,
    **settings: Any,
) -> Segmentation:
    """Segment an image: glands, lumen, epithelium, stroma, class.

    Parameters
    ----------
    image : path, Slide or array
        A file of any kind that :func:`open_slide` reads, an open slide, or an array (Y, X, 3)
        of numpy, dask or zarr.
    model : str, path or Model
        Name of a model, its file or run folder, or a model that is loaded already.
    mpp : float, optional
        Micrometres per pixel, where the file does not say it. An array does not say it.
    region : tuple of int, optional
        ``(y0, x0, y1, x1)`` in px, to segment a part of the image.
    **settings
        Other fields of :class:`~napari_gland_mtl.jobs.segment_config.SegmentConfig`: ``device``,
        ``tile_size``, ``batch_size``, ``flips``, ``quarter_turns``, ``dropout_samples``,
        ``decoding``.

    Returns
    -------
    Segmentation
        Labels of the image (or of the region) in its own pixels, and ``uncertainty``, 0 to 1.

    Raises
    ------
    MissingPixelSizeError
        If neither the file nor `mpp` gives the pixel size.
    UnreadableImageError, InvalidInputError, ModelNotFoundError, CheckpointError
    DeviceNotAvailableError

    Examples
    --------
    >>> import napari_gland_mtl as gm
    >>> result = gm.segment("biopsy.svs", region=(0, 0, 2048, 2048))  # doctest: +SKIP
    >>> result.table["area_um2"].mean()  # doctest: +SKIP
    """
    from .segment import segment_image
    from .segment_config import SegmentConfig

    loaded, name = _named(model)
    config = SegmentConfig(model=name, mpp=mpp, **settings)
    with _opened(image, mpp) as slide:
        done = last_of(segment_image(slide, config, region=region, model=loaded), SegmentationDone)
    return done.segmentation


def segment_slide(
    image: str | Path | Slide,
    output: str | Path,
    model: str | Path | Model = "glas",
    mpp: float | None = None,
    areas: Areas | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> SlideStore:
    """Segment a whole slide into an OME-Zarr on disk; memory does not grow with its size.

    Parameters
    ----------
    image : path or Slide
    output : path
        By convention ``NAME.ome.zarr``.
    model : str, path or Model
        As for :func:`segment`.
    mpp : float, optional
        Micrometres per pixel, where the file does not say it.
    areas : Areas or path, optional
        The parts to segment, or a GeoJSON file with them; all tissue unless given.
    resume : bool
        Go on with what an earlier run has left at `output`.
    overwrite : bool
        Replace what is there.
    **settings
        Other fields of :class:`~napari_gland_mtl.jobs.segment_config.SlideConfig`: ``device``,
        ``flips``, ``quarter_turns``, ``dropout_samples``, ``tissue`` (None to run every tile),
        ``engine``, ``keep_probabilities`` ...

    Returns
    -------
    SlideStore
        The result, open for reading: ``summary``, ``read_table()``, ``labels("glands")`` ...

    Raises
    ------
    MissingPixelSizeError, InvalidInputError, UnreadableImageError, OutputExistsError
    OutputNotWritableError, ModelNotFoundError, CheckpointError, DeviceNotAvailableError

    Examples
    --------
    >>> import napari_gland_mtl as gm
    >>> result = gm.segment_slide("biopsy.svs", "biopsy.ome.zarr")  # doctest: +SKIP
    >>> print(result.summary["statement"])  # doctest: +SKIP
    """
    from . import segment_slide as job
    from .segment_config import SlideConfig

    loaded, name = _named(model)
    config = SlideConfig(model=name, mpp=mpp, **settings)
    with _opened(image, mpp) as slide:
        events = job.segment_slide(
            slide, output, config, None, _areas(areas), resume, overwrite, loaded
        )
        return open_result(last_of(events, SlideDone).path)


def segment_slides(
    images: Sequence[str | Path],
    folder: str | Path,
    model: str | Path | Model = "glas",
    mpp: float | None = None,
    areas: Areas | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: Any = None,
    **settings: Any,
) -> dict[str, dict[str, Any]]:
    """Segment slides one after another, or on a cluster, into one folder.

    Parameters
    ----------
    images : sequence of path
    folder : path
        Receives ``NAME.ome.zarr`` and ``NAME.csv`` for each, ``summary.csv`` and
        ``report.html``.
    model, mpp, areas, resume, overwrite, **settings
        As for :func:`segment_slide`.
    scheduler : str or distributed.Client, optional
        Of a dask cluster.

    Returns
    -------
    dict of str to dict
        Name of each slide -> what was found, as in ``SlideStore.summary``; of one that could
        not be segmented ``{"error": reason}``.

    Raises
    ------
    InvalidInputError, OutputExistsError, OutputNotWritableError, ModelNotFoundError
    CheckpointError, DeviceNotAvailableError, ClusterError, MissingExtraError
    """
    from ..slides.formats import slide_name
    from .segment_batch import segment_batch
    from .segment_config import SlideConfig

    loaded, name = _named(model)
    config = SlideConfig(model=name, mpp=mpp, **settings)
    options: dict[str, Any] = {
        "resume": resume,
        "overwrite": overwrite,
        "areas": _areas(areas),
        "model": loaded,
    }
    if scheduler is None:
        events = segment_batch(images, folder, config, **options)
    else:
        from .cluster import segment_on_cluster

        events = segment_on_cluster(images, folder, scheduler, config, **options)
    found: dict[str, dict[str, Any]] = {slide_name(image): {} for image in images}
    with closing(events):
        for event in events:
            if isinstance(event, SlideDone):
                found[slide_name(event.path)] = event.summary
            elif isinstance(event, SlideFailed):
                found[slide_name(event.path)] = {"error": event.reason}
    return found


def open_result(path: str | Path) -> SlideStore:
    """Open the result of a whole slide, complete or not, for reading.

    Parameters
    ----------
    path : path
        ``NAME.ome.zarr`` as :func:`segment_slide` writes it.

    Raises
    ------
    UnreadableImageError
        If it is none. Results of fields of view are read by :func:`read_segmentation`.
    """
    from ..export.slide_store import SlideStore

    return SlideStore.open(path)


def evaluate(
    dataset: str | Path | Dataset,
    model: str | Path | Model = "glas",
    predictions: str | Path | None = None,
    mpp: float | None = None,
    split: str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure a model, or predictions on disk, against the masks of a data set.

    Parameters
    ----------
    dataset : path or Dataset
        A folder that :func:`open_dataset` reads, or what it returned.
    model : str, path or Model
        As for :func:`segment`. Not used with `predictions`.
    predictions : path, optional
        A folder of ``<stem>.ome.zarr`` as ``gland-mtl segment`` writes them, or of label
        images ``<stem>.tif`` or ``.png``.
    mpp, split : optional
        Passed to :func:`open_dataset`.
    **settings
        Other fields of :class:`~napari_gland_mtl.jobs.segment_config.SegmentConfig`.

    Returns
    -------
    dict
        ``images``, ``classification_accuracy``, ``pixel_accuracy``; ``object_f1``,
        ``object_dice``, ``object_hausdorff_px``, ``object_hausdorff_um``, each ``{"pooled": x,
        "mean": y}``; ``topology_violations_raw``, ``topology_violations``; ``per_image``. None
        stands for what could not be measured. Of a model also ``calibration``: ``pixels`` and
        ``classes``, each with ``count``, ``expected_calibration_error``,
        ``negative_log_likelihood``, ``brier`` and ``bins``, and ``errors_by_uncertainty``.

    Raises
    ------
    DatasetError
        If the data set or the predictions are incomplete or do not fit together.
    """
    from .evaluate import evaluate_model, evaluate_predictions
    from .segment_config import SegmentConfig

    data = opened_dataset(dataset, mpp, split)
    if predictions is not None:
        return last_of(evaluate_predictions(data, predictions), EvaluationDone).measures
    loaded, name = _named(model)
    config = SegmentConfig(model=name, **settings)
    return last_of(evaluate_model(data, config, model=loaded), EvaluationDone).measures


def _named(model: str | Path | Model) -> tuple[Model | None, str]:
    """The model if it is loaded already, and what it is called in the settings."""
    if isinstance(model, str | Path):
        return None, str(model)
    return model, model.card.name


def _areas(areas: Areas | str | Path | None) -> Areas | None:
    if not isinstance(areas, str | Path):
        return areas
    from ..slides.geojson import read_areas

    return read_areas(areas)


def _opened(image: Any, mpp: float | None) -> AbstractContextManager[Slide]:
    """The image as a slide; one that was opened here is closed in the end."""
    from ..slides import Slide, open_slide, slide_from_array

    if isinstance(image, Slide):
        return nullcontext(image)
    return (
        open_slide(image, mpp=mpp)
        if isinstance(image, str | Path)
        else slide_from_array(image, mpp=mpp)
    )
