"""What saves areas as they are at one moment: in a thread after a pause, or all at once at the end.

The end may be while the window is being destroyed, when no Qt object can be asked any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import GlandMTLError
from ._annotation_area import OpenArea
from ._annotation_queue import WriteQueue
from ._annotation_store import Snapshot, Written

logger = logging.getLogger(__name__)

ENDING_S = 10.0
"""The longest wait when nobody can be asked any more."""

Outcome = tuple[OpenArea, Written | BaseException]


def saving(areas: Sequence[OpenArea]) -> Callable[[], list[Outcome]]:
    """What saves these areas as they are now, to be called in a thread."""
    snapshots = [(area, _snapshot(area)) for area in areas]
    for area in areas:
        area.state.begun()
    return lambda: [(area, _write(area, snapshot)) for area, snapshot in snapshots]


def save_all(areas: Sequence[OpenArea]) -> list[Outcome]:
    """Save what is not known to be on disk, and return when that is done."""
    # A save may be under way whose end nobody has heard of: the store waits for it, and writes
    # again if it failed.
    return saving([area for area in areas if area.state.unsaved])()


def save_at_the_end(
    areas: Sequence[OpenArea], closing: Sequence[OpenArea], queue: WriteQueue, *_: Any
) -> None:
    """Save everything; what cannot be saved is logged, as nobody is there to be asked."""
    for area, outcome in save_all([*closing, *areas]):
        if isinstance(outcome, BaseException):
            logger.error("“%s” could not be saved: %s", area.info.name, outcome)
    try:
        queue.finish(ENDING_S)
    except GlandMTLError as error:
        logger.error("%s", error)


def _snapshot(area: OpenArea) -> Snapshot | BaseException:
    try:
        return area.snapshot()
    except (ValueError, MemoryError) as error:
        return error


def _write(area: OpenArea, snapshot: Snapshot | BaseException) -> Written | BaseException:
    if isinstance(snapshot, BaseException):
        return snapshot
    try:
        return area.store.write(snapshot)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user must hear of it
        return error
