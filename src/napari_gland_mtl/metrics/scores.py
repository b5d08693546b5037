"""Object measures over a set of images, in both conventions of the literature.

"Pooled" treats the objects of all images as those of one; "mean" averages the values of the
images. An image without objects counts in the mean as well: with neither annotated nor
predicted objects as full agreement (F1 and Dice 1, distance 0), with objects on one side only
as none (F1 and Dice 0, distance the image diagonal).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import objects
from .pixels import Measure

if TYPE_CHECKING:
    from .components import Labels
    from .objects import Counts, Values


@dataclass(frozen=True)
class ImageObjects:
    """What one image adds: pairs hold the annotated and the predicted side.

    Attributes
    ----------
    found : int
        True positives.
    areas : pair of ndarray
        Pixels of each object.
    dice, hausdorff : pair of ndarray
        Dice coefficient and Hausdorff distance (px) of each object.
    mpp : float or None
        Micrometres per pixel.
    """

    found: int
    areas: tuple[Counts, Counts]
    dice: tuple[Values, Values]
    hausdorff: tuple[Values, Values]
    mpp: float | None

    @property
    def f1(self) -> float:
        """F1 of this image."""
        return objects.f1_score(self.found, len(self.areas[0]), len(self.areas[1]))

    @property
    def object_dice(self) -> float:
        """Object Dice of this image."""
        return objects.weighted_dice(self.areas, self.dice)

    @property
    def object_hausdorff_px(self) -> float:
        """Object Hausdorff distance of this image in pixels."""
        return objects.weighted_hausdorff(self.areas, self.hausdorff)


@dataclass
class ObjectScores:
    """Accumulates the object measures over images.

    Examples
    --------
    >>> scores = ObjectScores()
    >>> truth = np.array([[1, 1, 0, 2]])
    >>> image = scores.add(truth, np.array([[1, 1, 0, 0]]), mpp=0.5)
    >>> image.f1, scores.summary()["object_f1"]["pooled"]
    (0.6666666666666666, 0.6666666666666666)
    """

    images: list[ImageObjects] = field(default_factory=list)

    def add(self, annotated: Labels, predicted: Labels, mpp: float | None = None) -> ImageObjects:
        """Measure one image and keep the result.

        Parameters
        ----------
        annotated, predicted : ndarray of int, (Y, X)
            Instance labels, background 0.
        mpp : float, optional
            Micrometres per pixel of both.

        Raises
        ------
        InvalidInputError
            If the shapes differ or an image holds no instance labels.
        """
        table = objects.overlaps(annotated, predicted)
        image = ImageObjects(
            found=objects.true_positives(table),
            areas=(table.annotated_area, table.predicted_area),
            dice=objects.dice_of_objects(table),
            hausdorff=objects.hausdorff_of_objects(table),
            mpp=mpp,
        )
        self.images.append(image)
        return image

    def summary(self) -> dict[str, Measure]:
        """``object_f1``, ``object_dice``, ``object_hausdorff_px`` and ``object_hausdorff_um``.

        Each ``{"pooled": x, "mean": y}``. Micrometres are None unless every image has its
        um/px; everything is None without images. The weights of pooled objects are pixels.
        """
        if not self.images:
            names = ("object_f1", "object_dice", "object_hausdorff_px", "object_hausdorff_um")
            return {name: {"pooled": None, "mean": None} for name in names}
        return {
            "object_f1": self._f1(),
            "object_dice": self._dice(),
            "object_hausdorff_px": self._hausdorff([1.0] * len(self.images)),
            "object_hausdorff_um": self._hausdorff([image.mpp for image in self.images]),
        }

    def _f1(self) -> Measure:
        annotated = sum(len(image.areas[0]) for image in self.images)
        predicted = sum(len(image.areas[1]) for image in self.images)
        found = sum(image.found for image in self.images)
        return {
            "pooled": objects.f1_score(found, annotated, predicted),
            "mean": float(np.mean([image.f1 for image in self.images])),
        }

    def _dice(self) -> Measure:
        dice = _joined([image.dice for image in self.images])
        return {
            "pooled": objects.weighted_dice(self._areas(), dice),
            "mean": float(np.mean([image.object_dice for image in self.images])),
        }

    def _hausdorff(self, scales: list[float | None]) -> Measure:
        known = [scale for scale in scales if scale is not None]
        if len(known) < len(scales):
            return {"pooled": None, "mean": None}
        pairs = zip(self.images, known, strict=True)
        scaled = [(i.hausdorff[0] * scale, i.hausdorff[1] * scale) for i, scale in pairs]
        each = [
            image.object_hausdorff_px * scale
            for image, scale in zip(self.images, known, strict=True)
        ]
        return {
            "pooled": objects.weighted_hausdorff(self._areas(), _joined(scaled)),
            "mean": float(np.mean(each)),
        }

    def _areas(self) -> tuple[Counts, Counts]:
        annotated = np.concatenate([image.areas[0] for image in self.images])
        return annotated, np.concatenate([image.areas[1] for image in self.images])


def _joined(pairs: list[tuple[Values, Values]]) -> tuple[Values, Values]:
    annotated = np.concatenate([pair[0] for pair in pairs])
    return annotated, np.concatenate([pair[1] for pair in pairs])
