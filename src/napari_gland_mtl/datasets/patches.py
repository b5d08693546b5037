"""Draw training patches at the network's um/px from images kept in memory.

Each image is resampled once. A patch is drawn with a margin, so that rotation and elastic
deformation find real tissue; past the image's edge the image is mirrored, never black. The
draw of a step depends on the seed and the step's number alone, so a resumed training sees what
an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DatasetError
from ..regions import GLAND_REGIONS, NOT_ANNOTATED, RegionHierarchy
from ..slides.resampling import resample, resample_labels
from .dataset import UNKNOWN_CLASS, Sample
from .masks import seams

WHOLE = slice(None)


@dataclass(frozen=True)
class PatchBatch:
    """Patches of one step.

    Attributes
    ----------
    images : Tensor of uint8, (N, 3, H, W)
    labels : Tensor of uint8, (N, H, W)
        Region codes, 0 not annotated.
    classes : Tensor of int64, (N,)
        -1 where unknown.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: torch.Tensor


def mirrored(start: int, length: int, size: int) -> npt.NDArray[np.intp]:
    """Indices ``start .. start + length - 1`` folded back into ``0 .. size - 1``."""
    folded = np.arange(start, start + length) % (2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


class PatchSource:
    """Annotated images at one um/px, from which patches are drawn.

    Parameters
    ----------
    samples : iterable of Sample
        Read once, one at a time.
    mpp : float
        Micrometres per pixel of the patches.
    hierarchy : RegionHierarchy
        That of the samples' region codes.
    seam_um : float
        Gland pixels nearer than this to another gland are taught as background; at least the
        neighbouring pixels are.

    Raises
    ------
    DatasetError
        If there is no sample, or nothing is annotated in any.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        mpp: float,
        hierarchy: RegionHierarchy = GLAND_REGIONS,
        seam_um: float = 0.0,
    ) -> None:
        self.mpp = mpp
        radius = max(seam_um / mpp, 1.5)
        background = hierarchy.code(hierarchy.background)
        self.images: list[npt.NDArray[np.uint8]] = []
        self.labels: list[npt.NDArray[np.uint8]] = []
        self.classes: list[int] = []
        for sample in samples:
            if not (sample.regions != NOT_ANNOTATED).any():
                continue
            scale = mpp / sample.mpp
            self.images.append(np.asarray(resample(sample.image, scale), dtype=np.uint8))
            shape = self.images[-1].shape[:2]
            labels = resample_labels(sample.regions, scale, shape).astype(np.uint8)
            if sample.instances is not None:
                instances = resample_labels(sample.instances, scale, shape)
                labels[seams(instances, radius)] = background
            self.labels.append(labels)
            self.classes.append(sample.class_index)
        if not self.images:
            raise DatasetError("Nothing is annotated in the training images.")
        # An image's chance grows with its annotated area, damped so that small ones count.
        areas = np.array([np.count_nonzero(labels) for labels in self.labels], dtype=float)
        self._chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def draw(self, count: int, size: int, seed: int, step: int, share: slice = WHOLE) -> PatchBatch:
        """Draw `count` patches of `size` pixels; same seed and step, same patches.

        Only the patches of `share` are cut out and returned: those that would stand there in the
        whole batch.
        """
        rng = np.random.default_rng((seed, step))
        chosen = rng.choice(len(self.images), count, p=self._chances)
        centres = [[int(rng.integers(n)) for n in self.labels[index].shape] for index in chosen]
        chosen, centres = chosen[share], centres[share]
        images = np.empty((len(chosen), size, size, 3), dtype=np.uint8)
        labels = np.empty((len(chosen), size, size), dtype=np.uint8)
        for slot, (index, (y, x)) in enumerate(zip(chosen, centres, strict=True)):
            height, width = self.labels[index].shape
            rows = mirrored(y - size // 2, size, height)
            columns = mirrored(x - size // 2, size, width)
            images[slot] = self.images[index][rows[:, None], columns]
            labels[slot] = self.labels[index][rows[:, None], columns]
        classes = torch.tensor([self.classes[index] for index in chosen])
        return PatchBatch(
            torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels), classes
        )

    @property
    def has_classes(self) -> bool:
        """Whether any image's class is known."""
        return any(index != UNKNOWN_CLASS for index in self.classes)
