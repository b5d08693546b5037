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
from .patch_places import PatchPlaces

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
    samples : Tensor of int64, (N,), or None
        Which image of the `PatchSource` each patch is of.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: torch.Tensor
    samples: torch.Tensor | None = None

    def part(self, rows: slice) -> PatchBatch:
        """Some of the patches."""
        samples = None if self.samples is None else self.samples[rows]
        return PatchBatch(self.images[rows], self.labels[rows], self.classes[rows], samples)


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
    replay : iterable of Sample
        Images of what is not to be forgotten, from which some of the patches are drawn.
    replay_share : float
        How many of them, 0..1.

    Attributes
    ----------
    skipped : list of str
        Names of samples in which nothing is annotated.

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
        replay: Iterable[Sample] = (),
        replay_share: float = 0.0,
    ) -> None:
        self.mpp = mpp
        self._seam_px = max(seam_um / mpp, 1.5)
        self._background = hierarchy.code(hierarchy.background)
        self.images: list[npt.NDArray[np.uint8]] = []
        self.labels: list[npt.NDArray[np.uint8]] = []
        self.classes: list[int] = []
        self.names: list[str] = []
        self.places: list[PatchPlaces] = []
        self.skipped: list[str] = []
        self._chances = self._added(samples)
        if not self.images:
            raise DatasetError("Nothing is annotated in the training images.")
        self._own = len(self.images)
        if replay_share > 0:
            again = self._added(replay)
            if not again.size:
                raise DatasetError("Nothing is annotated in the replay images.")
            self._chances = np.concatenate(
                [(1 - replay_share) * self._chances, replay_share * again]
            )

    def _added(self, samples: Iterable[Sample]) -> npt.NDArray[np.float64]:
        """Take samples in; returns the chance of each of them to be drawn from."""
        areas: list[int] = []
        for sample in samples:
            if (sample.regions != NOT_ANNOTATED).any() and self._add(sample):
                areas.append(self.places[-1].annotated_px)
            else:
                self.skipped.append(sample.name)
        # An image's chance grows with its annotated area, damped so that small ones count.
        weights: npt.NDArray[np.float64] = np.sqrt(np.array(areas, dtype=float))
        chances: npt.NDArray[np.float64] = weights / weights.sum() if areas else weights
        return chances

    def _add(self, sample: Sample) -> bool:
        """Take a sample in; False if nothing is left of its annotation at this scale."""
        scale = self.mpp / sample.mpp
        image = np.asarray(resample(sample.image, scale), dtype=np.uint8)
        shape = image.shape[:2]
        labels = resample_labels(sample.regions, scale, shape).astype(np.uint8)
        if sample.instances is not None:
            instances = resample_labels(sample.instances, scale, shape)
            labels[seams(instances, self._seam_px)] = self._background
        places = PatchPlaces(labels)
        if not places.annotated_px:
            return False
        self.images.append(image)
        self.labels.append(labels)
        self.places.append(places)
        self.classes.append(sample.class_index)
        self.names.append(sample.name)
        return True

    @property
    def own_names(self) -> list[str]:
        """Names of all images but those of the replay, in the order of `PatchBatch.samples`."""
        return self.names[: self._own]

    @property
    def annotated_px(self) -> int:
        """Annotated pixels of all images but those of the replay, at the network's um/px."""
        return sum(places.annotated_px for places in self.places[: self._own])

    @property
    def codes(self) -> set[int]:
        """Codes of the regions that are annotated anywhere."""
        return {int(code) for labels in self.labels for code in np.unique(labels)} - {NOT_ANNOTATED}

    def draw(self, count: int, size: int, seed: int, step: int, share: slice = WHOLE) -> PatchBatch:
        """Draw `count` patches of `size` pixels; same seed and step, same patches.

        Only the patches of `share` are cut out and returned: those that would stand there in the
        whole batch.
        """
        rng = np.random.default_rng((seed, step))
        chosen = rng.choice(len(self.images), count, p=self._chances)
        centres = [self.places[index].centre(size, rng) for index in chosen]
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
            torch.from_numpy(images).permute(0, 3, 1, 2),
            torch.from_numpy(labels),
            classes,
            torch.from_numpy(chosen.astype(np.int64)),
        )

    @property
    def has_classes(self) -> bool:
        """Whether any image's class is known."""
        return any(index != UNKNOWN_CLASS for index in self.classes)
