"""A loss before its mean is taken, and all losses of one batch with what each image adds to them.

A weighting that goes by the batch needs one mean per loss; one that goes by the image, and a table
of images, need the sums and counts of each. Both come from the same terms, computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossTerms:
    """What a loss sums up and divides by.

    Attributes
    ----------
    parts : tuple of Tensor, each (N, ...)
        What is summed up, of N images; 0 where it does not count.
    counts : Tensor of integers, (N,)
        How many things each image has: annotated pixels, or 1 where its class is known.
    factor : float
        Of the sum.
    """

    parts: tuple[Tensor, ...]
    counts: Tensor
    factor: float = 1.0

    def mean(self) -> Tensor:
        """The loss, a scalar; 0 (with zero gradients) where nothing counts."""
        total = self.parts[0].sum()
        for part in self.parts[1:]:
            total = total + part.sum()
        return self.factor * total / self.counts.sum().clamp(min=1)

    def per_image(self) -> Tensor:
        """What each image adds to the sum, (N,)."""
        total = _image_sums(self.parts[0])
        for part in self.parts[1:]:
            total = total + _image_sums(part)
        return self.factor * total


def _image_sums(values: Tensor) -> Tensor:
    return values.sum(dim=tuple(range(1, values.ndim))) if values.ndim > 1 else values


@dataclass(frozen=True)
class BatchLosses:
    """All losses of N images, and what the network says of their uncertainty.

    Attributes
    ----------
    means : dict of str to scalar Tensor
        The losses.
    sums, counts : dict of str to Tensor, (N,)
        Of each image; a loss is the sum of its sums by the sum of its counts.
    offsets : dict of str to Tensor, (N,)
        What the network adds to the log sigma^2 of a loss for each image; empty where it does not
        say.
    pixels : Tensor, (N, H, W), or None
        The segmentation loss of each pixel; kept where `offset_map` is there.
    annotated : Tensor of bool, (N, H, W), or None
        Where it counts.
    offset_map : Tensor, (N, H, W), or None
        What the network adds for each pixel to the log sigma^2 of the segmentation.
    """

    means: dict[str, Tensor]
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, Tensor] = field(default_factory=dict)
    offsets: dict[str, Tensor] = field(default_factory=dict)
    pixels: Tensor | None = None
    annotated: Tensor | None = None
    offset_map: Tensor | None = None


@dataclass(frozen=True)
class ImageNumbers:
    """The numbers of each image of a batch, without gradients.

    Attributes
    ----------
    sums, counts : Tensor, (N, n)
        Of n losses; see `BatchLosses`.
    log_vars : Tensor, (N, n), or None
        log sigma^2 of each loss of each image (of a loss per pixel the mean over the annotated
        pixels), where the network predicts it.
    """

    sums: Tensor
    counts: Tensor
    log_vars: Tensor | None = None

    @staticmethod
    def joined(parts: Sequence[ImageNumbers]) -> ImageNumbers:
        """Those of a batch from those of its parts, in their order."""
        log_vars = [part.log_vars for part in parts if part.log_vars is not None]
        return ImageNumbers(
            torch.cat([part.sums for part in parts]),
            torch.cat([part.counts for part in parts]),
            torch.cat(log_vars) if log_vars else None,
        )
