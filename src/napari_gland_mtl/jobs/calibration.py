"""Adds up, image after image, how far a model's probabilities can be trusted.

Pixels are asked about the network's own answer, before any threshold or repair: the assignment
of largest probability. What nobody annotated counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..inference.uncertainty import entropy
from ..metrics.calibration import ErrorsByUncertainty, Reliability
from ..regions import GLAND_REGIONS, NOT_ANNOTATED

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..datasets.dataset import Sample
    from ..segmentation import Segmentation


class Calibration:
    """Calibration of the regions and of the classes, pooled over images.

    Parameters
    ----------
    classes : tuple of str
        Of the data set.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._pixels, self._images = Reliability(), Reliability()
        self._errors = ErrorsByUncertainty()

    def add(
        self, sample: Sample, segmentation: Segmentation, probabilities: npt.NDArray[np.float32]
    ) -> None:
        """Add one image.

        Parameters
        ----------
        sample : Sample
        segmentation : Segmentation
            Of all of the image.
        probabilities : ndarray of float32, (A, Y, X)
            That it was made from.
        """
        if segmentation.hierarchy.names == GLAND_REGIONS.names:
            self._add_pixels(sample.regions, probabilities)
        self._add_class(sample, segmentation.class_probabilities)

    def summary(self) -> dict[str, Any]:
        """``pixels``, ``classes`` and ``errors_by_uncertainty``; None for what is not known."""
        return {
            "pixels": self._pixels.summary(),
            "classes": self._images.summary(),
            "errors_by_uncertainty": self._errors.summary(),
        }

    def _add_pixels(
        self, truth: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32]
    ) -> None:
        annotated = truth != NOT_ANNOTATED
        chosen = probabilities[:, annotated]
        right = truth[annotated].astype(np.int64) - 1
        # Interpolated between the network's pixels and rounded to float32: not quite 1.
        chosen /= chosen.sum(axis=0)
        self._pixels.add(chosen, right)
        self._errors.add(entropy(chosen[:, None])[0], chosen.argmax(axis=0) != right)

    def _add_class(self, sample: Sample, found: dict[str, float]) -> None:
        name = self._classes[sample.class_index] if sample.class_index >= 0 else None
        if name not in found:
            return
        values = np.array(list(found.values()), dtype=np.float64)[:, None]
        self._images.add(values / values.sum(), np.array([list(found).index(name)]))
