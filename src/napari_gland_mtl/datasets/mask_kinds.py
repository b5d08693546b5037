"""Tell binary, instance and region masks apart, by looking at all masks of a data set.

One mask with the values 0 .. 3 may be three glands or stroma, epithelium and lumen. Over the
whole set it is clear as a rule: more values than regions means instances, and otherwise the
neighbourhoods tell. Glands lie apart in a background of 0; of regions, one lies inside the
other, hardly any touches a 0, and only some may touch at all. What stays unclear is asked for
instead of guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from ..regions import GLAND_REGIONS, RegionHierarchy
from .masks import is_blurred_binary

MaskKind = Literal["binary", "instances", "regions"]
MaskOption = Literal["auto", "binary", "instances", "regions"]
MASK_OPTIONS: tuple[str, ...] = get_args(MaskOption)

# Contacts of masks are counted in pixels; drawings are seldom perfect.
_MOST = 0.8
_FEW = 0.25
# Black of a JPEG is not quite 0.
_FAINT = 16


@dataclass(frozen=True)
class MaskSummary:
    """What one mask says about its kind.

    Attributes
    ----------
    path : Path
    top : int
        Its largest value.
    values : int
        How many values other than 0.
    has_zero : bool
    blurred : bool
        A black and white picture with grey edges.
    contacts : ndarray of int64, (L + 1, L + 1), or None
        Pairs of 4-neighbours with two different values, symmetric; None where a value is no
        region code.
    """

    path: Path
    top: int
    values: int
    has_zero: bool
    blurred: bool
    contacts: npt.NDArray[np.int64] | None

    @property
    def is_binary(self) -> bool:
        """Whether it holds one value besides 0 at most, or is a blurred picture of that."""
        return self.values <= 1 or self.blurred


@dataclass(frozen=True)
class FoundMasks:
    """The kind of all masks of a data set.

    Attributes
    ----------
    kind : {"binary", "instances", "regions"}
    level : int or None
        Of binary masks: what is above is gland.
    text : str
        For the user.
    """

    kind: MaskKind
    level: int | None
    text: str


def summarise(
    path: Path, mask: npt.NDArray[np.int32], hierarchy: RegionHierarchy = GLAND_REGIONS
) -> MaskSummary:
    """Look at one mask."""
    values = np.unique(mask)
    top = int(values[-1]) if values.size else 0
    return MaskSummary(
        path=path,
        top=top,
        values=int(np.count_nonzero(values)),
        has_zero=bool((values == 0).any()),
        blurred=is_blurred_binary(mask),
        contacts=count_contacts(mask, len(hierarchy)) if top <= len(hierarchy) else None,
    )


def count_contacts(mask: npt.NDArray[np.int32], top: int) -> npt.NDArray[np.int64]:
    """Pairs of 4-neighbours by their two values 0 .. `top`, symmetric, the diagonal 0."""
    side = top + 1
    counts = np.zeros(side * side, dtype=np.int64)
    for first, second in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
        differ = first != second
        pairs = first[differ].astype(np.int64) * side + second[differ]
        counts += np.bincount(pairs, minlength=side * side)
    table = counts.reshape(side, side)
    symmetric: npt.NDArray[np.int64] = table + table.T
    return symmetric


def tell_masks_apart(
    summaries: Sequence[MaskSummary],
    wanted: MaskOption = "auto",
    hierarchy: RegionHierarchy = GLAND_REGIONS,
) -> FoundMasks:
    """Decide what all masks of a data set are.

    Parameters
    ----------
    summaries : sequence of MaskSummary
        Of all masks.
    wanted : {"auto", "binary", "instances", "regions"}
        "auto" decides; the others are taken as said.
    hierarchy : RegionHierarchy
        That of region masks.

    Raises
    ------
    DatasetError
        If `wanted` is none of these, the masks mark nothing, they may be instances as well as
        regions, or they are said to be regions and hold other values.
    """
    if wanted not in MASK_OPTIONS:
        raise DatasetError(f"Masks are one of {', '.join(MASK_OPTIONS)}, not {wanted!r}.")
    kind = _decide(summaries, hierarchy) if wanted == "auto" else wanted
    if kind == "regions":
        return _regions(summaries, hierarchy)
    if kind == "instances":
        return _instances(summaries)
    blurred = [summary.top for summary in summaries if summary.blurred]
    level = max(blurred) // 2 if blurred else 0
    above = f" above {level}" if blurred else ""
    return FoundMasks("binary", level, f"binary masks, each 8-connected piece{above} a gland")


def _decide(summaries: Sequence[MaskSummary], hierarchy: RegionHierarchy) -> MaskKind:
    if all(summary.top == 0 for summary in summaries):
        raise DatasetError(
            f"None of the {len(summaries)} masks in {summaries[0].path.parent} marks anything. "
            "If they are images without glands on purpose, say that the masks are binary."
        )
    if _are_binary(summaries):
        return "binary"
    if any(summary.contacts is None for summary in summaries):
        return "instances"
    kind = _by_contacts(summaries, hierarchy)
    if kind is None:
        codes = ", ".join(f"{code} {name}" for code, name in enumerate(hierarchy.names, 1))
        raise DatasetError(
            f"The masks in {summaries[0].path.parent} hold values up to "
            f"{max(summary.top for summary in summaries)}: they may be gland instances or "
            f"regions ({codes}, 0 not annotated). Say which: masks 'instances' or 'regions'."
        )
    return kind


def _are_binary(summaries: Sequence[MaskSummary]) -> bool:
    """All are, leaving aside the faint noise of an empty mask among grey pictures."""
    others = [summary for summary in summaries if not summary.is_binary]
    if any(summary.blurred for summary in summaries):
        others = [summary for summary in others if summary.top > _FAINT]
    # One value each, but not one value in all: pure tiles of several regions.
    pure = {summary.top for summary in summaries if not summary.has_zero}
    return not others and not (len(pure) > 1 and all(not s.has_zero for s in summaries))


def _by_contacts(summaries: Sequence[MaskSummary], hierarchy: RegionHierarchy) -> MaskKind | None:
    """Instances, regions, or None where it cannot be told."""
    if not any(summary.has_zero for summary in summaries):
        return "regions"
    side = len(hierarchy) + 1
    contacts = np.zeros((side, side), dtype=np.int64)
    for summary in summaries:
        if summary.contacts is not None:
            contacts += summary.contacts
    whole = contacts.sum() / 2
    to_zero = contacts[0].sum()
    if not whole or whole - to_zero < _FEW * whole:
        return "instances"
    likely = _may_touch(hierarchy)
    plausible = contacts[1:, 1:][likely].sum() / 2
    if plausible < _MOST * (whole - to_zero):
        return None
    if to_zero < _FEW * whole or _is_nested(contacts, hierarchy):
        return "regions"
    return None


def _may_touch(hierarchy: RegionHierarchy) -> npt.NDArray[np.bool_]:
    """Which regions may lie side by side, (L, L): parent and child, and those of one parent."""
    parents = [region.parent for region in hierarchy.regions]
    names = np.array(hierarchy.names, dtype=object)
    of = np.array(parents, dtype=object)
    same = of[:, None] == of[None, :]
    child = of[:, None] == names[None, :]
    table: npt.NDArray[np.bool_] = (same | child | child.T) & ~np.eye(len(names), dtype=bool)
    return table


def _is_nested(contacts: npt.NDArray[np.int64], hierarchy: RegionHierarchy) -> bool:
    """Whether every contained region is there and borders on its parent nearly everywhere."""
    inner = [region for region in hierarchy.regions if region.parent is not None]
    for region in inner:
        row = contacts[hierarchy.code(region.name)]
        own = {hierarchy.code(other.name) for other in inner if other.parent == region.name}
        outward = [count for code, count in enumerate(row) if code not in own]
        if not sum(outward) or row[hierarchy.code(str(region.parent))] < _MOST * sum(outward):
            return False
    return bool(inner)


def _regions(summaries: Sequence[MaskSummary], hierarchy: RegionHierarchy) -> FoundMasks:
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(hierarchy.names, 1))
    for summary in summaries:
        if summary.contacts is None:
            raise DatasetError(
                f"{summary.path} holds the value {summary.top}; a region mask holds 0 (not "
                f"annotated), {codes}."
            )
    unseen = [
        region.name
        for code, region in enumerate(hierarchy.regions, 1)
        if not any(_holds(summary, code) for summary in summaries)
    ]
    note = f"; none of them marks {' or '.join(unseen)}" if unseen else ""
    return FoundMasks("regions", None, f"region masks ({codes}){note}")


def _holds(summary: MaskSummary, code: int) -> bool:
    if summary.values <= 1:
        return summary.top == code
    return summary.contacts is not None and bool(summary.contacts[code].any())


def _instances(summaries: Sequence[MaskSummary]) -> FoundMasks:
    count = sum(summary.is_binary and summary.top > 0 for summary in summaries)
    note = f", {count} with one value split into 8-connected pieces" if count else ""
    return FoundMasks("instances", None, f"instance masks{note}")
