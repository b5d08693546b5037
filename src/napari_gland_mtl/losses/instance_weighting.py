"""Learned weights that differ from image to image, and from pixel to pixel.

The weighting learns one s_i per loss, as ever; the network adds to it what it makes of the image.
At first it adds nothing, so that a training begins as one with an uncertainty per loss, and while
the s_i are held (warm-up) it stays out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from .instance import bounded, instance_objective
from .terms import BatchLosses, ImageNumbers
from .weighting import UncertaintyWeighting


class InstanceWeighting(UncertaintyWeighting):
    """``sum_i mean_n [exp(-s_in) L_in + s_in]``, ``s_in = clamp(s_i + offset_i(x_n))``.

    Parameters
    ----------
    names, warmup_steps, minimum, maximum, start
        See `UncertaintyWeighting`. The bounds are those of ``s_in``, too.

    Notes
    -----
    With an ``offset_map``, the term of the segmentation is the mean over the annotated pixels of
    ``exp(-s_p) l_p + s_p``, ``s_p = clamp(s_seg + offset_seg(x_n) + offset_p)``.

    The objective of a batch is the sum of those of its parts, once these know by what to divide.
    """

    def objective(self, losses: BatchLosses, whole: Mapping[str, Tensor] | None = None) -> Tensor:
        """The total of some images.

        Parameters
        ----------
        losses : BatchLosses
            With the `sums` and `counts` of all losses; `offsets` that are missing are 0.
        whole : mapping of str to scalar Tensor, optional
            The counts of the batch of which these images are a part.
        """
        terms = []
        for name, log_vars in self._log_vars(losses).items():
            by_pixel = log_vars.ndim > 1
            sums = losses.pixels if by_pixel else losses.sums[name]
            counts = losses.annotated if by_pixel else losses.counts[name]
            number = None if whole is None else whole[name]
            if sums is not None and counts is not None:  # of pixels both are there, or neither
                terms.append(instance_objective(sums, counts, log_vars, number))
        return torch.stack(terms).sum()

    @torch.no_grad()
    def image_numbers(self, losses: BatchLosses) -> ImageNumbers:
        """See the base class; with ``s_in``, of the segmentation the mean of ``s_p``."""
        columns = []
        for values in self._log_vars(losses).values():
            if values.ndim > 1 and losses.annotated is not None:
                total = torch.where(losses.annotated, values, 0).sum(dim=(1, 2))
                values = total / losses.annotated.sum(dim=(1, 2)).clamp(min=1)
            columns.append(values)
        return replace(super().image_numbers(losses), log_vars=torch.stack(columns, dim=1))

    def _log_vars(self, losses: BatchLosses) -> dict[str, Tensor]:
        """``s_in`` of each loss, (N,), or ``s_p``, (N, H, W)."""
        found = {}
        for place, name in enumerate(self.names):
            values = self.log_var[place].expand(len(losses.counts[name]))
            if not self.held:
                values = values + losses.offsets.get(name, 0)
            if name == "segmentation" and losses.offset_map is not None:
                values = values[:, None, None].expand_as(losses.offset_map)
                values = values if self.held else values + losses.offset_map
            found[name] = bounded(values, self.minimum, self.maximum)
        return found
