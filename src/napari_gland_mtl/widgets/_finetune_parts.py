"""Which of the ticked areas teach and which ones test, before anything of them is read.

The rules are those of the job (`jobs.finetune_parts`), so that the dock shows what the command line
does with the same areas.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ..annotations.area import Part
    from ..datasets.dataset import Dataset


@dataclass(frozen=True)
class Candidate:
    """An area that takes part.

    Attributes
    ----------
    key : hashable
    group : str
        Its patient or slide.
    part : {"auto", "training", "validation"}
        What the user has set.
    class_name : str
        Empty where unknown.
    """

    key: Hashable
    group: str
    part: Part
    class_name: str = ""


def planned_parts(areas: Sequence[Candidate]) -> dict[Hashable, Part]:
    """``training`` or ``validation`` for each area, by the areas' keys.

    What is set stays. Where an area is set to validation, all that are automatic teach; else some
    of them validate as `jobs.finetune_parts.divided` says.
    """
    plan: dict[Hashable, Part] = {
        area.key: "validation" if area.part == "validation" else "training" for area in areas
    }
    if areas and "validation" not in plan.values():
        from ..jobs.finetune_config import FinetuneConfig
        from ..jobs.finetune_parts import divided

        _, validation, _ = divided(_dataset(areas), FinetuneConfig())
        for name in validation.names:
            plan[areas[int(name)].key] = "validation"
    return plan


def _dataset(areas: Sequence[Candidate]) -> Dataset:
    """The areas as what the job divides: names, classes and slides, without pixels."""
    from ..datasets import UNKNOWN_CLASS, Dataset, Record

    classes = tuple(sorted({area.class_name for area in areas if area.class_name}))
    records = tuple(
        Record(
            name=str(number),
            class_index=classes.index(area.class_name) if area.class_name else UNKNOWN_CLASS,
            patient=area.group,
            mpp=1.0,
            read=_unread,
            part=area.part,
        )
        for number, area in enumerate(areas)
    )
    return Dataset(records, classes)


def _unread() -> NoReturn:
    raise NotImplementedError("Dividing areas needs no pixels.")
