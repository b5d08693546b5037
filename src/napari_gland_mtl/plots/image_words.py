"""What the images of a training look like as a whole, in plain words, or why there is nothing."""

from __future__ import annotations

import numpy as np

from .image_ranking import MUCH, Ranking
from .image_table import LOG_VAR
from .run_history import RunHistory
from .words import weighting_words

HOW_TO = (
    "To have an uncertainty of each image learned, choose “Learned uncertainty per image” in "
    "“Fine-tune”, or --weighting instance on the command line."
)
NO_ROWS = f"This training kept no numbers of its images. {HOW_TO}"
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
    if not ranking.table.learned:
        said = weighting_words(run.weighting)
        return (
            f"{_standing_out(ranking, 'loss')} They are sorted by their loss, because no "
            f"uncertainty of each image was learned here: {said[0].lower()}{said[1:]}. {HOW_TO}"
        )
    if _all_alike(ranking):
        return (
            "All images count as equally uncertain so far: in the warm-up every log σ² is held. "
            "They are sorted by their loss."
        )
    return _standing_out(ranking, "uncertainty")


def _standing_out(ranking: Ranking, what: str) -> str:
    count, number = len(ranking.names), ranking.standing_out
    if not number:
        return f"None of {count:,} images has {MUCH:.0f} times the usual {what} or more."
    if number == 1:
        return (
            f"1 of {count:,} images has {MUCH:.0f} times the usual {what} or more: its annotation "
            "may be wrong, or it is unlike the others. Open it for another look."
        )
    return (
        f"{number:,} of {count:,} images have {MUCH:.0f} times the usual {what} or more: their "
        "annotations may be wrong, or they are unlike the others. Open them for another look."
    )


def _all_alike(ranking: Ranking) -> bool:
    columns = [values for name, values in ranking.values.items() if name.startswith(LOG_VAR)]
    return all(np.nanmax(c) - np.nanmin(c) < 1e-9 for c in columns if np.isfinite(c).any())
