"""What an epoch tells of each training image: a row of ``images.csv``.

The patches of an image are scattered over the steps of an epoch. Their numbers are added up here
until it ends, in plain numbers that go into the state file: a training that was stopped in between
writes the same rows as one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..losses.terms import ImageNumbers

Row = dict[str, float | int | str]
ImageSums = dict[str, list[float]]
"""By an image's number: patches, then for every loss its sum, its count, sum of count times s."""


def as_matrix(samples: Tensor, numbers: ImageNumbers) -> Tensor:
    """The numbers of N patches with what they are of, (N, 1 + 2 n) or (N, 1 + 3 n)."""
    sums, counts = numbers.sums, numbers.counts.to(numbers.sums)
    parts = [samples.to(sums).unsqueeze(1), sums, counts]
    if numbers.log_vars is not None:
        parts.append(numbers.log_vars.to(sums) * counts)
    return torch.cat(parts, dim=1)


def add_patches(images: ImageSums, matrix: Tensor) -> None:
    """Add the patches of one step to the sums of their images, in place.

    Parameters
    ----------
    images : dict
    matrix : Tensor
        From `as_matrix`.
    """
    for sample, *values in matrix.cpu().double().tolist():
        known = images.setdefault(str(int(sample)), [0.0] * (1 + len(values)))
        images[str(int(sample))] = [
            before + new for before, new in zip(known, (1.0, *values), strict=True)
        ]


def image_rows(
    images: Mapping[str, Sequence[float]], epoch: int, names: Sequence[str], losses: Sequence[str]
) -> list[Row]:
    """The rows of an epoch, in the order of the images.

    Parameters
    ----------
    images : mapping
        What `add_patches` has added up.
    epoch : int
    names : sequence of str
        Of the images that get a row; of others (a replay's), whose numbers are larger, nothing is
        said.
    losses : sequence of str

    Returns
    -------
    list of dict
        ``epoch``, ``image``, ``patches``; ``<loss>``, the mean over everything of the image that
        was seen; ``log_var_<loss>``, the same mean of log sigma^2. Empty where the image has
        nothing to show to a loss.
    """
    seen = sorted(int(key) for key in images)
    return [
        _row(epoch, names[number], images[str(number)], losses)
        for number in seen
        if number < len(names)
    ]


def _row(epoch: int, name: str, sums: Sequence[float], losses: Sequence[str]) -> Row:
    count = len(losses)
    totals, numbers, log_vars = (sums[1 + part * count :][:count] for part in range(3))
    row: Row = {"epoch": epoch, "image": name, "patches": int(sums[0])}
    row |= dict(zip(losses, map(_mean, totals, numbers), strict=True))
    if log_vars:
        means = map(_mean, log_vars, numbers)
        row |= {f"log_var_{name}": mean for name, mean in zip(losses, means, strict=True)}
    return row


def _mean(total: float, count: float) -> float | str:
    return total / count if count else ""
