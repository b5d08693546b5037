"""The reliability diagram of a model: how far its probabilities mean what they say.

Three panels: the pixels' regions, the images' classes, and how often the network is wrong where
it says that it is uncertain. What they show comes from ``evaluate(...)["calibration"]``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInputError
from ..storage.atomic import new_file
from .axes import BOTTOM_IN, place
from .files import DPI, PICTURES, TABLE, check_matplotlib
from .losses import loss_color, on_ground
from .options import LIGHT, FigureTheme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_IN = (3.3, 3.9)
HEAD_IN, LABEL_IN = 0.1, 0.25
WORDS_IN = 0.62
"""Room for four lines below the axes: in them, a bar or a point may stand anywhere."""
_TITLES = {
    "pixels": "Regions, pixel by pixel",
    "classes": "Class, image by image",
    "errors_by_uncertainty": "Errors by uncertainty",
}
_LABELS = {
    "pixels": ("Probability that was given", "Share that was right"),
    "classes": ("Probability that was given", "Share that was right"),
    "errors_by_uncertainty": ("Uncertainty", "Share that was wrong"),
}
_HEADER = ("what", "lower", "upper", "count", "confidence", "accuracy", "error_rate")


def write_calibration(
    calibration: Mapping[str, Any] | None, path: Path | str, overwrite: bool = False
) -> Path:
    """Draw calibration into a file, or write its numbers; the ending says which.

    Parameters
    ----------
    calibration : dict
        As ``evaluate`` gives it.
    path : path
        ``.png``, ``.svg``, ``.pdf`` or ``.csv``.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    InvalidInputError
        If the ending is none of these, or there is nothing to draw.
    MissingExtraError
        If matplotlib is not installed.
    OutputExistsError, OutputNotWritableError
    """
    path = Path(path)
    check_calibration_path(path)
    shown = _shown(calibration or {})
    if not shown:
        raise InvalidInputError(
            "There is nothing to draw: no image has annotated regions or a known class."
        )
    if path.suffix.lower() == TABLE:
        return _write_table(shown, path, overwrite)
    return _write_picture(shown, path, overwrite)


def check_calibration_path(path: Path) -> None:
    """Refuse, before any work, a file that could not be written in the end.

    Raises
    ------
    InvalidInputError
        If its ending is not one of those of `write_calibration`.
    MissingExtraError
        If matplotlib is needed and not installed.
    """
    kind = path.suffix.lower()
    if kind == TABLE:
        return
    if kind not in PICTURES:
        raise InvalidInputError(
            f"{path.name} does not end with one of {', '.join((*PICTURES, TABLE))}: the ending "
            "says what is written."
        )
    check_matplotlib()


def draw_calibration(
    figure: Figure, calibration: Mapping[str, Any], theme: FigureTheme = LIGHT
) -> list[Axes]:
    """Draw the panels that have something to show side by side, whatever was on the figure.

    Parameters
    ----------
    figure : Figure
    calibration : dict
        As ``evaluate`` gives it.
    theme : FigureTheme

    Returns
    -------
    list of Axes
    """
    figure.clear()
    figure.set_facecolor(theme.background)
    shown = _shown(calibration)
    width, height = figure.get_size_inches()
    drawn = []
    for index, (name, found) in enumerate(shown.items()):
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), label=name)
        cell = width / len(shown)
        # The axes have words below and beside them: more room than the panels of a training.
        room = HEAD_IN + LABEL_IN + WORDS_IN
        place(axes, index * cell, HEAD_IN, cell, height - room)
        _dress(axes, name, theme)
        draw = _draw_errors if name == "errors_by_uncertainty" else _draw_reliability
        draw(axes, found, theme)
        drawn.append(axes)
    return drawn


def _shown(calibration: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: calibration[name] for name in _TITLES if calibration.get(name)}


def _dress(axes: Axes, name: str, theme: FigureTheme) -> None:
    axes.set_facecolor(theme.background)
    axes.set_title(_TITLES[name], fontsize=theme.points + 1, color=theme.text, loc="left")
    x, y = _LABELS[name]
    axes.set_xlabel(x, fontsize=theme.points, color=theme.text)
    axes.set_ylabel(y, fontsize=theme.points, color=theme.text)
    axes.tick_params(labelsize=theme.points - 1, colors=theme.text)
    axes.grid(color=theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _draw_reliability(axes: Axes, found: Mapping[str, Any], theme: FigureTheme) -> None:
    """A bar per bin as high as it was right, a point where it said so, the ideal as a line."""
    bins, color = found["bins"], on_ground(loss_color("segmentation", 0), theme.background)
    filled = [place for place, count in enumerate(bins["count"]) if count]
    lower, upper = ([bins[name][place] for place in filled] for name in ("lower", "upper"))
    accuracy, confidence = (
        [bins[name][place] for place in filled] for name in ("accuracy", "confidence")
    )
    widths = [high - low for low, high in zip(lower, upper, strict=True)]
    axes.bar(lower, accuracy, widths, align="edge", color=color, alpha=0.6, edgecolor=color)
    axes.plot([0, 1], [0, 1], color=theme.text, linewidth=1, linestyle="--")
    axes.plot(confidence, accuracy, "o", color=theme.text, markersize=3, clip_on=False)
    lines = [
        f"{found['count']:,} samples",
        f"calibration error {found['expected_calibration_error']:.3f}",
        f"neg. log likelihood {found['negative_log_likelihood']:.3f}",
        f"Brier score {found['brier']:.3f}",
    ]
    _say(axes, lines, theme)


def _draw_errors(axes: Axes, found: Mapping[str, Any], theme: FigureTheme) -> None:
    bins, color = found["bins"], on_ground(loss_color("topology", 0), theme.background)
    filled = [place for place, count in enumerate(bins["count"]) if count]
    middles = [(bins["lower"][place] + bins["upper"][place]) / 2 for place in filled]
    rates = [bins["error_rate"][place] for place in filled]
    # Of a single filled bin there is no line to be seen.
    axes.plot(middles, rates, "o-", color=color, linewidth=1.8, markersize=4, clip_on=False)
    lines = [f"wrong in all: {found['error_rate']:.1%}"]
    share = found["errors_in_most_uncertain_10_percent"]
    if share is not None:
        lines += ["the most uncertain 10 % hold", f"{share:.0%} of what is wrong"]
    _say(axes, lines, theme)


def _say(axes: Axes, lines: list[str], theme: FigureTheme) -> None:
    axes.annotate(
        "\n".join(lines),
        (0.0, 0.0),
        xycoords="axes fraction",
        xytext=(0, -72 * (BOTTOM_IN + LABEL_IN)),
        textcoords="offset points",
        va="top",
        fontsize=theme.points,
        color=theme.text,
    )


def _write_picture(shown: Mapping[str, Any], path: Path, overwrite: bool) -> Path:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kind = path.suffix.lower()
    figure = Figure(figsize=(PANEL_IN[0] * len(shown), PANEL_IN[1]), dpi=DPI)
    draw_calibration(figure, shown)
    stamp = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind, {})
    with new_file(path, overwrite=overwrite) as partial, rc_context({"svg.hashsalt": "gland-mtl"}):
        figure.savefig(partial, format=kind[1:], metadata=stamp)
    return path


def _write_table(shown: Mapping[str, Any], path: Path, overwrite: bool) -> Path:
    """A row per bin of each panel; what a bin does not have is left empty."""
    with (
        new_file(path, overwrite=overwrite) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        for name, found in shown.items():
            bins = found["bins"]
            for place_ in range(len(bins["count"])):
                values = (bins[key][place_] if key in bins else None for key in _HEADER[1:])
                writer.writerow([name, *("" if value is None else value for value in values)])
    return path
