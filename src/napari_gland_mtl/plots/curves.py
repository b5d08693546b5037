"""The lines of each panel, as numbers: what is drawn is what the cursor reads and what is saved.

From a run's columns: losses, weighted losses (weight times loss), log sigma^2, sigma, weights,
their shares, measures. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .losses import loss_color, loss_title
from .options import FigureOptions
from .reduction import Floats, running_mean
from .run_history import RunHistory

SMOOTHED = ("losses", "weighted", "total")
POSITIVE = ("losses", "weighted", "sigma", "weights")
"""Panels whose values are drawn on a logarithmic axis where that is asked for."""

TEXT_COLOR = "#000000"
"""Stands for the colour of the text, whatever the theme."""

MEASURES: dict[str, tuple[str, str, str]] = {
    "score": ("measures", "Score", TEXT_COLOR),
    "object_dice": ("measures", "Object Dice", "#56b4e9"),
    "object_f1": ("measures", "Object F1", "#e69f00"),
    "pixel_accuracy": ("measures", "Pixel accuracy", "#009e73"),
    "classification_accuracy": ("measures", "Class accuracy", "#cc79a7"),
    "object_hausdorff_um": ("distance", "Object Hausdorff", "#56b4e9"),
    "topology_violations_raw": ("violations", "Violations before repair", "#d55e00"),
}
"""Column of a measure -> its panel, title and colour."""


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes
    ----------
    key : str
        Name of the loss or of the measure.
    title : str
    color : str
        ``#rrggbb``, or `TEXT_COLOR`.
    x, y : ndarray, (n,)
        Finite, x ascending.
    raw : ndarray, (n,) or None
        The values before smoothing, on the same x; NaN where there is none.
    """

    key: str
    title: str
    color: str
    x: Floats
    y: Floats
    raw: Floats | None = None

    def at(self, x: float) -> float:
        """The last value at or before `x`; NaN if there is none."""
        place = int(np.searchsorted(self.x, x, side="right")) - 1
        return float(self.y[place]) if place >= 0 else float("nan")


def panel_curves(run: RunHistory, panel: str, options: FigureOptions) -> list[Curve]:
    """The lines of one panel for one run; empty where the run has no such numbers."""
    if panel in {home for home, *_ in MEASURES.values()}:
        return _measure_curves(run, panel, options)
    columns = rows(run, options)
    x = columns.get(options.x)
    if x is None:
        return []
    if panel == "total":
        return _total(columns, x, panel_window(run, panel, options))
    return [
        curve
        for place, name in enumerate(run.losses)
        if (values := loss_values(columns, panel, name)) is not None
        and (curve := _loss_curve(name, place, x, values, panel_window(run, panel, options)))
    ]


def has_panel(run: RunHistory, panel: str, options: FigureOptions) -> bool:
    """Whether a run has numbers for a panel; a glance at its columns, nothing is computed."""
    if panel in {home for home, *_ in MEASURES.values()}:
        epochs = run.epochs
        named = [name for name, (home, *_) in MEASURES.items() if home == panel]
        return any(name in epochs and np.isfinite(epochs[name]).any() for name in named)
    columns = rows(run, options)
    needed = {"losses": "loss_", "total": "loss_", "log_var": "log_var_", "sigma": "log_var_"}
    return any(name.startswith(needed.get(panel, "weight_")) for name in columns)


def rows(run: RunHistory, options: FigureOptions) -> Mapping[str, Floats]:
    """The run's columns by step or by epoch, as asked for."""
    return run.steps if options.x == "step" else run.epochs


def loss_values(columns: Mapping[str, Floats], panel: str, name: str) -> Floats | None:
    """What a panel shows of a loss, row by row; None where the columns do not have it."""
    try:
        return _VALUES[panel](columns, name)
    except KeyError:
        return None


def _share(columns: Mapping[str, Floats], name: str) -> Floats:
    weights = [values for key, values in columns.items() if key.startswith("weight_")]
    total = np.sum(weights, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100 * columns[f"weight_{name}"] / total)


_VALUES: dict[str, Callable[[Mapping[str, Floats], str], Floats]] = {
    "losses": lambda columns, name: columns[f"loss_{name}"],
    "weighted": lambda columns, name: columns[f"weight_{name}"] * columns[f"loss_{name}"],
    "log_var": lambda columns, name: columns[f"log_var_{name}"],
    "sigma": lambda columns, name: np.exp(columns[f"log_var_{name}"] / 2),
    "weights": lambda columns, name: columns[f"weight_{name}"],
    "shares": _share,
}


def panel_window(run: RunHistory, panel: str, options: FigureOptions) -> int:
    """Over how many rows a panel takes the mean."""
    if options.x != "step":
        return 1
    smoothing = options.smoothing if panel in SMOOTHED else 1
    if run.weighting == "alternating" and panel in ("weighted", "weights", "shares"):
        # One loss alone counts at each step: only the mean over a turn says how much.
        return max(len(run.losses), smoothing)
    return smoothing


def _loss_curve(name: str, place: int, x: Floats, values: Floats, window: int) -> Curve | None:
    return _curve(name, loss_title(name), loss_color(name, place), x, values, window)


def _total(columns: Mapping[str, Floats], x: Floats, window: int) -> list[Curve]:
    curve = _curve("total", "Total", TEXT_COLOR, x, total_values(columns), window)
    return [] if curve is None else [curve]


def total_values(columns: Mapping[str, Floats]) -> Floats:
    """As it was written at each step; of an epoch, from the means of its losses."""
    if "total" in columns:
        return columns["total"]
    names = [key.removeprefix("loss_") for key in columns if key.startswith("loss_")]
    if not names or any(f"weight_{name}" not in columns for name in names):
        return np.full_like(next(iter(columns.values())), np.nan)
    weighted = [columns[f"weight_{name}"] * columns[f"loss_{name}"] for name in names]
    log_vars = [values for key, values in columns.items() if key.startswith("log_var_")]
    return np.asarray(np.sum([*weighted, *log_vars], axis=0))


def _measure_curves(run: RunHistory, panel: str, options: FigureOptions) -> list[Curve]:
    epochs = run.epochs
    if "epoch" not in epochs:
        return []
    x = epochs["epoch"]
    if options.x == "step":
        x = ends_of_epochs(run)
    curves = [
        _curve(name, title, color, x, epochs[name], 1)
        for name, (home, title, color) in MEASURES.items()
        if home == panel and name in epochs
    ]
    return [curve for curve in curves if curve is not None]


def ends_of_epochs(run: RunHistory) -> Floats:
    """The last step of each epoch of ``epochs.csv``."""
    steps, epochs = run.steps, run.epochs["epoch"]
    if "epoch" not in steps or not len(epochs):
        return epochs
    last = np.searchsorted(steps["epoch"], epochs, side="right") - 1
    ends = steps["step"][np.maximum(last, 0)]
    return np.where(last >= 0, ends, np.nan)


def _curve(
    key: str, title: str, color: str, x: Floats, values: Floats, window: int
) -> Curve | None:
    smooth = running_mean(values, window)
    known = np.isfinite(smooth) & np.isfinite(x)
    if not known.any():
        return None
    raw = values[known] if window > 1 else None
    return Curve(key, title, color, x[known], smooth[known], raw)
