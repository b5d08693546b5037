"""The card of a model about to be trained: where it comes from, what it may be used for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..checkpoint import Model, ModelCard
from ..datasets.dataset import Dataset
from ..network import GlandNetwork
from .run_folder import source_commit

if TYPE_CHECKING:
    from .train_plan import TrainPlan


def first_card(
    plan: TrainPlan,
    network: GlandNetwork,
    start: Model | None,
    parts: tuple[Dataset, Dataset],
    annotations: dict[str, str],
) -> ModelCard:
    """Everything that is known of a model before it has learned anything.

    Parameters
    ----------
    plan : TrainPlan
    network : GlandNetwork
    start : Model or None
        Its parent.
    parts : tuple of Dataset
        What is learned from, and what is measured on.
    annotations : dict of str to str
        Fingerprints to be noted down.
    """
    from .. import __version__

    config, dataset = plan.config, plan.dataset
    # What the data or the parent forbid, their child is forbidden too.
    inherited = dict.fromkeys(
        (
            dataset.licence,
            plan.replay.licence if plan.replay else "",
            start.card.licence if start else "",
        )
    )
    split = (
        f"{len(parts[0])} training and {len(parts[1])} validation images, divided by "
        f"{config.split_by}, seed {config.split_seed}"
    )
    return ModelCard(
        name=config.name or plan.folder.resolve().name,
        description=config.description,
        mpp=config.training.mpp,
        network=network.config.model_dump(mode="json"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        package_version=__version__,
        commit=source_commit(),
        licence=config.licence or " ".join(text for text in inherited if text),
        data=config.data or dataset.description,
        split=_kept_apart(parts) if plan.finetuning else split,
        training=config.training.model_dump(mode="json"),
        annotations=annotations,
        parents=(start.sha256, *start.card.parents) if start else (),
        # As sure of itself as its parent, unless somebody measures it anew.
        class_temperature=start.card.class_temperature if start else 1.0,
    )


def _kept_apart(parts: tuple[Dataset, Dataset]) -> str:
    """What a fine-tuning was measured on."""
    training, validation = parts
    if not len(validation):
        return f"{len(training)} to learn from, none kept apart"
    return f"{len(training)} to learn from; measured on {', '.join(validation.names)}"
