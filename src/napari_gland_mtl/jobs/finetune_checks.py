"""What has to be right before a model learns from new annotations, checked before any work.

Each complaint says what is needed and what there is. Names, classes and pixel sizes are known
without reading an image; pixels are counted once they have been read, and nothing has been
computed by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..checkpoint import ModelCard
from ..datasets.dataset import Dataset
from ..errors import DatasetError

if TYPE_CHECKING:
    from ..datasets.patches import PatchSource

LEAST_PIXELS = 2500
"""Of the network: about one gland with the stroma around it."""
COARSEST = 1.5
"""How many times coarser than the network's pixels those of an image may be."""
_NAMED = 3


def check_images(dataset: Dataset, card: ModelCard) -> None:
    """See that there are images, and that they show enough detail for a model.

    Raises
    ------
    DatasetError
    """
    if not len(dataset):
        raise DatasetError(
            "Nothing is annotated yet: annotate at least one gland, or tick an area."
        )
    coarse = [record for record in dataset.records if record.mpp > COARSEST * card.mpp]
    if coarse:
        record = coarse[0]
        raise DatasetError(
            f"{listed([record.name for record in coarse])} has {record.mpp:.3g} um per pixel, and "
            f"the model {card.name!r} works at {card.mpp:.3g}: what it looks for cannot be seen "
            f"there. Leave it out, or take images of at most {COARSEST * card.mpp:.3g} um/px."
        )


def check_pixels(source: PatchSource) -> None:
    """See that enough is annotated to learn from.

    Raises
    ------
    DatasetError
    """
    if source.annotated_px < LEAST_PIXELS:
        side = source.mpp * LEAST_PIXELS**0.5
        raise DatasetError(
            f"Too little is annotated: {source.annotated_px} px at the {source.mpp:.3g} um/px of "
            f"the model, and at least {LEAST_PIXELS} px are needed (a square of {side:.0f} um). "
            "Annotate some more glands with what lies around them."
        )


def known_classes(dataset: Dataset) -> list[str]:
    """Classes that at least one image has, as the data set names them."""
    found = {record.class_index for record in dataset.records if record.class_index >= 0}
    return [dataset.classes[index] for index in sorted(found)]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of many.

    Examples
    --------
    >>> listed(["a", "b"])
    "'a' and 'b'"
    >>> listed(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    shown = [repr(name) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
