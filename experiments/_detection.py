"""Whether the images with wrong labels stand out: by what was learned of them, and by their loss.

Both are in the run folder's ``images.csv``. The area under the ROC curve is the chance that of two
images the one with wrong labels has the larger number; 0.5 is blind guessing. The order in which
the dock “Loss weights” lists the images is judged the same way.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from napari_gland_mtl.plots import ImageTable, rank
from napari_gland_mtl.plots.run_history import IMAGE_COLUMN
from napari_gland_mtl.storage.growing_names import NamedGrowingTable

LOG_VAR = "log_var_"


def roc_auc(values: Sequence[float], flagged: Sequence[bool]) -> float | None:
    """Area under the ROC curve, ties counting half; None where one side is empty.

    Examples
    --------
    >>> roc_auc([1.0, 2.0, 3.0, 4.0], [False, False, True, True])
    1.0
    """
    flags = np.asarray(flagged, dtype=bool)
    positive, negative = int(flags.sum()), int((~flags).sum())
    if not positive or not negative:
        return None
    above = rankdata(values)[flags].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def last_rows(path: Path) -> dict[str, dict[str, float]]:
    """The last row of every image: column -> number, without the empty ones."""
    found: dict[str, dict[str, float]] = {}
    if not path.is_file():
        return found
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row.pop("image")
            found[name] = {column: float(text) for column, text in row.items() if text}
    return found


def found_out(path: Path, losses: Sequence[str], noisy: Collection[str]) -> dict[str, float]:
    """How well each number tells noisy images from clean ones.

    Parameters
    ----------
    path : Path
        ``images.csv`` of the run.
    losses : sequence of str
    noisy : collection of str
        Names of the images with wrong labels.

    Returns
    -------
    dict
        Area under the ROC curve of ``log_var_<loss>`` and ``<loss>``, and of their sums
        ``log_var_sum`` and ``loss_sum``; what is not in the file is left out.
    """
    rows = last_rows(path)
    names = {**{f"{LOG_VAR}{loss}": [f"{LOG_VAR}{loss}"] for loss in losses}}
    names |= {loss: [loss] for loss in losses}
    names |= {f"{LOG_VAR}sum": [f"{LOG_VAR}{loss}" for loss in losses], "loss_sum": list(losses)}
    areas = {}
    for name, columns in names.items():
        known = {
            image: sum(row[column] for column in columns)
            for image, row in rows.items()
            if all(column in row for column in columns)
        }
        area = roc_auc(list(known.values()), [image in noisy for image in known])
        if area is not None:
            areas[name] = area
    return areas


def found_by_ranking(path: Path, noisy: Collection[str]) -> float | None:
    """How well the ranking of the dock, as it is until another is chosen, tells noisy images.

    Parameters
    ----------
    path : Path
        ``images.csv`` of the run.
    noisy : collection of str
        Names of the images with wrong labels.

    Returns
    -------
    float or None
        Area under the ROC curve of how many times the usual loss each image has, in the loss in
        which it stands out most; None where one side is empty.
    """
    table = NamedGrowingTable(path, IMAGE_COLUMN)
    table.poll_all()
    ranking = rank(ImageTable(table.named))
    known = np.isfinite(ranking.ratios)
    flagged = np.isin(ranking.names, list(noisy))
    return roc_auc(ranking.ratios[known].tolist(), flagged[known].tolist())


def spread(path: Path, losses: Sequence[str]) -> dict[str, float]:
    """Standard deviation over the images of each ``log_var_<loss>``, of what is in the file.

    Where it is hundredths, all images weigh about the same and their order says little.
    """
    rows = last_rows(path).values()
    columns = [f"{LOG_VAR}{loss}" for loss in losses]
    known = {name: [row[name] for row in rows if name in row] for name in columns}
    return {name: float(np.std(values)) for name, values in known.items() if values}
