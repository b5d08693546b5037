"""Which annotations a model was taught with, as numbers that change when they do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from ..datasets.dataset import Sample


class Fingerprints:
    """Notes down the fingerprint of every sample that passes.

    Attributes
    ----------
    digests : dict of str to str
        Name of the sample -> sha256 of its annotation.
    """

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    def of(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples, one after the other."""
        for sample in samples:
            self.digests[sample.name] = annotation_digest(sample)
            yield sample


def annotation_digest(sample: Sample) -> str:
    """Sha256 of the regions, glands, class and um/px of a sample; its image does not count."""
    digest = hashlib.sha256(f"{sample.class_index} {sample.mpp:.6g}".encode())
    for labels in (sample.regions, sample.instances):
        if labels is not None:
            digest.update(f"{labels.shape} {labels.dtype}".encode())
            digest.update(np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
