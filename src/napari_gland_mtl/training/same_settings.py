"""Whether a training may be gone on with: under the settings it was begun with, and no others."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import CheckpointError

# A resumed run may go on for longer or elsewhere; anything else would be another training.
MAY_CHANGE = frozenset({"epochs", "device", "devices"})


def refuse_other_settings(path: Path, saved: str, asked: str) -> None:
    """Compare the settings of a saved training with those asked for.

    Parameters
    ----------
    path : path
        Of the state, to be named.
    saved, asked : str
        Settings as JSON. One that an earlier version did not know is not compared.

    Raises
    ------
    CheckpointError
        If they differ in more than how long or where to train.
    """
    before, now = json.loads(saved), json.loads(asked)
    changed = [
        f"{name} ({before[name]}, now {now[name]})"
        for name in now
        if name in before and name not in MAY_CHANGE and before[name] != now[name]
    ]
    if changed:
        raise CheckpointError(
            f"{path} cannot be resumed from: it was trained with another "
            f"{', '.join(changed)}. Give the same settings, or start a new run folder."
        )
