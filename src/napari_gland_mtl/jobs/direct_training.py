"""Training and fine-tuning as plain functions; see `direct`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInputError
from .last_event import last_of, opened_dataset

if TYPE_CHECKING:
    from ..checkpoint import Model
    from ..datasets.dataset import Dataset
    from .train import TrainConfig


def train(
    dataset: str | Path | Dataset,
    folder: str | Path,
    mpp: float | None = None,
    split: str | None = None,
    resume: bool = False,
    **settings: Any,
) -> Model:
    """Train or fine-tune a model.

    Parameters
    ----------
    dataset : path or Dataset
        A folder that :func:`open_dataset` reads, or what it returned.
    folder : path
        The run folder: weights, settings, histories, and the state to resume from.
    mpp, split : optional
        Passed to :func:`open_dataset`.
    resume : bool
        Go on with the training in `folder`; takes no settings but ``device`` and ``devices``.
    **settings
        Fields of :class:`~napari_gland_mtl.jobs.train.TrainConfig` (``start``, ``validation``,
        ``split_by`` ...) and of :class:`TrainingConfig` (``epochs``, ``losses``, ``weighting``,
        ``learning_rate`` ...).

    Returns
    -------
    Model
        The best weights.

    Raises
    ------
    DatasetError, OutputExistsError, OutputNotWritableError, NonFiniteLossError
    DeviceNotAvailableError, MissingExtraError, ProcessLostError

    Examples
    --------
    >>> import napari_gland_mtl as gm
    >>> gm.train("data", "runs/two-gpus", epochs=50, devices=2)  # doctest: +SKIP
    """
    from ..checkpoint import load_model
    from .train import MACHINE, resumed_config, train_model

    if resume and settings.keys() <= MACHINE:
        config = resumed_config(folder, **settings)
    else:
        config = train_config(**settings)
    deque(train_model(opened_dataset(dataset, mpp, split), folder, config, resume=resume), maxlen=0)
    return load_model(folder)


def finetune(
    data: str | Path | Dataset | Sequence[str | Path],
    name: str | None = None,
    start: str | Path = "default",
    folder: str | Path | None = None,
    validation_data: Dataset | None = None,
    resume: bool = False,
    **settings: Any,
) -> Model:
    """Fine-tune a model on annotated areas or images; the new one is then found by its name.

    Parameters
    ----------
    data : path, sequence of path, or Dataset
        Annotation projects of napari (``NAME.annotations.zarr``), folders of them or of images
        and masks, or what :func:`open_dataset` returned.
    name : str, optional
        Of the new model; one is made up unless given.
    start : str or path
        Model to start from: its name, file or run folder.
    folder : path, optional
        The run folder; a new one in the folder of all runs unless given.
    validation_data : Dataset, optional
        What to measure on; a part of `data` is kept apart unless given.
    resume : bool
        Go on with the training in `folder`; takes no settings but ``device``.
    **settings
        Other fields of :class:`~napari_gland_mtl.jobs.finetune_config.FinetuneConfig`:
        ``epochs``, ``learning_rate``, ``keep`` (guards against forgetting), ``losses``,
        ``validation`` ...

    Returns
    -------
    Model
        As installed, with the measures of before and after on its card.

    Raises
    ------
    DatasetError, InvalidInputError, ModelNotFoundError, OutputExistsError
        Before anything is computed.
    NonFiniteLossError, OutputNotWritableError
        What was learned until then is kept in the run folder.

    Examples
    --------
    >>> import napari_gland_mtl as gm
    >>> model = gm.finetune("biopsy.annotations.zarr", "ours", epochs=10)  # doctest: +SKIP
    >>> gm.segment("biopsy.svs", model="ours")  # doctest: +SKIP
    """
    from ..checkpoint import load_model
    from ..datasets.dataset import Dataset
    from .events import ModelInstalled
    from .finetune import finetune_model, finetune_settings, new_model_name
    from .finetune_config import FinetuneConfig
    from .finetune_data import open_named
    from .runs import new_run_folder

    dataset = data if isinstance(data, Dataset) else None
    places: dict[str, Any] = {}
    if not isinstance(data, Dataset):
        paths = [data] if isinstance(data, str | Path) else data
        places["training_data"] = tuple(str(Path(path).absolute()) for path in paths)
    if resume:
        if folder is None:
            raise InvalidInputError("Name the run folder to go on with.")
        config = finetune_settings(folder).model_copy(update={**settings, **places})
    else:
        config = FinetuneConfig(name=name, start=str(start), **settings, **places)
        folder = folder or new_run_folder(new_model_name(config))
    if dataset is None:
        dataset, apart = open_named(config)
        validation_data = validation_data or apart
    events = finetune_model(dataset, folder, config, None, validation_data, resume)
    return load_model(last_of(events, ModelInstalled).path)


def train_config(**settings: Any) -> TrainConfig:
    """A :class:`~napari_gland_mtl.jobs.train.TrainConfig` from its fields and its training's.

    ``start="default"`` is the default model.
    """
    from ..checkpoint import DEFAULT_MODEL
    from .train import TrainConfig

    own = {name: settings.pop(name) for name in TrainConfig.model_fields if name in settings}
    if own.get("start") == "default":
        own["start"] = DEFAULT_MODEL
    return TrainConfig(**{"training": settings, **own})
