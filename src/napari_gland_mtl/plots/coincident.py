"""Lines that lie on one another, drawn in turns, so that each is seen.

Where all losses have the same weight, four lines are one, and the last would hide the others. Each
is drawn in every fourth piece instead: together they make the line that each would be alone, with
the dashes of its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reduction import Floats

PIECE = 5.0
"""Length of a piece of a line without dashes, in widths of the line."""


@dataclass(frozen=True)
class Turn:
    """Which of the lines that lie on one another a line is, and how many they are."""

    place: int = 0
    count: int = 1


ALONE = Turn()


def turns(lines: Sequence[tuple[Floats, Floats]]) -> list[Turn]:
    """Each line's turn; the only one where no other has the same points.

    Parameters
    ----------
    lines : sequence of (x, y)

    Examples
    --------
    >>> x, y = np.arange(3.0), np.ones(3)
    >>> turns([(x, y), (x, 2 * y), (x, y)])
    [Turn(place=0, count=2), Turn(place=0, count=1), Turn(place=1, count=2)]
    """
    groups: list[list[int]] = []
    for number, line in enumerate(lines):
        group = next((group for group in groups if _same(lines[group[0]], line)), None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    found = {
        number: Turn(place, len(group)) for group in groups for place, number in enumerate(group)
    }
    return [found[number] for number in range(len(lines))]


def style_in_turn(style: Any, turn: Turn) -> Any:
    """A line's style, as matplotlib takes it, with the pieces of the others left out.

    Parameters
    ----------
    style : str or (offset, dashes)
        ``"-"``, or dashes that begin with their offset 0.
    turn : Turn

    Examples
    --------
    >>> style_in_turn("-", Turn(1, 2))
    (5.0, (5.0, 5.0))
    >>> style_in_turn((0, (4, 2)), Turn(1, 2))
    (6.0, (4, 8.0))
    """
    if turn.count == 1:
        return style
    dashes = (PIECE, 0.0) if style == "-" else style[1]
    period = float(sum(dashes))
    others = (turn.count - 1) * period
    # An offset is where in its dashes a line begins: those of the others come first.
    offset = (turn.count - turn.place) % turn.count * period
    return offset, (*dashes[:-1], dashes[-1] + others)


def markers_in_turn(points: int, turn: Turn, size: float) -> dict[str, Any]:
    """Which points a line marks and how large; a single point has the marks around each other."""
    if turn.count == 1:
        return {"markersize": size}
    if points < turn.count:
        return {"markersize": size * (turn.count - turn.place)}
    return {"markersize": size, "markevery": (turn.place, turn.count)}


def _same(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
