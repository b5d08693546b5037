"""The numbers at one step or epoch: what the cursor reads.

They are those of the lines: losses as the mean of the last steps where they are drawn so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .curves import MEASURES, ends_of_epochs, loss_values, panel_window, rows, total_values
from .options import FigureOptions
from .reduction import running_mean
from .run_history import RunHistory

LOSS_PANELS = ("losses", "weighted", "log_var", "sigma", "weights", "shares")


@dataclass(frozen=True)
class Reading:
    """The numbers of one run at one place.

    Attributes
    ----------
    x : float
        The step or epoch that was read: the last at or before the place.
    epoch : float
    losses : dict
        Name of a loss -> panel -> value; a panel that it has no value in is left out.
    total : float
    measures : dict
        Title of a measure -> its last value at or before the place.
    measured : float
        The epoch after which these were measured; NaN if there is none.
    """

    x: float
    epoch: float
    losses: dict[str, dict[str, float]] = field(default_factory=dict)
    total: float = float("nan")
    measures: dict[str, float] = field(default_factory=dict)
    measured: float = float("nan")


def read_at(run: RunHistory, x: float, options: FigureOptions) -> Reading | None:
    """The numbers of a run at a step or epoch; None before its first.

    Parameters
    ----------
    run : RunHistory
    x : float
        Past the last step or epoch, that one is read.
    options : FigureOptions
    """
    columns = rows(run, options)
    if options.x not in columns:
        return None
    place = int(np.searchsorted(columns[options.x], x, side="right")) - 1
    if place < 0:
        return None
    # Only as many rows as a mean takes: this is called whenever the mouse moves.
    first = max(0, place + 1 - max(panel_window(run, panel, options) for panel in LOSS_PANELS))
    near = {name: values[first : place + 1] for name, values in columns.items()}
    losses: dict[str, dict[str, float]] = {}
    for name in run.losses:
        for panel in LOSS_PANELS:
            values = loss_values(near, panel, name)
            if values is not None:
                mean = running_mean(values, panel_window(run, panel, options))
                losses.setdefault(name, {})[panel] = float(mean[-1])
    total = running_mean(total_values(near), panel_window(run, "total", options))
    epoch = near["epoch"][-1] if "epoch" in near else np.nan
    measured, measures = _measures(run, x, options)
    return Reading(float(near[options.x][-1]), float(epoch), losses, total[-1], measures, measured)


def _measures(run: RunHistory, x: float, options: FigureOptions) -> tuple[float, dict[str, float]]:
    epochs = run.epochs
    names = [name for name in MEASURES if name in epochs]
    if "epoch" not in epochs or not names:
        return float("nan"), {}
    ends = epochs["epoch"] if options.x == "epoch" else ends_of_epochs(run)[: len(epochs["epoch"])]
    known = np.any([np.isfinite(epochs[name]) for name in names], axis=0)
    found = np.flatnonzero((ends <= x) & known)
    if not len(found):
        return float("nan"), {}
    last = int(found[-1])
    values = {MEASURES[name][1]: float(epochs[name][last]) for name in names}
    return float(epochs["epoch"][last]), values
