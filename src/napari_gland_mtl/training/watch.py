"""Notice when the learned weights go wrong, and say so in words.

The learned objective has no lower bound: a loss that reaches zero, such as geometry on a
constant prediction, can take everything over. A prediction of one region alone on all
validation images and a weight that stands at its bound are the signs.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from ..losses.weighting import LossWeighting, UncertaintyWeighting

CONSTANT_SHARE = 0.995


class CollapseWatch:
    """Remembers what was said, so that each thing is said once.

    Parameters
    ----------
    said : collection of str
        What was said before the training was resumed.
    """

    def __init__(self, said: Collection[str] = ()) -> None:
        self._said = set(said)

    @property
    def said(self) -> list[str]:
        """A key for each thing that was said, to be kept with a training."""
        return sorted(self._said)

    def notices(self, measures: dict[str, float], weighting: LossWeighting) -> list[str]:
        """New warnings after an epoch.

        Parameters
        ----------
        measures : dict of str to float
            ``largest_region_share`` (0..1), if present, is the share of the most frequent
            region in all validation predictions.
        weighting : LossWeighting
        """
        found: dict[str, str] = {}
        share = measures.get("largest_region_share", 0.0)
        if share >= CONSTANT_SHARE:
            found["constant"] = (
                f"The prediction has collapsed: {share:.1%} of all validation pixels get the "
                "same region. Lower the learning rate, lengthen the warm-up of the "
                "log-variances, or leave the geometry loss out."
            )
        if isinstance(weighting, UncertaintyWeighting):
            for name in weighting.at_bound():
                value = weighting.log_vars()[name]
                if value < 0:
                    found[f"bound {name}"] = (
                        f"The weight of the {name} loss has reached its bound "
                        f"{math.exp(-value):.2f} (log sigma^2 = {value:.2f}): this loss is "
                        "nearly zero on the training patches and would otherwise drown the "
                        "others."
                    )
                elif value > 0:
                    found[f"bound {name}"] = (
                        f"The weight of the {name} loss has fallen to its bound "
                        f"{math.exp(-value):.3f} (log sigma^2 = {value:.2f}): it hardly counts."
                    )
        new = [text for key, text in found.items() if key not in self._said]
        self._said |= set(found)
        return new
