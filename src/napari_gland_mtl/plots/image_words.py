"""What the images of a training look like as a whole, in plain words, or why there is nothing."""

from __future__ import annotations

import numpy as np

from .image_ranking import MUCH, Ranking
from .image_table import LOG_VAR
from .run_history import RunHistory

NO_ROWS = (
    "This training kept no numbers of its images: an earlier version made it. Train again to have "
    "them."
)
REASONS = {
    "loss": (
        "its annotation may be wrong, or it is unlike the others. Open it for another look.",
        "their annotations may be wrong, or they are unlike the others. Open them for another "
        "look.",
    ),
    "uncertainty": (
        "it looks unlike the others. Whether its annotation is wrong, its loss tells.",
        "they look unlike the others. Whether their annotations are wrong, their losses tell.",
    ),
}
"""By what the images are ranked: why one stands out, and why several do."""
NOT_YET = "The numbers of the images appear after the first epoch."


def images_in_words(run: RunHistory, ranking: Ranking) -> str:
    """A few sentences on the images of a training.

    Parameters
    ----------
    run : RunHistory
    ranking : Ranking
        Of its images, as far as they were read.
    """
    if not ranking.names:
        begun = "epoch" in run.epochs
        return NO_ROWS if begun and not run.weighting.startswith("instance") else NOT_YET
    if ranking.by == "uncertainty" and _all_alike(ranking):
        return (
            "All images count as equally uncertain so far: in the warm-up every log σ² is held. "
            "They are sorted by their loss."
        )
    return _standing_out(ranking)


def order_in_words(ranking: Ranking, shown: int) -> str:
    """Which images a figure lists, in which order, and how many of all stand out.

    Parameters
    ----------
    ranking : Ranking
    shown : int
        How many are listed.
    """
    count, number = len(ranking.names), ranking.standing_out
    which = f"all {count:,} images" if shown >= count else f"{shown:,} of {count:,} images"
    held = ranking.by == "uncertainty" and _all_alike(ranking)
    order = "those of the largest loss" if held else f"those furthest above the usual {ranking.by}"
    out = f"{number:,} stand{'s' if number == 1 else ''} out" if number else "none stands out"
    return f"{which}, {order} first; {out}"


def _standing_out(ranking: Ranking) -> str:
    count, number = len(ranking.names), ranking.standing_out
    usual = f"{MUCH:.0f} times the usual {ranking.by} or more"
    if not number:
        return f"None of {count:,} images has {usual}."
    said = f"{number:,} of {count:,} images {'has' if number == 1 else 'have'} {usual}"
    return f"{said}: {REASONS[ranking.by][number > 1]}"


def _all_alike(ranking: Ranking) -> bool:
    columns = [values for name, values in ranking.values.items() if name.startswith(LOG_VAR)]
    return all(np.nanmax(c) - np.nanmin(c) < 1e-9 for c in columns if np.isfinite(c).any())
